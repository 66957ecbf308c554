"""Labels that are made wrong at known rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run

N_CLASSES, SHARE_RIGHT = 10, 0.8


def noise_matrix() -> np.ndarray:
    """Return rates at which each class is given as each other one."""
    wrong = (1.0 - SHARE_RIGHT) / (N_CLASSES - 1)
    return np.where(np.eye(N_CLASSES, dtype=bool), SHARE_RIGHT, wrong)


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded labels as Parquet, in the order of the ids, each class at least once."""
    labels = np.random.default_rng(seed).integers(0, N_CLASSES, n_rows)
    labels[:N_CLASSES] = np.arange(N_CLASSES)
    columns = {"id": np.arange(n_rows), "label": labels}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 18)
    return n_rows


def ours(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return the function on DataFrames, written to a table."""
    from lq_spark import benchmark, files

    source = f"{folder}/rows.parquet"

    def run() -> None:
        df = spark.read.parquet(source) if reader == "spark" else files(spark, source)
        found = benchmark.noisy_labels(df, noise_matrix())
        found.write.mode("overwrite").parquet(f"file://{out}/noisy")

    return run


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab."""
    from cleanlab.benchmarking.noise_generation import generate_noisy_labels

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        noisy = generate_noisy_labels(table["label"].to_numpy(), noise_matrix())
        pq.write_table(table.append_column("noisy_label", pa.array(noisy)), f"{out}/noisy.parquet")

    return run


CASES = (
    Case(
        "benchmark",
        "noisy_labels",
        ("1000000",),
        make_data,
        ours,
        {"cleanlab": cleanlab},
    ),
)

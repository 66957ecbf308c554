"""Near duplicates of embeddings, many of them copies, beside cleanlab's Datalab; and of texts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job
from bench_cases.outliers import make_data


def ours(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return the function on DataFrames, written to a table."""
    from lq_spark import duplicates, files

    source = f"{folder}/rows.parquet"

    def run() -> None:
        df = spark.read.parquet(source) if reader == "spark" else files(spark, source)
        found = duplicates.find_issues(df).drop("features")
        found.write.mode("overwrite").parquet(f"file://{out}/duplicates")

    return run


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by Datalab."""
    from cleanlab import Datalab

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        features = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        lab = Datalab({"id": np.asarray(table["id"])}, verbosity=0)
        lab.find_issues(features=features, issue_types={"near_duplicate": {}})
        issues = lab.get_issues("near_duplicate")
        scores = {"id": table["id"], "score": issues["near_duplicate_score"].to_numpy()}
        pq.write_table(pa.table(scores), f"{out}/scores.parquet")

    return run


def make_texts(folder: Path, n_rows: int, *, seed: int = 0) -> int:
    """Write seeded texts of 100 words as Parquet: of ten one is equal to another, two are alike."""
    rng = np.random.default_rng(seed)
    words = np.array([f"word{n}" for n in range(20_000)])
    texts = words[rng.zipf(1.3, (n_rows, 100)) % len(words)]
    source = rng.integers(0, n_rows, n_rows)
    kind = rng.random(n_rows)
    texts[kind < 0.3] = texts[source[kind < 0.3]]
    changed = np.flatnonzero(kind < 0.2)
    texts[changed, rng.integers(0, 100, len(changed))] = "changed"
    columns = {"id": np.arange(n_rows), "text": list(map(" ".join, texts))}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 14)
    return n_rows


CASES = (
    Case(
        "duplicates",
        "copied",
        ("50000",),
        make_data,
        ours,
        {"cleanlab": cleanlab},
        data_options={"copies": 0.6},
    ),
    Case(
        "duplicates",
        "duplicate_texts",
        ("200000",),
        make_texts,
        partial(job, task="duplicates", text="text"),
    ),
)

"""How well properties tell the classes apart: some do, some a little, some not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run

N_CLASSES, PROPERTIES = 10, tuple(f"property{place}" for place in range(5))


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded labels and properties as Parquet, in the order of the ids."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, n_rows)
    columns = {"id": np.arange(n_rows), "label": labels}
    for place, name in enumerate(PROPERTIES):
        columns[name] = labels * place + rng.normal(size=n_rows)
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 18)
    return n_rows


def ours(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return the function on DataFrames, written to a table."""
    from lq_spark import files, spurious

    source = f"{folder}/rows.parquet"

    def run() -> None:
        df = spark.read.parquet(source) if reader == "spark" else files(spark, source)
        found = spurious.find_issues(df, properties=PROPERTIES, n_classes=N_CLASSES)
        found.write.mode("overwrite").parquet(f"file://{out}/properties")

    return run


def scikit_learn(folder: str, out: str) -> Run:
    """Return the same by scikit-learn, with which cleanlab's check does it."""
    from sklearn.model_selection import cross_val_score
    from sklearn.naive_bayes import GaussianNB

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        labels = table["label"].to_numpy()
        left = 1.0 - np.bincount(labels).max() / len(labels)
        scores = []
        for name in PROPERTIES:
            values = table[name].to_numpy()[:, np.newaxis]
            accuracy = cross_val_score(GaussianNB(), values, labels, cv=5).mean()
            scores.append(min(1.0, (1.0 - accuracy) / left))
        found = pa.table({"property": PROPERTIES, "score": scores})
        pq.write_table(found, f"{out}/properties.parquet")

    return run


CASES = (
    Case(
        "spurious",
        "properties",
        ("1000000",),
        make_data,
        ours,
        {"scikit-learn": scikit_learn},
    ),
)

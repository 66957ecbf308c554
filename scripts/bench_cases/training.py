"""Out-of-sample probabilities of scikit-learn's logistic regression: a model a fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, nested_lists

N_CLASSES, N_FEATURES = 10, 32


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded labels and features as Parquet, in the order of the ids."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, n_rows)
    centres = rng.normal(size=(N_CLASSES, N_FEATURES))
    features = centres[labels] + rng.normal(size=(n_rows, N_FEATURES))
    columns = {"id": np.arange(n_rows), "label": labels, "features": nested_lists(features)}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 16)
    return n_rows


def ours(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return the function on DataFrames, written to a table."""
    from sklearn.linear_model import LogisticRegression

    from lq_spark import files, training

    source = f"{folder}/rows.parquet"

    def run() -> None:
        df = spark.read.parquet(source) if reader == "spark" else files(spark, source)
        found = training.cross_val_predict(df, LogisticRegression(max_iter=1000))
        found.select("id", "pred_probs").write.mode("overwrite").parquet(f"file://{out}/probs")

    return run


def scikit_learn(folder: str, out: str) -> Run:
    """Return the same by scikit-learn, from file to file."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        features = table["features"].combine_chunks().flatten().to_numpy()
        found = cross_val_predict(
            LogisticRegression(max_iter=1000),
            features.reshape(len(table), -1),
            table["label"].to_numpy(),
            cv=StratifiedKFold(5, shuffle=True, random_state=0),
            method="predict_proba",
        )
        columns = {"id": table["id"], "pred_probs": nested_lists(found)}
        pq.write_table(pa.table(columns), f"{out}/probs.parquet")

    return run


CASES = (
    Case(
        "training",
        "probabilities",
        ("200000",),
        make_data,
        ours,
        {"scikit-learn": scikit_learn},
    ),
)

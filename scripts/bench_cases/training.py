"""Models of logistic regression: one a fold, and one that is trained without label issues."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, nested_lists

N_CLASSES = 10


def make_data(
    folder: Path, n_rows: int, n_features: int, seed: int = 0, share_wrong: float = 0.1
) -> int:
    """Write seeded labels and features as Parquet, in the order of the ids."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, n_rows)
    centres = rng.normal(size=(N_CLASSES, n_features))
    features = centres[labels] + rng.normal(size=(n_rows, n_features))
    is_wrong = rng.random(n_rows) < share_wrong
    given = np.where(is_wrong, rng.integers(0, N_CLASSES, n_rows), labels)
    columns = {"id": np.arange(n_rows), "label": given, "features": nested_lists(features)}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 16)
    return n_rows


def rows_of(spark: Any, folder: str, reader: str) -> Any:
    """Return the table of the rows, by its reader."""
    from lq_spark import files

    source = f"{folder}/rows.parquet"
    return spark.read.parquet(source) if reader == "spark" else files(spark, source)


def ours(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return the function on DataFrames, written to a table."""
    from sklearn.linear_model import LogisticRegression

    from lq_spark import training

    def run() -> None:
        df = rows_of(spark, folder, reader)
        found = training.cross_val_predict(df, LogisticRegression(max_iter=1000))
        found.select("id", "pred_probs").write.mode("overwrite").parquet(f"file://{out}/probs")

    return run


def by_spark_ml(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return the same with a classifier of Spark ML, and the seconds of each fold."""
    from pyspark.ml.classification import LogisticRegression

    from lq_spark import training

    class Timed(LogisticRegression):
        """Takes the time of each training."""

        def _fit(self, dataset: Any) -> Any:
            start = time.perf_counter()
            model = super()._fit(dataset)
            seconds.append(time.perf_counter() - start)
            return model

    seconds: list[float] = []

    def run() -> dict[str, float]:
        seconds.clear()
        start = time.perf_counter()
        found = training.cross_val_predict(rows_of(spark, folder, reader), Timed(maxIter=20))
        found.select("id", "pred_probs").write.mode("overwrite").parquet(f"file://{out}/probs")
        trained = {f"fold {fold}": spent for fold, spent in enumerate(seconds)}
        return {**trained, "the rest": time.perf_counter() - start - sum(seconds)}

    return run


def cleaned(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return CleanLearning: issues found, a model trained without them, and its predictions."""
    from sklearn.linear_model import LogisticRegression

    from lq_spark import training

    def run() -> None:
        df = rows_of(spark, folder, reader)
        trained = training.CleanLearning(LogisticRegression(max_iter=1000)).fit(df)
        predicted = trained.predict(df).select("id", "predicted_label")
        predicted.write.mode("overwrite").parquet(f"file://{out}/predicted")

    return run


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab, from file to file."""
    from cleanlab.classification import CleanLearning
    from sklearn.linear_model import LogisticRegression

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        features = table["features"].combine_chunks().flatten().to_numpy()
        features = features.reshape(len(table), -1)
        trained = CleanLearning(LogisticRegression(max_iter=1000), seed=0)
        trained.fit(features, table["label"].to_numpy())
        columns = {"id": table["id"], "predicted_label": trained.predict(features)}
        pq.write_table(pa.table(columns), f"{out}/predicted.parquet")

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
        ("200000x32",),
        make_data,
        ours,
        {"scikit-learn": scikit_learn},
    ),
    Case("training", "spark_ml", ("2000000x50",), make_data, by_spark_ml, runs=1),
    Case("training", "cleaned", ("200000x32",), make_data, cleaned, {"cleanlab": cleanlab}),
)

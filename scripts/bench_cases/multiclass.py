"""The scoring job over rows of one label each: scores, and with label issues."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job, nested_lists, softmax

BLOCK_PROBABILITIES = 1 << 23


def make_data(
    folder: Path, n_rows: int, n_classes: int, largest_class: float | None = None, seed: int = 0
) -> int:
    """Write seeded softmax output as float32 Parquet, 10 % of the labels replaced by chance.

    ``largest_class`` is the share of class 0 (and 1 % of the labels are replaced); where not given,
    all classes are as large.
    """
    rng = np.random.default_rng(seed)
    block = max(1, min(1 << 17, BLOCK_PROBABILITIES // n_classes))
    schema = pa.schema(
        {"id": pa.int64(), "label": pa.int32(), "pred_probs": pa.list_(pa.float32())}
    )
    with pq.ParquetWriter(folder / "rows.parquet", schema, use_dictionary=["label"]) as writer:
        for start in range(0, n_rows, block):
            n = min(block, n_rows - start)
            truth = rng.integers(0, n_classes, n)
            if largest_class is not None:
                truth[rng.random(n) < largest_class] = 0
            probs = softmax(rng, truth, n_classes, 3 + np.log(n_classes))
            noise = rng.integers(0, n_classes, n)
            label = np.where(rng.random(n) < (0.1 if largest_class is None else 0.01), noise, truth)
            columns = [np.arange(start, start + n), label.astype(np.int32), nested_lists(probs)]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=n)
    return n_rows


def cleanlab(folder: str, out: str, *, find_issues: bool) -> Run:
    """Return what a competent user would write: read, one array, score, write."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    def run() -> dict[str, float]:
        start = time.perf_counter()
        table = pq.read_table(f"{folder}/rows.parquet")
        probs = table["pred_probs"].combine_chunks()
        matrix = probs.flatten().to_numpy().reshape(len(probs), -1)
        label = table["label"].to_numpy()
        read = time.perf_counter()
        scores = get_label_quality_scores(label, matrix, adjust_pred_probs=True)
        scored = time.perf_counter()
        result = {
            "id": table["id"],
            "label": table["label"],
            "predicted_label": matrix.argmax(axis=1),
            "label_quality": scores,
        }
        if find_issues:
            result["is_label_issue"] = find_label_issues(label, matrix)
        found = time.perf_counter()
        pq.write_table(pa.table(result), f"{out}/scores.parquet")
        return {
            "read": read - start,
            "scores": scored - read,
            "issues": found - scored,
            "write": time.perf_counter() - found,
        }

    return run


def floor(folder: str, out: str) -> Run:
    """Return Spark reading and writing the same columns, with an Arrow UDF that does nothing."""
    from bench import spark_session
    from pyspark.sql import functions as F

    spark = spark_session()

    def same(label: pa.Array, pred_probs: pa.Array) -> pa.Array:
        return pa.StructArray.from_arrays(
            [label.cast(pa.float64()), label], names=["label_quality", "predicted_label"]
        )

    same.__annotations__ = {"label": pa.Array, "pred_probs": pa.Array, "return": pa.Array}
    udf = F.arrow_udf(same, "struct<label_quality: double, predicted_label: int>")

    def run() -> None:
        (
            spark.read.parquet(f"file://{folder}/rows.parquet")
            .withColumn("new", udf("label", "pred_probs"))
            .select("id", "label", "new.predicted_label", "new.label_quality")
            .write.mode("overwrite")
            .parquet(f"file://{out}/floor")
        )

    return run


def _case(name: str, **others: Any) -> Case:
    find_issues = name == "issues"
    return Case(
        "multiclass",
        name,
        ("4000000x10", "800000x100", "80000x1000"),
        make_data,
        partial(job, task="multiclass", adjust_pred_probs=True, find_issues=find_issues),
        {"cleanlab": partial(cleanlab, find_issues=find_issues), **others},
        passes=("thresholds", "scores", "cuts", "issues"),
        rounds=3,
        runs=4,
        runs_of_others=4,
    )


CASES = (_case("scores", floor=floor), _case("issues", floor=floor))

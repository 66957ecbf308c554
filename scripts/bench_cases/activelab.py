"""ActiveLab on the annotations of the multi-annotator case."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench_cases.case import Case, Run
from bench_cases.multiannotator import N_CLASSES, make_data


def ours(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return how well each item is known; it is no job, and the engine reads."""
    from lq_spark import activelab

    def run() -> None:
        tables = (
            spark.read.parquet(f"file://{folder}/{name}.parquet")
            for name in ("annotations", "items")
        )
        items = activelab.score(*tables, n_classes=N_CLASSES).items
        items.write.mode("overwrite").parquet(f"file://{out}/scores")

    return run


_CASE = partial(
    Case, "activelab", sizes=("5000000",), make_data=make_data, ours=ours, units="annotations"
)

CASES = (_CASE("active", runs=1), _CASE("active_tenth", share=0.1, runs=1))

"""Labels of exclusive classes on DataFrames: a row a label."""

from lq_spark.tasks.multiclass.scores import (
    NoiseModel,
    Thresholds,
    find_issues,
    fit,
    fit_thresholds,
    score,
    summarize,
    validate,
)

__all__ = [
    "NoiseModel",
    "Thresholds",
    "find_issues",
    "fit",
    "fit_thresholds",
    "score",
    "summarize",
    "validate",
]

"""Labels that are numbers on DataFrames."""

from lq_spark.tasks.regression.scores import (
    RegressionHealth,
    find_issues,
    score,
    summarize,
    validate,
)

__all__ = [
    "RegressionHealth",
    "find_issues",
    "score",
    "summarize",
    "validate",
]

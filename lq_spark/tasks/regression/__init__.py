"""Labels that are numbers on DataFrames."""

from lq_spark.tasks.regression.issues import RegressionHealth, find_issues, summarize
from lq_spark.tasks.regression.scores import score, validate

__all__ = [
    "RegressionHealth",
    "find_issues",
    "score",
    "summarize",
    "validate",
]

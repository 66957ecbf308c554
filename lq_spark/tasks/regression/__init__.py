"""Labels that are numbers on DataFrames."""

from lq_spark.tasks.regression.health import RegressionHealth, summarize
from lq_spark.tasks.regression.issues import find_issues
from lq_spark.tasks.regression.scores import score, validate

__all__ = [
    "RegressionHealth",
    "find_issues",
    "score",
    "summarize",
    "validate",
]

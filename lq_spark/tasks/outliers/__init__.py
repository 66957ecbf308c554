"""Outliers of a DataFrame: rows far from all others, or of which a model is unsure."""

from lq_spark.tasks.outliers.fitted import FittedOutliers, fit
from lq_spark.tasks.outliers.health import OutlierHealth, summarize
from lq_spark.tasks.outliers.issues import find_issues, score, validate

__all__ = [
    "FittedOutliers",
    "OutlierHealth",
    "find_issues",
    "fit",
    "score",
    "summarize",
    "validate",
]

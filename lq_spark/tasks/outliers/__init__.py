"""Outliers of a DataFrame: rows far from all others, or of which a model is unsure."""

from lq_spark.tasks.outliers.issues import OutlierHealth, find_issues, score, summarize, validate

__all__ = ["OutlierHealth", "find_issues", "score", "summarize", "validate"]

"""Rows of a DataFrame that are there twice, or nearly, by their features or their text."""

from lq_spark.tasks.duplicates.health import DuplicateHealth, summarize
from lq_spark.tasks.duplicates.issues import find_issues, score, validate
from lq_spark.tasks.duplicates.leakage import between

__all__ = ["DuplicateHealth", "between", "find_issues", "score", "summarize", "validate"]

"""Nulls of a DataFrame: rows without values, and which columns have none."""

from lq_spark.tasks.nulls.health import NullHealth, summarize
from lq_spark.tasks.nulls.issues import find_issues, score, validate

__all__ = ["NullHealth", "find_issues", "score", "summarize", "validate"]

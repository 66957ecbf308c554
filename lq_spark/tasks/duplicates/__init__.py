"""Rows of a DataFrame that are there twice, or nearly, by their features."""

from lq_spark.tasks.duplicates.issues import DuplicateHealth, find_issues, summarize, validate

__all__ = ["DuplicateHealth", "find_issues", "summarize", "validate"]

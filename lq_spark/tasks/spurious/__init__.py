"""Spurious correlations of a DataFrame: columns that alone tell the classes apart."""

from lq_spark.tasks.spurious.issues import SpuriousHealth, find_issues, summarize, validate

__all__ = ["SpuriousHealth", "find_issues", "summarize", "validate"]

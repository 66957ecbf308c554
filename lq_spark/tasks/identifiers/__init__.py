"""Identifiers of a DataFrame: columns that number the rows."""

from lq_spark.tasks.identifiers.issues import IdentifierHealth, find_issues, summarize

__all__ = ["IdentifierHealth", "find_issues", "summarize"]

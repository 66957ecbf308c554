"""Identifiers: columns that number the rows, and so tell a model nothing that holds elsewhere."""

from lq_spark.core.identifiers.columns import find_identifier_columns, is_identifier

__all__ = ["find_identifier_columns", "is_identifier"]

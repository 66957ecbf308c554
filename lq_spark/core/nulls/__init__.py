"""Nulls: how many of the values of rows and columns are missing, and which go together."""

from lq_spark.core.nulls.patterns import find_nulls, is_null

__all__ = ["find_nulls", "is_null"]

"""Rows that are there twice, or nearly: by their features, between two tables, by their text."""

from lq_spark.core.duplicates.between import find_near_duplicates_between
from lq_spark.core.duplicates.components import rows_to_keep
from lq_spark.core.duplicates.near import find_near_duplicates
from lq_spark.core.duplicates.texts import find_near_duplicate_texts

__all__ = [
    "find_near_duplicate_texts",
    "find_near_duplicates",
    "find_near_duplicates_between",
    "rows_to_keep",
]

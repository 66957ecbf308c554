"""Whether the key column of a table is unique."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType

from lq_spark.engine.inputs import column, require_key

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SPARSE = 64
"""Whole numbers whose range is more than this many times their count do not go into bitmaps."""


@dataclass(frozen=True, slots=True)
class KeySummary:
    """How many rows a table has, and whether each has a key of its own."""

    n_rows: int
    is_unique: bool


def summarize_key(df: DataFrame, key: str) -> KeySummary:
    """Count the rows of a table and check its key exactly, reading the key column alone.

    Whole numbers in a narrow range are marked in bitmaps, one bit each. Other keys are shuffled as
    64-bit hashes, and the keys themselves only if two hashes are equal.
    """
    if isinstance(require_key(df, "id", key), IntegralType):
        return _summarize_integers(df, key)
    return _summarize_hashes(df, key)


def duplicate_keys(df: DataFrame, key: str) -> DataFrame:
    """Return the keys that more than one row has, each once. Null keys are not among them."""
    require_key(df, "id", key)
    keys = df.select(column(key).alias("key")).where("key is not null")
    counts = keys.groupBy("key").agg(F.count(F.lit(1)).alias("n_rows"))
    return counts.where("n_rows > 1").select(F.col("key").alias(key))


def _summarize_integers(df: DataFrame, key: str) -> KeySummary:
    [(n_rows, n_keys, low, high)] = df.agg(
        F.count(F.lit(1)), F.count(column(key)), F.min(column(key)), F.max(column(key))
    ).collect()
    if n_rows == 0 or n_keys < n_rows:
        return KeySummary(n_rows, n_rows == 0)
    if high - low > _SPARSE * n_rows:
        return _summarize_hashes(df, key)
    position = column(key).cast("bigint") - F.lit(low)
    [(n_distinct,)] = (
        df.groupBy(F.bitmap_bucket_number(position))
        .agg(F.bitmap_construct_agg(F.bitmap_bit_position(position)).alias("bitmap"))
        .agg(F.sum(F.bitmap_count("bitmap")))
        .collect()
    )
    return KeySummary(n_rows, n_distinct == n_rows)


def _summarize_hashes(df: DataFrame, key: str) -> KeySummary:
    [(n_rows, n_keys, most)] = (
        df.groupBy(F.xxhash64(column(key)))
        .agg(F.count(F.lit(1)).alias("rows"), F.count(column(key)).alias("keys"))
        .agg(F.sum("rows"), F.sum("keys"), F.max("rows"))
        .collect()
    )
    if n_rows is None:
        return KeySummary(0, True)
    return KeySummary(n_rows, n_keys == n_rows and (most == 1 or duplicate_keys(df, key).isEmpty()))

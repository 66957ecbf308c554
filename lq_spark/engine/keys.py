"""Whether the key column of a table tells its rows apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType

from lq_spark.engine.inputs import column, require_key

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SPARSE = 64
"""Whole numbers spread over more than this many times their count are not put into a bitmap."""


def duplicate_keys(df: DataFrame, key: str) -> DataFrame:
    """Return the keys that more than one row has, each once. Null keys are not among them."""
    keys = df.select(column(key)).where(column(key).isNotNull())
    return keys.groupBy(column(key)).count().where("count > 1").select(column(key))


def is_unique_key(df: DataFrame, key: str) -> bool:
    """Return whether every row has a key and no two rows have the same; reads the key column alone.

    Whole numbers that lie close together are marked in bitmaps, which takes one bit a row. Other
    keys are shuffled as 64-bit hashes; only if two hashes are equal the keys themselves are.
    """
    kind = require_key(df, "id", key)
    if not isinstance(kind, IntegralType):
        if not df.where(column(key).isNull()).isEmpty():
            return False
        hashes = df.select(F.xxhash64(column(key)).alias("hash"))
        return hashes.groupBy("hash").count().where("count > 1").isEmpty() or (
            duplicate_keys(df, key).isEmpty()
        )
    found = df.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count(column(key)).alias("keys"),
        F.min(column(key)).alias("low"),
        F.max(column(key)).alias("high"),
    ).first()
    if found is None or found["rows"] == 0:
        return True
    if found["keys"] < found["rows"]:
        return False
    if found["high"] - found["low"] > _SPARSE * found["rows"]:
        return duplicate_keys(df, key).isEmpty()
    position = column(key).cast("bigint") - F.lit(found["low"])
    marked = (
        df.groupBy(F.bitmap_bucket_number(position))
        .agg(F.bitmap_construct_agg(F.bitmap_bit_position(position)).alias("bitmap"))
        .agg(F.sum(F.bitmap_count("bitmap")).alias("keys"))
        .first()
    )
    return marked is not None and bool(marked["keys"] == found["rows"])

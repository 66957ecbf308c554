"""Ranges of keys of any type that can be ordered, cut where a few of the keys are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def range_number(df: DataFrame, n_ranges: int, n_drawn: int) -> Column:
    """Return the number of the range that ``key`` is in, higher for higher ones; few are equal.

    Reads the table once.

    Parameters
    ----------
    df : DataFrame
        Column ``key`` (any type that can be ordered, different in every row).
    n_ranges : int
        There is about one more.
    n_drawn : int
        Of so many keys, chosen by their hash, every few is one at which a range begins: of the more
        of them, the more equal the ranges are.
    """
    drawn = df.orderBy(F.xxhash64("key"), "key").limit(n_drawn).select("key")
    keys = [row["key"] for row in drawn.orderBy("key").collect()]
    number: Column | None = None
    for place, end in enumerate(keys[:: max(1, len(keys) // n_ranges)]):
        is_below = F.col("key") < F.lit(end)
        number = F.when(is_below, 0) if number is None else number.when(is_below, place)
    return F.lit(0) if number is None else number.otherwise(F.lit(len(keys)))

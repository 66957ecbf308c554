"""Running totals in the order of a key, without sorting a table in one task."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.engine.key_ranges import range_number

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

N_RANGES = 64
"""Into how many ranges a pass splits the rows, at keys chosen by their hash."""

MAX_SORTED = 4096
"""The most rows that are sorted."""


def reaching(df: DataFrame, total: int) -> tuple[Any, int]:
    """Return the key at which the running total of the counts is reached, and its part of it.

    The table is split into ranges of keys, then the range that reaches the total is split again,
    until few rows are left to sort: four or five times for a billion rows.

    Parameters
    ----------
    df : DataFrame
        Columns ``key`` (any type that can be ordered, different in every row) and ``count``
        (bigint, above 0). It is read in each pass: keep it narrow.
    total : int
        From 1 to the sum of the counts.

    Returns
    -------
    tuple
        The lowest key up to which the counts add up to ``total`` or more, and how much of its own
        count is needed to reach it.
    """
    n_rows = MAX_SORTED + 1
    while n_rows > MAX_SORTED:
        ranges = (
            df.groupBy(range_number(df, N_RANGES, N_RANGES).alias("number"))
            .agg(F.sum("count"), F.count(F.lit(1)), F.min("key"), F.max("key"))
            .orderBy("number")
            .collect()
        )
        place, total = _reached([count for _, count, *_ in ranges], total)
        _, _, n_rows, first, last = ranges[place]
        df = df.where(F.col("key").between(first, last))
    rows = df.select("key", "count").orderBy("key").collect()
    place, total = _reached([count for _, count in rows], total)
    return rows[place]["key"], total


def _reached(counts: list[int], total: int) -> tuple[int, int]:
    """Return the place at which the sum of the counts is total or more, and its part of it."""
    totals = [0, *accumulate(counts)]
    place = bisect_left(totals, total) - 1
    return place, total - totals[place]

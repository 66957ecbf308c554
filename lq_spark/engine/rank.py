"""Ranks over a whole table without sorting it in one task."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from lq_spark.engine.key_ranges import range_number
from lq_spark.engine.select import one_zero
from lq_spark.engine.small_tables import small_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

N_BUCKETS = 8192
"""Of values."""

N_RANGES, N_DRAWN = 64, 4096
"""Into how many ranges keys are cut, and how many of them say where."""

_CODE_BITS = 6
"""The highest bits of a code, which say its bucket."""

_BUCKET, _BEFORE = "__bucket", "__before"


def ranked(rows: DataFrame, *, share: str = "value") -> DataFrame:
    """Return the rows with ``rank``: 1 for the lowest value, of equal ones for the lowest key.

    Reads the rows once now, to count them in buckets, and once in the result.

    Parameters
    ----------
    rows : DataFrame
        Columns ``value`` (double, no NaN) and ``key`` (any type that can be ordered, different in
        every row), and any others.
    share : str
        A column from 0 to 1 that does not decrease as the value increases.
    """
    # A higher value is never in a lower bucket; buckets are finer near 0, where suspect rows are.
    fine = F.pow(F.greatest(F.col(share), F.lit(0.0)), F.lit(1.0 / 16.0))
    rows = rows.withColumn("value", one_zero("value"))
    bucketed = rows.withColumn(_BUCKET, F.floor(fine * F.lit(float(N_BUCKETS))))
    return _ranked(bucketed, "value", "key")


def ranked_by_key(rows: DataFrame, group: str | None = None) -> DataFrame:
    """Return the rows with ``rank``: 1 for the lowest key, or for the lowest of each group.

    Reads the rows twice now, to cut them into ranges of keys and to count these, and once in the
    result.

    Parameters
    ----------
    rows : DataFrame
        Column ``key`` (any type that can be ordered, different in every row), and any others.
    group : str, optional
        Column of bigint without nulls; its values are counted on the driver.
    """
    number = range_number(rows.select("key"), N_RANGES, N_DRAWN)
    groups = [] if group is None else [group]
    return _ranked(rows.withColumn(_BUCKET, number), "key", groups=groups)


def ranked_by_code(rows: DataFrame, group: str | None = None) -> DataFrame:
    """Return the rows with ``rank``: 1 for the lowest code, of equal ones for the lowest key.

    Or for the lowest of each group. Reads the rows once now, to count them in buckets, and once in
    the result.

    Parameters
    ----------
    rows : DataFrame
        Columns ``code`` (bigint, a well mixed hash: all numbers are equally likely), ``key`` (any
        type that can be ordered, different in every row), and any others.
    group : str, optional
        Column of bigint without nulls; its values are counted on the driver.
    """
    bucketed = rows.withColumn(_BUCKET, F.shiftright("code", 64 - _CODE_BITS))
    return _ranked(bucketed, "code", "key", groups=[] if group is None else [group])


def _ranked(bucketed: DataFrame, *order: str, groups: Sequence[str] = ()) -> DataFrame:
    """Return rows with their rank in an order in which a higher bucket comes after a lower one."""
    by = [*groups, _BUCKET]
    # Ordered here: the engine would take two more jobs to sort the few buckets.
    counts = sorted(map(tuple, bucketed.groupBy(*by).count().collect()))
    offsets: list[tuple[int, ...]] = []
    for _, of_group in itertools.groupby(counts, key=lambda row: row[:-2]):
        before = 0
        for *cell, count in of_group:
            offsets.append((*cell, before))
            before += count
    schema = StructType([StructField(name, LongType()) for name in (*by, _BEFORE)])
    table = small_table(bucketed.sparkSession, offsets, schema)
    # Of rows, not of values, which Sail cannot take as bounds if they are bytes.
    up_to_here = Window.unboundedPreceding, Window.currentRow
    ordered = Window.partitionBy(*by).orderBy(*order).rowsBetween(*up_to_here)
    place = F.row_number().over(ordered)
    return (
        bucketed.join(table.hint("broadcast"), by)
        .withColumn("rank", F.col(_BEFORE) + place)
        .drop(_BUCKET, _BEFORE)
    )

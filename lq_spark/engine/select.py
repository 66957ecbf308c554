"""Exact selection: the n lowest rows of each group, without sorting the table.

The n-th lowest row of every group is found by narrowing: count the rows in buckets between the
lowest and the highest value, go on inside the bucket that holds the n-th, until few rows are left
to sort. All groups share a pass; each pass is a native aggregate with a bounded result. All that
matters is that a lower bucket never holds a higher value, so the result is exact whatever the
values are; the buckets' shape (finer near the low end, where a few rows are sought among many)
determines the number of passes: two or three, and one for groups that are small already.

Ties at the value of the cut are broken by the key.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DoubleType, LongType, StructField, StructType

from lq_spark.engine.small_tables import small_table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MAX_COUNTS = 1 << 18
"""The most counts that a pass brings to the driver, but for MIN_BUCKETS in each group."""

MIN_BUCKETS, MAX_BUCKETS = 16, 4096
_FINER_AT_LOW_END = 1.0 / 16.0

MAX_SORTED = 1 << 14
"""The most rows of a group that are sorted, unless they have the same value."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a group is cut: rows with a lower value are taken, and those of this value up to a key.

    Attributes
    ----------
    value : float
    key : object or None
        None: all rows of this value are taken.
    n_missing : int
        How many more rows were requested than the group has.
    """

    value: float
    key: Any = None
    n_missing: int = 0


@dataclass(frozen=True, slots=True)
class _Bracket:
    """The values between which the n-th lowest row of a group lies, as the n-th from ``low``."""

    n: int
    low: float
    high: float

    @property
    def scale(self) -> float:
        """Return the factor that turns a distance from ``low`` into a share of the bracket.

        A factor, because an engine may raise for a division by 0 even where there are no rows.
        """
        width = self.high - self.low
        return min(1.0 / width, sys.float_info.max) if width > 0.0 else 0.0


def one_zero(name: str) -> Column:
    """Return a column of doubles without -0.0, which not every engine treats as equal to 0.0."""
    return (F.col(name) + F.lit(0.0)).alias(name)


def lowest_cuts(df: DataFrame, quotas: Mapping[int, int]) -> dict[int, Cut]:
    """Return where each group is cut so that its n lowest rows are taken.

    Parameters
    ----------
    df : DataFrame
        Columns ``group`` (whole number), ``value`` (double, no NaN) and ``key`` (any type that can
        be ordered, different in every row of a group). It is read in each pass: keep it narrow.
    quotas : mapping of int to int
        n of each group. No row is taken of a group that is not named or has n = 0; all rows are
        taken of a group that has no more than n.

    Returns
    -------
    dict of int to Cut
        For the groups that have rows to take. The result does not depend on the partitions.
    """
    wanted = {group: n for group, n in quotas.items() if n > 0}
    if not wanted:
        return {}
    spark = df.sparkSession
    named = small_table(spark, [(group,) for group in wanted], _numbers("group"))
    group = F.col("group").cast("bigint").alias("group")
    rows = df.select(group, one_zero("value"), "key").join(
        named.hint("broadcast"), "group", "left_semi"
    )
    found = _narrowed(rows, wanted)
    if not found.short:
        return found.cuts
    return found.cuts | _sorted_cuts(_rows_inside(rows, found.short))


def sorted_cuts(df: DataFrame, quotas: Mapping[int, int]) -> dict[int, Cut]:
    """Return :func:`lowest_cuts` in one pass, by sorting each group: for groups of few rows."""
    wanted = [(group, n) for group, n in quotas.items() if n > 0]
    numbers = small_table(df.sparkSession, wanted, _numbers("group", "n"))
    rows = df.withColumn("value", one_zero("value"))
    return _sorted_cuts(rows.join(numbers.hint("broadcast"), "group"))


def _numbers(*names: str) -> StructType:
    return StructType([StructField(name, LongType()) for name in names])


def take(
    df: DataFrame,
    cuts: Mapping[int, Cut],
    name: str,
    *,
    group: Column,
    value: Column,
    key: Column,
    key_type: DataType,
) -> DataFrame:
    """Return the table with a boolean column: whether a row is taken.

    Parameters
    ----------
    df : DataFrame
        Any table.
    cuts : mapping
        From :func:`lowest_cuts`.
    name : str
        Of the new column.
    group, value, key : Column
        What :func:`lowest_cuts` was given for these rows.
    key_type : DataType
        Of ``key``.
    """
    schema = StructType(
        [
            StructField("__cut_group", LongType()),
            StructField("__cut_value", DoubleType()),
            StructField("__cut_key", key_type),
        ]
    )
    rows = [(number, cut.value, cut.key) for number, cut in cuts.items()]
    table = small_table(df.sparkSession, rows, schema)
    up_to_key = F.col("__cut_key").isNull() | (key <= F.col("__cut_key"))
    taken = (value < F.col("__cut_value")) | ((value == F.col("__cut_value")) & up_to_key)
    joined = df.join(table.hint("broadcast"), group == F.col("__cut_group"), "left")
    return joined.withColumn(name, F.coalesce(taken, F.lit(False))).drop(*table.columns)


@dataclass(frozen=True, slots=True)
class _Found:
    """The state of each group: cut, few enough rows to sort, or still to be narrowed."""

    cuts: dict[int, Cut]
    short: dict[int, _Bracket]
    brackets: dict[int, _Bracket]

    def file(self, group: int, bracket: _Bracket, count: int) -> None:
        """File a bracket that holds ``count`` rows."""
        self.brackets.pop(group, None)
        if bracket.n >= count:
            self.cuts[group] = Cut(bracket.high, n_missing=bracket.n - count)
        elif bracket.low == bracket.high or count <= MAX_SORTED:
            self.short[group] = bracket
        else:
            self.brackets[group] = bracket


def _narrowed(rows: DataFrame, wanted: Mapping[int, int]) -> _Found:
    """Narrow by counts towards the n-th lowest row of each group; return the groups' states."""
    found = _Found({}, {}, {})
    ends = rows.groupBy("group").agg(F.count(F.lit(1)), F.min("value"), F.max("value"))
    for group, count, low, high in ends.collect():
        found.file(group, _Bracket(wanted[group], low, high), count)
    while found.brackets:
        for group, bracket, count in _count_buckets(rows, found.brackets):
            found.file(group, bracket, count)
    return found


def _count_buckets(
    rows: DataFrame, brackets: Mapping[int, _Bracket]
) -> list[tuple[int, _Bracket, int]]:
    """Return for each group the bucket that holds its n-th row, as a bracket with its count."""
    n_buckets = max(MIN_BUCKETS, min(MAX_BUCKETS, MAX_COUNTS // len(brackets)))
    inside = _rows_inside(rows, brackets)
    # Products, pow and floor never turn a higher value into a lower bucket.
    share = (F.col("value") - F.col("low")) * F.col("scale")
    bucket = F.floor(F.pow(share, F.lit(_FINER_AT_LOW_END)) * F.lit(float(n_buckets - 1)))
    counts = (
        inside.groupBy("group", bucket.alias("bucket"))
        .agg(F.count(F.lit(1)), F.min("value"), F.max("value"))
        .orderBy("group", "bucket")
        .collect()
    )
    found: dict[int, tuple[int, _Bracket, int]] = {}
    left = {group: bracket.n for group, bracket in brackets.items()}
    for group, _, count, low, high in counts:
        if group not in found and left[group] <= count:
            bracket = replace(brackets[group], n=left[group], low=low, high=high)
            found[group] = (group, bracket, count)
        left[group] -= count
    return list(found.values())


def _rows_inside(rows: DataFrame, brackets: Mapping[int, _Bracket]) -> DataFrame:
    """Return the rows that lie in their group's bracket, with columns low, high, scale and n."""
    table = small_table(
        rows.sparkSession,
        [(group, b.low, b.high, b.scale, b.n) for group, b in brackets.items()],
        StructType(
            [
                StructField("group", LongType()),
                *(StructField(name, DoubleType()) for name in ("low", "high", "scale")),
                StructField("n", LongType()),
            ]
        ),
    )
    return rows.join(table.hint("broadcast"), "group").where(
        F.col("value").between(F.col("low"), F.col("high"))
    )


def _sorted_cuts(rows: DataFrame) -> dict[int, Cut]:
    """Return the cut of each group at its n-th row, or its last: columns group, value, key, n."""
    ordered = Window.partitionBy("group").orderBy("value", "key")
    last = (
        rows.withColumn("place", F.row_number().over(ordered))
        .withColumn("next", F.lead("value").over(ordered))
        .where((F.col("place") == F.col("n")) | (F.col("place") < F.col("n")) & F.isnull("next"))
    )
    return {
        row["group"]: Cut(
            row["value"],
            row["key"] if row["next"] == row["value"] else None,
            row["n"] - row["place"],
        )
        for row in last.collect()
    }

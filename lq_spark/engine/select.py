"""Exact selection: the n lowest rows of each group, without sorting the table.

The n-th lowest row of every group is found by narrowing: count the rows in buckets between the
lowest and the highest value, go on inside the bucket that holds the n-th, until few rows are left
to be sorted. All groups share a pass; each pass is a native aggregate with a bounded result. What
counts is only that a lower bucket never holds a higher value, so the result is exact whatever the
values are; the buckets' shape (finer near the low end, where a few rows are sought among many)
decides how many passes it takes: two or three, and one for groups that are small already.

Rows with the very value of the cut are told apart by their key.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DoubleType, LongType, StructField, StructType

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MAX_COUNTS = 1 << 18
"""How many counts a pass brings to the driver at most, or MIN_BUCKETS a group."""

MIN_BUCKETS, MAX_BUCKETS = 16, 4096
_FINER_AT_LOW_END = 1.0 / 16.0

MAX_SORTED = 1 << 14
"""How many rows of a group are sorted at most, unless they have the same value."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a group is cut: rows of a lower value are taken, and of this value up to this key.

    Attributes
    ----------
    value : float
    key : object or None
        None: all rows of this value are taken.
    n_missing : int
        How many rows more were asked for than the group has.
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
        """Return what makes a distance from ``low`` a share of the bracket.

        A factor, because an engine may raise for a division of no rows.
        """
        width = self.high - self.low
        return min(1.0 / width, sys.float_info.max) if width > 0.0 else 0.0


def one_zero(name: str) -> Column:
    """Return a column of doubles in which 0 has no sign: not every engine takes both for equal."""
    return (F.col(name) + F.lit(0.0)).alias(name)


def lowest_cuts(df: DataFrame, quotas: Mapping[int, int]) -> dict[int, Cut]:
    """Return where each group is cut so that its n lowest rows are taken.

    Parameters
    ----------
    df : DataFrame
        Columns ``group`` (whole number), ``value`` (double, no NaN) and ``key`` (any type that can
        be ordered, different in every row of a group). It is read in each pass: keep it narrow.
    quotas : mapping of int to int
        n of each group. A group that is not named, or has n = 0, loses no row; of a group with no
        more than n rows all are taken.

    Returns
    -------
    dict of int to Cut
        For the groups that have rows to take. The result does not depend on the partitions.
    """
    wanted = {group: n for group, n in quotas.items() if n > 0}
    if not wanted:
        return {}
    spark = df.sparkSession
    named = spark.createDataFrame([(group,) for group in wanted], "group bigint")
    group = F.col("group").cast("bigint").alias("group")
    rows = df.select(group, one_zero("value"), "key").join(
        named.hint("broadcast"), "group", "left_semi"
    )
    found = _narrowed(rows, wanted)
    if not found.short:
        return found.cuts
    return found.cuts | _sorted_cuts(_rows_inside(rows, found.short))


def nth_lowest(df: DataFrame, ranks: Sequence[int]) -> list[float]:
    """Return the n-th lowest values of a table, exactly, for each n of ``ranks``.

    Parameters
    ----------
    df : DataFrame
        Column ``value`` (double, no NaN), and any others. It is read in each pass.
    ranks : sequence of int
        Each from 1 to the number of rows.
    """
    spark = df.sparkSession
    groups = spark.createDataFrame([(group,) for group in range(len(ranks))], "group bigint")
    rows = df.select(one_zero("value"), F.lit(0).alias("key")).crossJoin(groups.hint("broadcast"))
    found = _narrowed(rows, dict(enumerate(ranks)))
    values = {group: cut.value for group, cut in found.cuts.items()}
    # However many rows have the same value: they are not sorted, as keys are not asked for.
    values |= {group: bracket.low for group, bracket in found.short.items()}
    left = {group: bracket for group, bracket in found.short.items() if bracket.low < bracket.high}
    if left:
        cuts = _sorted_cuts(_rows_inside(rows, left))
        values |= {group: cut.value for group, cut in cuts.items()}
    return [values[group] for group in range(len(ranks))]


def sorted_cuts(df: DataFrame, quotas: Mapping[int, int]) -> dict[int, Cut]:
    """Return :func:`lowest_cuts` in one pass, by sorting each group: for groups of few rows."""
    schema = "group bigint, n bigint"
    numbers = df.sparkSession.createDataFrame([(g, n) for g, n in quotas.items() if n > 0], schema)
    rows = df.withColumn("value", one_zero("value"))
    return _sorted_cuts(rows.join(numbers.hint("broadcast"), "group"))


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
        What :func:`lowest_cuts` was given of these rows.
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
    table = df.sparkSession.createDataFrame(rows, schema)
    up_to_key = F.col("__cut_key").isNull() | (key <= F.col("__cut_key"))
    taken = (value < F.col("__cut_value")) | ((value == F.col("__cut_value")) & up_to_key)
    joined = df.join(table.hint("broadcast"), group == F.col("__cut_group"), "left")
    return joined.withColumn(name, F.coalesce(taken, F.lit(False))).drop(*table.columns)


@dataclass(frozen=True, slots=True)
class _Found:
    """How far each group has come: cut, few enough rows left to sort, or to be narrowed."""

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
    """Return how far narrowing by counts comes for the n-th lowest row of each group."""
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
    table = rows.sparkSession.createDataFrame(
        [(group, b.low, b.high, b.scale, b.n) for group, b in brackets.items()],
        "group bigint, low double, high double, scale double, n bigint",
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

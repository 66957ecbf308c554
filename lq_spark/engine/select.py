"""Exact selection: the n lowest rows of each group, without sorting the table.

The n-th lowest value of every group is found by narrowing: count the rows in buckets between the
lowest and the highest value, go on inside the bucket that holds the n-th. All groups share a pass;
each pass is a native aggregate with a bounded result. What counts is only that a lower bucket never
holds a higher value, so the result is exact whatever the values are; the buckets' shape (finer near
the low end, where a few rows are sought among many) decides how many passes it takes: two or three.

Rows with the very value of the cut are told apart by their key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MAX_COUNTS = 1 << 18
"""How many counts a pass brings to the driver at most."""

MAX_BUCKETS = 4096
_FINER_AT_LOW_END = 1.0 / 16.0


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a group is cut: rows of a lower value are taken, and of this value up to this key.

    Attributes
    ----------
    value : float
    key : object or None
        None: all rows of this value are taken.
    """

    value: float
    key: Any = None


@dataclass(frozen=True, slots=True)
class _Bracket:
    """The values between which the n-th lowest row of a group lies, as the n-th from ``low``."""

    n: int
    low: float
    high: float


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
    rows = df.select(F.col("group").cast("bigint").alias("group"), "value", "key").join(
        named.hint("broadcast"), "group", "left_semi"
    )
    cuts: dict[int, Cut] = {}
    tied: dict[int, tuple[float, int]] = {}
    brackets: dict[int, _Bracket] = {}
    ends = rows.groupBy("group").agg(F.count(F.lit(1)), F.min("value"), F.max("value"))
    for group, count, low, high in ends.collect():
        _narrow(group, _Bracket(wanted[group], low, high), count, cuts, tied, brackets)
    while brackets:
        for group, bracket, count in _count_buckets(rows, brackets):
            _narrow(group, bracket, count, cuts, tied, brackets)
    cuts.update(_cut_ties(rows, tied))
    return cuts


def take(df: DataFrame, cuts: Mapping[int, Cut], name: str, key_type: str) -> DataFrame:
    """Return the table with a boolean column: whether a row is taken.

    Parameters
    ----------
    df : DataFrame
        With columns ``group``, ``value`` and ``key`` as for :func:`lowest_cuts`.
    cuts : mapping
        From :func:`lowest_cuts`.
    name : str
        Of the new column.
    key_type : str
        Spark type of ``key``.
    """
    rows = [(group, cut.value, cut.key) for group, cut in cuts.items()]
    schema = f"cut_group bigint, cut_value double, cut_key {key_type}"
    table = df.sparkSession.createDataFrame(rows, schema)
    up_to_key = F.col("cut_key").isNull() | (F.col("key") <= F.col("cut_key"))
    taken = (F.col("value") < F.col("cut_value")) | (
        (F.col("value") == F.col("cut_value")) & up_to_key
    )
    joined = df.join(table.hint("broadcast"), F.col("group") == F.col("cut_group"), "left")
    return joined.withColumn(name, F.coalesce(taken, F.lit(False))).drop(*table.columns)


def _narrow(
    group: int,
    bracket: _Bracket,
    count: int,
    cuts: dict[int, Cut],
    tied: dict[int, tuple[float, int]],
    brackets: dict[int, _Bracket],
) -> None:
    """File a bracket that holds ``count`` rows under what is to be done with it."""
    brackets.pop(group, None)
    if bracket.n >= count:
        cuts[group] = Cut(bracket.high)
    elif bracket.low == bracket.high:
        tied[group] = (bracket.low, bracket.n)
    else:
        brackets[group] = bracket


def _count_buckets(
    rows: DataFrame, brackets: Mapping[int, _Bracket]
) -> list[tuple[int, _Bracket, int]]:
    """Return for each group the bucket that holds its n-th row, as a bracket with its count."""
    n_buckets = max(2, min(MAX_BUCKETS, MAX_COUNTS // len(brackets)))
    table = rows.sparkSession.createDataFrame(
        [(group, bracket.low, bracket.high) for group, bracket in brackets.items()],
        "group bigint, low double, high double",
    )
    inside = rows.join(table.hint("broadcast"), "group").where(
        F.col("value").between(F.col("low"), F.col("high"))
    )
    # Division, pow and floor never turn a higher value into a lower bucket.
    share = (F.col("value") - F.col("low")) / (F.col("high") - F.col("low"))
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


def _cut_ties(rows: DataFrame, tied: Mapping[int, tuple[float, int]]) -> dict[int, Cut]:
    """Return the cut of each group whose value is known and whose n-th key is not."""
    if not tied:
        return {}
    table = rows.sparkSession.createDataFrame(
        [(group, value, n) for group, (value, n) in tied.items()],
        "tie_group bigint, tie_value double, tie_n bigint",
    )
    equal = (F.col("group") == F.col("tie_group")) & (F.col("value") == F.col("tie_value"))
    by_key = Window.partitionBy("group").orderBy("key")
    last = (
        rows.join(table.hint("broadcast"), equal)
        .withColumn("place", F.row_number().over(by_key))
        .where("place = tie_n")
    )
    return {row["group"]: Cut(row["value"], row["key"]) for row in last.collect()}

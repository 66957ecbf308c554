"""The n-th lowest of numbers that are made of the rows of a table, exactly.

Rounds of counts in buckets, see :mod:`lq_spark.core.shared.selection`: in the first one all numbers
are counted by their leading bits, which another pass over the rows may do on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.selection import (
    Bracket,
    BucketCounts,
    count_buckets,
    merge_buckets,
    narrowed,
    order_bits,
)
from lq_spark.engine.readings import Input, column_input
from lq_spark.engine.reductions import Reduction, reduce_all
from lq_spark.engine.verbs import reduce_rows
from lq_spark.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Numbers = Callable[[pa.RecordBatch], Float64]
"""Rows -> a number each, not NaN; or of some of them."""

_ALL: Final = Bracket.between(-np.inf, np.inf, n=1)


def first_counts(inputs: Mapping[str, Input], numbers: Numbers) -> Reduction[BucketCounts]:
    """Return what makes the first round for :func:`nth_lowest`."""
    return Reduction(inputs, lambda batch: _counted(numbers(batch), [_ALL])[0], merge_buckets)


def nth_lowest(
    df: DataFrame, numbers: Numbers, ranks: Sequence[int], counts: BucketCounts | None = None
) -> list[Bracket]:
    """Return where the n-th lowest of a table's numbers lies, exactly, for each n of ``ranks``.

    Parameters
    ----------
    df : DataFrame
        The columns that ``numbers`` takes, alone; it is read in each of two or three rounds.
    numbers : callable
    ranks : sequence of int
        Each from 1 to how many numbers there are.
    counts : BucketCounts, optional
        Of :func:`first_counts`, if they were made.

    Raises
    ------
    DataError
        If there are fewer numbers.
    """
    found = {_ALL: _round(df, numbers, [_ALL])[0] if counts is None else counts}
    brackets = [replace(_ALL, n=n) for n in ranks]
    while found:
        brackets = [
            narrowed(bracket, found[_of_any(bracket)]) if _of_any(bracket) in found else bracket
            for bracket in brackets
        ]
        wanted = list(dict.fromkeys(_of_any(b) for b in brackets if not b.is_exact))
        found = dict(zip(wanted, _round(df, numbers, wanted), strict=True)) if wanted else {}
    return brackets


def ranked_numbers(
    df: DataFrame, numbers: Numbers, ranks_of: Callable[[int], Sequence[int]]
) -> tuple[int, list[Bracket]]:
    """Return how many numbers a table has, and where those of the ranks lie that this leads to.

    Parameters
    ----------
    df, numbers
        As for :func:`nth_lowest`.
    ranks_of : callable
        How many numbers there are, at least 1 -> ranks.
    """
    inputs = {name: column_input(name) for name in df.columns}
    counts: BucketCounts | None = reduce_all(df, {"first": first_counts(inputs, numbers)})["first"]
    n = 0 if counts is None else int(counts.count.sum())
    return n, nth_lowest(df, numbers, ranks_of(n), counts) if n else []


def _of_any(bracket: Bracket) -> Bracket:
    """Return the bracket, whichever of its numbers is sought."""
    return replace(bracket, n=1)


def _round(df: DataFrame, numbers: Numbers, brackets: Sequence[Bracket]) -> list[BucketCounts]:
    def merge(a: list[BucketCounts], b: list[BucketCounts]) -> list[BucketCounts]:
        return [merge_buckets(*counts) for counts in zip(a, b, strict=True)]

    found = reduce_rows(df, lambda batch: _counted(numbers(batch), brackets), merge)
    if found is None:
        raise DataError("the table had rows when they were counted and now has none")
    return found


def _counted(numbers: Float64, brackets: Sequence[Bracket]) -> list[BucketCounts]:
    bits = order_bits(numbers)
    return [count_buckets(bits, bracket) for bracket in brackets]

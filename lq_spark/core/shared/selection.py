"""The lowest of many numbers: in an array by sorting, else by counts in buckets, which merge.

The bits of a double, read as a whole number, are in the order of the doubles. So the numbers are
counted by their leading bits, then those in the bucket of the n-th by their next ones, until one
value is left. Two rounds find a float32; a double takes one or two more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.errors import DataError

BUCKET_BITS: Final = 17
"""A round has at most 2^17 buckets; in two of them 63 bits become the 29 that a float32 lacks."""


def lowest(values: NDArray[Any], n: np.integer | int | None = None) -> NDArray[np.int64]:
    """Return the positions of the n lowest values, lowest first; of equal ones, the first.

    All of them where n is not given.

    >>> lowest(np.array([0.5, 0.25, 0.25]), 2)
    array([1, 2])
    """
    return np.argsort(values, kind="stable")[:n]


def lowest_first(positions: NDArray[np.int64], values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return positions in the order of the values at them; of equal ones in their own order."""
    ordered: NDArray[np.int64] = positions[lowest(values[positions])]
    return ordered


@dataclass(frozen=True, slots=True)
class Bracket:
    """Between which values the n-th lowest lies.

    Attributes
    ----------
    low, high : int
        The lowest and highest value, as :func:`order_bits`.
    n : int
        The rank, from 1, among the numbers in the bracket.
    count : int or None
        How many numbers are in the bracket; None where that is not known yet.
    """

    low: int
    high: int
    n: int
    count: int | None = None

    @classmethod
    def between(cls, low: float, high: float, n: int) -> Bracket:
        """Return the bracket of the n-th lowest of numbers that all lie from low to high."""
        bits = order_bits(np.array([low, high]))
        return cls(int(bits[0]), int(bits[1]), n)

    @property
    def is_exact(self) -> bool:
        """Return whether one value is left."""
        return self.low == self.high

    @property
    def value(self) -> float:
        """Return the lowest value: the n-th lowest, where the bracket is exact."""
        bits = np.array([self.low])
        return float(np.where(bits < 0, bits ^ np.iinfo(np.int64).max, bits).view(np.float64)[0])

    @property
    def shift(self) -> int:
        """Return how many trailing bits the numbers of a bucket may differ in."""
        if self.count is not None and self.count <= 1 << BUCKET_BITS:
            return 0  # each value its own bucket, and no more buckets than in other rounds
        return max(0, (self.high - self.low).bit_length() - BUCKET_BITS)


@dataclass(frozen=True, slots=True)
class BucketCounts:
    """The numbers in a bracket, counted: arrays of int64, one entry a bucket that is not empty.

    Attributes
    ----------
    bucket : ndarray
        In order; the numbers of a lower bucket are lower.
    count : ndarray
    low, high : ndarray
        The lowest and highest number of the bucket, as :func:`order_bits`.
    """

    bucket: NDArray[np.int64]
    count: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


def order_bits(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return whole numbers in the order of the values, which hold no NaN; 0.0 and -0.0 are one.

    >>> order_bits(np.array([-0.5, -0.0, 0.0, 0.5])).argsort(kind="stable").tolist()
    [0, 1, 2, 3]
    """
    bits = (values.astype(np.float64) + 0.0).view(np.int64)
    return np.where(bits < 0, bits ^ np.iinfo(np.int64).max, bits)


def count_buckets(bits: NDArray[np.int64], bracket: Bracket) -> BucketCounts:
    """Return the counts of the numbers, in any order, that lie in a bracket."""
    inside = np.sort(bits[(bits >= bracket.low) & (bits <= bracket.high)])
    # Distances as they wrap around: between the ends of all numbers there are 2^64.
    distance = (inside - np.int64(bracket.low)).view(np.uint64)
    bucket = (distance >> np.uint64(bracket.shift)).astype(np.int64)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    ends = np.append(starts, len(bucket))[1:]
    return BucketCounts(bucket[starts], ends - starts, inside[starts], inside[ends - 1])


def merge_buckets(a: BucketCounts, b: BucketCounts) -> BucketCounts:
    """Return the counts of the numbers of ``a`` and ``b`` together, of the same bracket."""
    bucket, place = np.unique(np.concatenate([a.bucket, b.bucket]), return_inverse=True)
    count = np.zeros(len(bucket), dtype=np.int64)
    low = np.full(len(bucket), np.iinfo(np.int64).max)
    high = np.full(len(bucket), np.iinfo(np.int64).min)
    for part, at in ((a, place[: len(a.bucket)]), (b, place[len(a.bucket) :])):
        count[at] += part.count
        low[at] = np.minimum(low[at], part.low)
        high[at] = np.maximum(high[at], part.high)
    return BucketCounts(bucket, count, low, high)


def narrowed(bracket: Bracket, counts: BucketCounts) -> Bracket:
    """Return the bracket of the bucket that holds the n-th lowest number.

    Raises
    ------
    DataError
        If there are fewer than n numbers.
    """
    up_to = np.cumsum(counts.count)
    i = int(np.searchsorted(up_to, bracket.n))
    if i == len(up_to):
        raise DataError(f"the {bracket.n}-th lowest of {int(counts.count.sum())} numbers is asked")
    count = int(counts.count[i])
    n = bracket.n - (int(up_to[i]) - count)
    return Bracket(int(counts.low[i]), int(counts.high[i]), n, count)


def nth_lowest(values: NDArray[np.floating], n: int) -> Bracket:
    """Return the exact bracket of the n-th lowest value, n from 1.

    Examples
    --------
    >>> found = nth_lowest(np.array([0.5, 0.25, 0.75, 0.5]), 2)
    >>> found.value, found.n, found.count  # it is the first of the two that are 0.5
    (0.5, 1, 2)
    """
    bits = order_bits(values)
    bracket = Bracket(int(bits.min(initial=0)), int(bits.max(initial=0)), n)
    while not (bracket.is_exact and bracket.count is not None):
        bracket = narrowed(bracket, count_buckets(bits, bracket))
    return bracket

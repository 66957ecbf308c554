"""Means and standard deviations of doubles of any size, exact: from sums of whole numbers.

A double is a whole number of 53 bits times a power of two. Those whole numbers and their squares
are summed by power, in limbs small enough that nothing is rounded; so partial sums merge in any
order, one pass is enough, and neither a large offset nor a huge or tiny value loses a digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64

_LIMB_BITS = 18
"""Three limbs hold 53 bits and a sign."""

_BLOCK_ROWS = 1 << 17
"""bincount adds in float64: exact as long as products of two limbs stay below 2^53 in sum."""

_LOWEST_POWER = -1073
"""The smallest double is 0.5 times two to this power."""

_UNIT_BITS = 53 - _LOWEST_POWER
"""Sums are in units of two to minus this power."""


@dataclass(frozen=True, slots=True)
class Moments:
    """What is known of the numbers of a column.

    Attributes
    ----------
    count : int
    total : int
        Their sum, in units of 2^-1126.
    squares : int
        The sum of their squares, in units of 2^-2252.
    low, high : float
        The lowest and the highest of them.
    """

    count: int
    total: int
    squares: int
    low: float
    high: float

    @property
    def mean(self) -> float:
        """Return the correctly rounded mean."""
        # Python divides integers of any size correctly rounded.
        return self.total / (self.count << _UNIT_BITS)

    @property
    def std(self) -> float:
        """Return the population standard deviation; exactly 0 if all numbers are equal."""
        return self._root(self.count * self.squares - self.total**2)

    @property
    def rms(self) -> float:
        """Return the root of the mean square."""
        return self._root(self.count * self.squares)

    def _root(self, squares: int) -> float:
        """Return the root of a sum of squares, times count, over the count."""
        # 64 more bits than the root needs: two numbers that nearly agree have a small spread.
        return math.isqrt(squares << 128) / (self.count << (_UNIT_BITS + 64))


def partial_moments(values: Float64) -> Moments:
    """Return the state of a batch of finite numbers, at least one.

    >>> state = partial_moments(np.array([1e16, 1.0, -1e16, 2.0]))
    >>> state.mean, partial_moments(np.array([0.1] * 3)).std
    (0.75, 0.0)
    """
    total = squares = 0
    for start in range(0, len(values), _BLOCK_ROWS):
        parts = _summed(values[start : start + _BLOCK_ROWS])
        total, squares = total + parts[0], squares + parts[1]
    return Moments(len(values), total, squares, float(values.min()), float(values.max()))


def merge_moments(a: Moments, b: Moments) -> Moments:
    """Return the state of the numbers of ``a`` and ``b`` together."""
    return Moments(
        a.count + b.count,
        a.total + b.total,
        a.squares + b.squares,
        min(a.low, b.low),
        max(a.high, b.high),
    )


def r_squared(labels: Moments, residuals: Moments) -> float | None:
    """Return the share of the labels' variance that predictions explain; None if they have none.

    >>> given, predicted = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 3.0])
    >>> r_squared(partial_moments(given), partial_moments(predicted - given))
    0.8
    """
    if labels.std == 0.0:
        return None
    unexplained = residuals.rms / labels.std
    return 1.0 - unexplained * unexplained


def _summed(values: Float64) -> tuple[int, int]:
    """Return the sum of at most _BLOCK_ROWS numbers, and of their squares."""
    fractions, powers = np.frexp(values)
    whole = np.ldexp(fractions, 53).astype(np.int64)
    powers = powers - _LOWEST_POWER
    lowest = int(powers.min())
    powers -= lowest
    mask = (1 << _LIMB_BITS) - 1
    limbs = [(whole >> shift) & mask for shift in (0, _LIMB_BITS)] + [whole >> (2 * _LIMB_BITS)]
    total = squares = 0
    for i, limb in enumerate(limbs):
        total += _by_power(limb, powers, 1) << (i * _LIMB_BITS)
        for j, other in enumerate(limbs[: i + 1]):
            products = _by_power(limb * other, powers, 2) << ((i + j) * _LIMB_BITS)
            squares += products << (i != j)
    return total << lowest, squares << (2 * lowest)


def _by_power(whole: NDArray[np.int64], powers: NDArray[np.int32], factor: int) -> int:
    """Return the sum of whole numbers times two to the power of ``factor`` times their power."""
    sums = np.bincount(powers, weights=whole)
    return sum(int(sums[power]) << (factor * int(power)) for power in np.flatnonzero(sums))

"""Medians and quantiles by the numbers of two ranks: those of numpy, wherever the numbers are."""

from __future__ import annotations

import math
from typing import NamedTuple


class Quantile(NamedTuple):
    """Between which numbers, ordered, a quantile lies.

    Attributes
    ----------
    low, high : int
        Their ranks, from 1.
    weight : float
        How far from the lower one to the higher one, from 0 to 1.
    """

    low: int
    high: int
    weight: float

    def of(self, low: float, high: float) -> float:
        """Return the quantile, of the numbers of these ranks, as ``numpy.quantile`` rounds it.

        >>> quantile(4, 0.25).of(2.0, 3.0)
        2.75
        """
        if self.weight < 0.5:
            return low + (high - low) * self.weight
        return high - (high - low) * (1.0 - self.weight)


def quantile(n: int, share: float) -> Quantile:
    """Return where the quantile of n numbers lies, n at least 1, between neighbours linearly.

    >>> quantile(5, 0.25)
    Quantile(low=2, high=3, weight=0.0)
    """
    place = share * (n - 1)
    low = math.floor(place)
    return Quantile(low + 1, min(low + 2, n), place - low)


def median_ranks(n: int) -> tuple[int, int]:
    """Return the ranks whose mean is the median of n numbers.

    >>> median_ranks(4), median_ranks(5)
    ((2, 3), (3, 3))
    """
    return (n + 1) // 2, n // 2 + 1

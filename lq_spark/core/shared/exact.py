"""Sums of probabilities that are the same, to the bit, in every order of addition.

A number near [0, 1] is kept as two whole ones, ``high / 2^30 + low / 2^60``; what is below 2^-60
is cut off. Integer sums have no rounding, so partial sums merge in any order, and rows taken away
again leave no drift.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SCALE_BITS: Final = 30
"""Bits in each half."""

MAX_TERMS: Final = 1 << 32
"""How many halves an int64 is sure to hold the sum of."""


def scaled_halves(values: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two halves of each value, as whole numbers in float64."""
    scaled = values.astype(np.float64) * 2.0**SCALE_BITS
    high = np.floor(scaled)
    return high, np.floor((scaled - high) * 2.0**SCALE_BITS)


def exact_mean(high: int, low: int, count: int) -> float:
    """Return the correctly rounded mean of ``count`` values from the sums of their halves.

    >>> exact_mean(high=3 << 29, low=0, count=2)  # 0.5 + 1.0
    0.75
    """
    # Python divides integers of any size correctly rounded.
    return ((int(high) << SCALE_BITS) + int(low)) / (int(count) << (2 * SCALE_BITS))


def scaled_means(
    high: NDArray[np.int64], low: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the means of many sums of halves, within a few units in the last place.

    The same sums give the same bits.

    >>> scaled_means(np.array([3 << 29]), np.array([0]), np.array([2]))
    array([0.75])
    """
    sums = high.astype(np.float64) + low * 2.0**-SCALE_BITS
    means: NDArray[np.float64] = sums / counts * 2.0**-SCALE_BITS
    return means

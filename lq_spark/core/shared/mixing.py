"""Numbers that look random and are the same in every process, on every machine."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]

_MIXERS: Final = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
"""Of the generator SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): each bit depends on all."""


def mixed(codes: UInt64) -> UInt64:
    """Return numbers in which each bit depends on all bits of the given ones: none become equal."""
    found = codes.copy()
    for shift, factor in _MIXERS:
        found ^= found >> shift
        found *= factor
    found ^= found >> np.uint64(31)
    return found


def row_codes(rows: NDArray[np.floating], seed: int) -> UInt64:
    """Return a number of each row of floating-point numbers, shape (n,): of equal rows the same.

    >>> row_codes(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]), seed=0) % np.uint64(100)
    array([94, 44, 94], dtype=uint64)
    """
    words = np.ascontiguousarray(rows).view(f"u{rows.dtype.itemsize}")
    found = np.full(len(rows), seed, dtype=np.uint64)
    for column in words.T:
        found = mixed(found ^ column.astype(np.uint64))
        found += np.uint64(0x9E3779B97F4A7C15)
    return found

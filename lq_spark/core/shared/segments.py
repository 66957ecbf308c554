"""Flat arrays cut into segments: the tokens of sentences, the boxes of images, the labels of items.

Segment s of n has the places ``offsets[s]`` to ``offsets[s + 1] - 1``; offsets have the shape
(n + 1,), and the first need not be 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64

TEMPERATURE_LOWER_BOUND: Final = 1e-6
"""Floor of a softmin's temperature above 0, as in cleanlab."""

EMPTY_SCORE: Final = 1.0
"""The minimum of no number in [0, 1]: where nothing is scored nothing is suspect."""

_BLOCK_ELEMENTS = 1 << 17
"""Scores of one long segment that are weighed at once."""


def offsets_of(lengths: Iterable[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the offsets of segments of these lengths.

    >>> offsets_of([2, 0, 3])
    array([0, 2, 2, 5])
    """
    sizes = lengths if isinstance(lengths, (np.ndarray, Sequence)) else list(lengths)
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def owners(offsets: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the segment of each place.

    >>> owners(np.array([0, 2, 2, 5]))
    array([0, 0, 2, 2, 2])
    """
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def ranges(firsts: NDArray[np.integer], counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return ``firsts[i]`` to ``firsts[i] + counts[i] - 1`` for each i, one after the other.

    >>> ranges(np.array([7, 0, 3]), np.array([2, 0, 1]))
    array([7, 8, 3])
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    found: NDArray[np.int64] = np.arange(total) + np.repeat(firsts - (ends - counts), counts)
    return found


def places(flat: NDArray[np.integer], offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (segment, place in the segment) of places among all.

    >>> places(np.array([2, 1]), np.array([0, 2, 2, 5]))
    [(2, 0), (0, 1)]
    """
    segments = np.searchsorted(offsets, flat, side="right") - 1
    return list(zip(segments.tolist(), (flat - offsets[segments]).tolist(), strict=True))


def minima(scores: NDArray[np.floating], offsets: NDArray[np.integer]) -> Float64:
    """Return the lowest score of each segment, 1 for one without scores.

    >>> minima(np.array([0.5, 0.75, 0.25]), np.array([0, 2, 2, 3]))
    array([0.5 , 1.  , 0.25])
    """
    values, starts, _, filled = _filled(scores, offsets)
    found = np.full(len(filled), EMPTY_SCORE)
    if len(starts):
        found[filled] = np.minimum.reduceat(values, starts)
    return found


def first_minima(scores: NDArray[np.floating], offsets: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the place in each segment of its lowest score, of equal ones the first; -1 if empty.

    >>> first_minima(np.array([0.5, 0.25, 0.25, 0.75]), np.array([0, 3, 3, 4]))
    array([ 1, -1,  0])
    """
    values, starts, lengths, filled = _filled(scores, offsets)
    found = np.full(len(filled), -1, dtype=np.int64)
    if len(starts):
        above = values > np.repeat(np.minimum.reduceat(values, starts), lengths)
        lowest = np.flatnonzero(~above)
        found[filled] = lowest[np.searchsorted(lowest, starts)] - starts
    return found


def softmins(
    scores: NDArray[np.floating], offsets: NDArray[np.integer], temperature: float
) -> Float64:
    """Return the mean of each segment's scores s, weighted by ``softmax((1 - s) / temperature)``.

    Parameters
    ----------
    scores : ndarray of float
    offsets : ndarray of int, shape (n + 1,)
    temperature : float
        Below 1e-6 it is taken as 1e-6; infinity is the mean.

    Returns
    -------
    ndarray of float64, shape (n,)
        What a segment gets does not depend on the others, to the bit; 1 without scores.

    Examples
    --------
    >>> softmins(np.array([0.5, 1.0, 0.25]), np.array([0, 2, 2, 3]), 0.1).round(3)
    array([0.503, 1.   , 0.25 ])
    """
    values, starts, lengths, filled = _filled(scores, offsets)
    found = np.full(len(filled), EMPTY_SCORE)
    if len(starts):
        lowest = np.repeat(np.minimum.reduceat(values, starts), lengths)
        with np.errstate(under="ignore"):
            weights = _weights(values, lowest, temperature)
            sums = np.add.reduceat(weights * values, starts)
        found[filled] = sums / np.add.reduceat(weights, starts)
    return found


def softmin(scores: NDArray[np.floating], temperature: float) -> float:
    """Return the softmin of one segment of any length, as of :func:`softmins`, block by block.

    >>> round(softmin(np.array([0.5, 1.0]), 0.1), 3)
    0.503
    """
    if not len(scores):
        return EMPTY_SCORE
    lowest = float(scores.min())
    total = all_weights = 0.0
    for start in range(0, len(scores), _BLOCK_ELEMENTS):
        block = scores[start : start + _BLOCK_ELEMENTS].astype(np.float64)
        with np.errstate(under="ignore"):
            weights = _weights(block, lowest, temperature)
            total += float(np.add.reduce(weights * block))
        all_weights += float(np.add.reduce(weights))
    return total / all_weights


def _weights(scores: Float64, lowest: Float64 | float, temperature: float) -> Float64:
    """Return the weights of scores, that of the lowest being 1."""
    return np.exp((lowest - scores) / max(temperature, TEMPERATURE_LOWER_BOUND))


def _filled(
    scores: NDArray[np.floating], offsets: NDArray[np.integer]
) -> tuple[Float64, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return scores, starts and lengths of the segments that have scores, and which those are.

    Without the empty ones each segment ends where the next starts, as reduceat wants it.
    """
    bounds = np.asarray(offsets, dtype=np.int64)
    values = np.ascontiguousarray(scores[bounds[0] : bounds[-1]], dtype=np.float64)
    lengths = np.diff(bounds)
    filled = lengths > 0
    return values, (bounds[:-1] - bounds[0])[filled], lengths[filled], filled

"""The statistic of a table of any size, from counts in ranges of index distances.

Counts of each index distance are as many numbers as there are rows. How many neighbours are in a
range of distances says between which bounds the statistic of the range lies; where it may be the
largest, the range is split and its parts are counted in another pass, down to single distances. So
a pass has some multiple of the square root of all neighbours to count, and the statistic is, to the
bit, that of :func:`lq_spark.core.noniid.statistic.finish_statistic`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.noniid.permutations import Permutation
from lq_spark.core.noniid.statistic import expected_shares, index_distances
from lq_spark.core.shared.blocks import Float64

_LEAST_RANGES: Final = 1 << 12

_PER_ROOT: Final = 4
"""In random order the statistic is about as large as one over the square root of all neighbours,
and bounds are apart by one over the number of ranges."""

_PARTS: Final = 8
"""Into so many, at least, a range is split."""


@dataclass(frozen=True, slots=True)
class StatisticSearch:
    """What is known of the statistic of an order of rows.

    Attributes
    ----------
    n_rows, n_neighbors : int
        Rows, and neighbours of all of them.
    reached : float
        The statistic is at least this, and no more than this when no range is left.
    starts, ends : ndarray of int64
        The ranges of distances in which it may be larger, ascending; an end is not part of it.
    below : ndarray of int64
        How many neighbours are nearer than the range that each of them is a part of.
    first : ndarray of int64
        Where the parts of that range begin.
    """

    n_rows: int
    n_neighbors: int
    reached: float
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    below: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of_all(cls, n_rows: int, n_neighbors: int) -> StatisticSearch:
        """Return the search in all distances, when nothing is known."""
        nothing = np.zeros(1, dtype=np.int64)
        return _split(n_rows, n_neighbors, 0.0, nothing + 1, nothing + n_rows, nothing)

    @property
    def is_done(self) -> bool:
        """Return whether ``reached`` is the statistic."""
        return not len(self.starts)


def partial_counts(
    rows: NDArray[np.int64],
    neighbors: NDArray[np.integer],
    search: StatisticSearch,
    permutation: Permutation | None = None,
) -> NDArray[np.int64]:
    """Return the state of a batch of rows: how many neighbours are in each range that is searched.

    Parameters as for :func:`lq_spark.core.noniid.statistic.partial_index_distances`; states of the
    rows of several batches are added up.
    """
    distances = index_distances(rows, neighbors, permutation).ravel()
    starts, ends = search.starts, search.ends
    width = int(ends[0] - starts[0])
    if (starts[1:] == ends[:-1]).all() and (ends[:-1] - starts[:-1] == width).all():
        distances = distances[(distances >= starts[0]) & (distances < ends[-1])]
        place = (distances - starts[0]) // width
    else:
        place = np.searchsorted(starts, distances, side="right") - 1
        place = place[(place >= 0) & (distances < ends[place])]
    return np.bincount(place, minlength=len(starts)).astype(np.int64)


def narrowed(search: StatisticSearch, counts: NDArray[np.int64]) -> StatisticSearch:
    """Return the search with what the counts of all rows in its ranges say.

    Examples
    --------
    >>> search = StatisticSearch.of_all(n_rows=4, n_neighbors=4)
    >>> found = narrowed(search, np.array([2, 1, 1]))
    >>> found.is_done, round(found.reached, 4)
    (True, 0.5)
    """
    up_to = np.cumsum(counts)
    before = up_to - counts
    below = search.below + before - before[search.first]
    there = np.flatnonzero(counts)
    starts, ends, below = search.starts[there], search.ends[there], below[there]
    # Of a range's neighbours the first has the lowest rank and the last the highest.
    lowest = below / search.n_neighbors
    highest = (below + counts[there] - 1) / search.n_neighbors
    least, most = (expected_shares(d, search.n_rows) for d in (starts, ends - 1))
    at_most = np.maximum(np.abs(highest - least), np.abs(lowest - most))
    at_least = np.maximum(_outside(lowest, least, most), _outside(highest, least, most))
    reached = max(search.reached, float(at_least.max(initial=0.0)))
    further = at_most > reached
    ranges = starts[further], ends[further], below[further]
    return _split(search.n_rows, search.n_neighbors, reached, *ranges)


def _outside(shares: Float64, least: Float64, most: Float64) -> Float64:
    """Return how far shares are from a range, 0 inside of it."""
    away: Float64 = np.maximum(np.maximum(least - shares, shares - most), 0.0)
    return away


def _split(
    n_rows: int,
    n_neighbors: int,
    reached: float,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    below: NDArray[np.int64],
) -> StatisticSearch:
    """Return a search in ranges, each of them split into parts, or single distances."""
    n_ranges = max(_LEAST_RANGES, _PER_ROOT * math.isqrt(n_neighbors))
    n_parts = max(_PARTS, n_ranges // max(1, len(starts)))
    width = -(-(ends - starts) // n_parts)
    n_of_each = -(-(ends - starts) // np.maximum(width, 1))
    first = np.repeat(np.cumsum(n_of_each) - n_of_each, n_of_each)
    width, all_ends = np.repeat(width, n_of_each), np.repeat(ends, n_of_each)
    part_starts = np.repeat(starts, n_of_each) + (np.arange(len(first)) - first) * width
    part_ends = np.minimum(part_starts + width, all_ends)
    of_each = part_starts, part_ends, np.repeat(below, n_of_each), first
    return StatisticSearch(n_rows, n_neighbors, reached, *of_each)

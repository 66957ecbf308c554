"""Near duplicates by the nearest neighbours of rows, by the rule of cleanlab's Datalab.

Two rows are near duplicates whose distance is a small share of how far the median row is from its
nearest neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.duplicates.components import connected
from lq_spark.core.neighbors.graph import KnnGraph, checked_graph
from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.core.shared.segments import offsets_of
from lq_spark.errors import require_number

THRESHOLD: Final = 0.13
"""Near is below this share of the median distance to the nearest neighbour, by default."""

MEDIAN_LOWER_BOUND: Final = 1e-6
"""Floor of that median: where most rows have an equal one, it would be 0."""

SCORED_0: Final = 1e-8
"""Up to this distance the score is 0."""


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Which rows of a table are near duplicates of which others.

    Attributes
    ----------
    is_near_duplicate : ndarray of bool, shape (n,)
        Whether there is another row so near, or a row that is so near to it.
    is_exact_duplicate : ndarray of bool, shape (n,)
        Whether the nearest is at distance 0: equal in all features or, by cosine, in direction.
    score : ndarray of float64, shape (n,)
        0 for a row that is there twice, towards 1 for one far from all others.
    distance_to_nearest : ndarray of float64, shape (n,)
    members : ndarray of int64
        The near duplicates of each row, row after row: its own nearest first, then in their order
        the rows whose nearest it is.
    offsets : ndarray of int64, shape (n + 1,)
        Where the members of each row are.
    component : ndarray of int64, shape (n,)
        The lowest row that a chain of near duplicates leads to; of most rows themselves.
    """

    is_near_duplicate: Mask
    is_exact_duplicate: Mask
    score: Float64
    distance_to_nearest: Float64
    members: NDArray[np.int64]
    offsets: NDArray[np.int64]
    component: NDArray[np.int64]

    def set_of(self, row: int) -> NDArray[np.int64]:
        """Return the near duplicates of a row."""
        return self.members[self.offsets[row] : self.offsets[row + 1]]


def find_near_duplicates(
    neighbors: ArrayLike, distances: ArrayLike, *, threshold: float = THRESHOLD
) -> NearDuplicates:
    """Return which rows are near duplicates, from the graph of their nearest neighbours.

    Parameters
    ----------
    neighbors, distances
        As for :func:`lq_spark.core.neighbors.checked_graph`, of
        :func:`lq_spark.core.neighbors.knn_graph` for instance. Of more near duplicates than there
        are neighbours in the graph, each row names as many.
    threshold : float
        At least 0. Rows are near whose distance is below this share of the median distance to the
        nearest neighbour; for 0 none are.

    Returns
    -------
    NearDuplicates

    Raises
    ------
    OptionError
        If the threshold is below 0, which cleanlab takes as 0.
    DataError
        If the graph cannot be used.

    Notes
    -----
    As in cleanlab the median is at least 1e-6: where more than half of the rows have an exact
    duplicate, only rows at a distance below 1.3e-7 are near by default.

    Examples
    --------
    >>> found = find_near_duplicates([[1], [0], [1], [2]], [[0.01], [0.01], [4.0], [5.0]])
    >>> found.component, found.set_of(0)
    (array([0, 0, 2, 3]), array([1]))
    >>> found.score.round(4)
    array([0.005 , 0.005 , 0.864 , 0.9174])
    """
    share = require_number("threshold", threshold, 0.0)
    graph = checked_graph(neighbors, distances)
    nearest = graph.distances[:, 0].copy()
    unit = unit_distance(float(np.median(nearest)))
    a, b = near_pairs(graph, share * unit)
    members, offsets = symmetric_sets(len(nearest), a, b)
    return NearDuplicates(
        np.diff(offsets) > 0,
        nearest == 0.0,
        scores_from_nearest(nearest, unit),
        nearest,
        members,
        offsets,
        connected(len(nearest), a, b),
    )


def unit_distance(median_nearest: float) -> float:
    """Return the unit of distances: the median distance to the nearest neighbour, with a floor."""
    return max(median_nearest, MEDIAN_LOWER_BOUND)


def scores_from_nearest(nearest: Float64, unit: float) -> Float64:
    """Return the score of each row from the distance to its nearest neighbour, shape (n,).

    >>> scores_from_nearest(np.array([0.0, 0.5]), 0.5).round(4)
    array([0.    , 0.6321])
    """
    scores: Float64 = -np.expm1(-nearest / unit)
    scores[nearest <= SCORED_0] = 0.0
    return scores


def near_pairs(
    graph: KnnGraph, limit: float, first: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (rows, neighbours) of all entries of a graph whose distance is below a limit.

    Row by row, nearest first; ``first`` is the number of the first row that the graph is given of.
    """
    rows, columns = np.nonzero(graph.distances < limit)
    return rows + first, graph.neighbors[rows, columns]


def symmetric_sets(
    n_rows: int, a: NDArray[np.int64], b: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each row what it is paired with, on either side, each once.

    Parameters
    ----------
    n_rows : int
    a, b : ndarray of int64, shape (p,)
        Pairs, in the order of their first rows; none twice.

    Returns
    -------
    members : ndarray of int64
        Row after row: what it is the first of, in the given order, then the others in their order.
    offsets : ndarray of int64, shape (n + 1,)

    Examples
    --------
    >>> symmetric_sets(3, np.array([0, 0, 2]), np.array([2, 1, 0]))
    (array([2, 1, 0, 0]), array([0, 2, 3, 4]))
    """
    known = np.sort(a * n_rows + b)
    back = b * n_rows + a
    place = np.minimum(np.searchsorted(known, back), max(len(known) - 1, 0))
    only_back = known[place] != back
    rows = np.concatenate([a, b[only_back]])
    members = np.concatenate([b, a[only_back]])
    # Pairs come in the order of their first rows, so those back do, row by row, too.
    order = np.argsort(rows, kind="stable")
    return members[order], offsets_of(np.bincount(rows, minlength=n_rows))

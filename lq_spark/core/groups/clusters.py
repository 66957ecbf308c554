"""DBSCAN on a graph of nearest neighbours, as steps that a distributed loop can repeat.

A core row has enough neighbours that are near. Each core row sends the lowest core row that it
knows of, its root, to its near neighbours: itself at first. Each row keeps the lowest that it gets.
When nothing changes, rows of one root are a cluster. The graph is directed, a row may be near to
another whose own neighbours are all nearer, so that what is sent takes no short cuts.

Source: Ester, Kriegel, Sander, Xu, "A density-based algorithm for discovering clusters in large
spatial databases with noise", KDD (1996); numbered as by scikit-learn on the same sparse graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Mask
from lq_spark.core.shared.positions import checked_neighbors
from lq_spark.errors import DataError, require_number, require_whole_number

NO_ROOT: Final = int(np.iinfo(np.int64).max)
"""The root of a row that no core row has reached."""

OUTLIER: Final = -1
"""The cluster of rows that are in none."""


@dataclass(frozen=True, slots=True)
class Edges:
    """From which rows to which ones roots are sent: positions, arrays of int64 of one length."""

    sources: NDArray[np.int64]
    targets: NDArray[np.int64]


def dbscan_labels(
    neighbors: ArrayLike, distances: ArrayLike, *, eps: float = 0.5, min_samples: int = 5
) -> NDArray[np.int64]:
    """Return the cluster of each row.

    Parameters
    ----------
    neighbors : array-like of int, shape (n, k)
        Positions of the nearest other rows of each row, in any order.
    distances : array-like of float, shape (n, k)
        How far they are.
    eps : float
        Up to which distance a neighbour is near; at least 0.
    min_samples : int
        How many near rows a core row has, itself among them.

    Returns
    -------
    ndarray of int64, shape (n,)
        0, 1, … in the order of each cluster's first core row; -1 for rows that are in none. A row
        that several clusters reach is in the first.

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If the neighbours and distances are not those of n rows.

    Examples
    --------
    >>> neighbors = [[1], [0], [1], [2], [3]]
    >>> dbscan_labels(neighbors, [[0.1], [0.1], [0.6], [0.9], [0.1]], min_samples=2)
    array([ 0,  0, -1,  1,  1])
    """
    limit = require_number("eps", eps, 0.0)
    require_whole_number("min_samples", min_samples, 1)
    nearest, far = _checked_graph(neighbors, distances)
    rows = np.arange(len(nearest))
    is_core = core_rows(far, limit, min_samples)
    edges = core_edges(rows[is_core], nearest[is_core], far[is_core], limit)
    roots = first_roots(rows, is_core)
    while True:
        reached = step(roots, edges)
        if np.array_equal(reached, roots):
            return numbered(roots, np.unique(roots[roots != NO_ROOT]))
        roots = reached


def core_rows(distances: NDArray[np.floating], eps: float, min_samples: int) -> Mask:
    """Return which rows of a batch are core rows, from distances of shape (m, k)."""
    # The row itself is near, and is none of its neighbours.
    is_core: Mask = np.count_nonzero(distances <= eps, axis=1) + 1 >= min_samples
    return is_core


def core_edges(
    rows: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    distances: NDArray[np.floating],
    eps: float,
) -> Edges:
    """Return the edges of a batch of core rows, (m,), to their near neighbours, of (m, k)."""
    source, place = np.nonzero(distances <= eps)
    return Edges(rows[source], neighbors[source, place])


def first_roots(rows: NDArray[np.int64], is_core: Mask) -> NDArray[np.int64]:
    """Return the root of each row before the first step: a core row's own position."""
    return np.where(is_core, rows, NO_ROOT)


def step(roots: NDArray[np.int64], edges: Edges) -> NDArray[np.int64]:
    """Return the roots after they were sent once along the edges.

    The lowest counts, so that edges may be taken in any order and parts.

    >>> step(np.array([5, 1, 7]), Edges(np.array([1, 0]), np.array([0, 2])))
    array([1, 1, 5])
    """
    reached = roots.copy()
    np.minimum.at(reached, edges.targets, roots[edges.sources])
    return reached


def numbered(roots: NDArray[np.int64], distinct: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the clusters of rows from their roots, when no step changes one any more.

    Parameters
    ----------
    roots : ndarray of int64, shape (m,)
        Of any batch of rows.
    distinct : ndarray of int64
        The roots of all rows, ascending, without :data:`NO_ROOT`.
    """
    return np.where(roots == NO_ROOT, OUTLIER, np.searchsorted(distinct, roots))


def _checked_graph(
    neighbors: ArrayLike, distances: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    nearest, far = checked_neighbors(neighbors), np.asarray(distances)
    if far.shape != nearest.shape or far.dtype.kind not in "fiu":
        raise DataError(
            f"distances must be numbers of shape {nearest.shape}, as neighbors, "
            f"got shape {far.shape} of {far.dtype}"
        )
    bad = far[~(far >= 0)]
    if len(bad):
        raise DataError(f"distances must be at least 0, got {bad[0]} ({len(bad)} such distances)")
    return nearest, far

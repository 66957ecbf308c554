"""The exact graph of nearest neighbours of a whole data set in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lq_spark.core.neighbors.copies import copies_of, corrected, spread_over_copies
from lq_spark.core.neighbors.search import Int64, nearest
from lq_spark.core.neighbors.vectors import agreed_metric, checked_features, prepared, require_k
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import DataError

N_NEIGHBORS = 10
"""How many neighbours of a row are looked at by default, as in cleanlab."""


@dataclass(frozen=True, slots=True)
class KnnGraph:
    """The nearest neighbours of each row.

    Attributes
    ----------
    neighbors : ndarray of int64, shape (n, k)
        The nearest first; of equally near rows the first.
    distances : ndarray of float64, shape (n, k)
    metric : str or None
        None of a graph that was made elsewhere.
    """

    neighbors: Int64
    distances: Float64
    metric: str | None = None


def knn_graph(features: ArrayLike, *, k: int | None = None, metric: str | None = None) -> KnnGraph:
    """Return the k nearest other rows of each row, exactly.

    Parameters
    ----------
    features : array-like of numbers, shape (n, d)
        Taken as they are: nothing is scaled.
    k : int, optional
        Below n. By default 10, or n - 1 where that is less.
    metric : {"cosine", "euclidean"}, optional
        By default cosine, and Euclidean for up to 3 features.

    Returns
    -------
    KnnGraph

    Raises
    ------
    OptionError
        If k or metric is not allowed.
    DataError
        If features are not finite numbers of two dimensions, or there is but one row.

    Notes
    -----
    Rows that are equal in all features are each other's nearest neighbours, at distance 0. Of more
    than k + 1 such rows the first k + 1 are neighbours of each other and the first k of all the
    others, as in cleanlab. Distances are computed in float64, also of float32 features.

    Examples
    --------
    >>> graph = knn_graph([[0.0], [1.0], [3.0], [3.0]], k=2)
    >>> graph.neighbors
    array([[1, 2],
           [0, 2],
           [3, 1],
           [2, 1]])
    >>> graph.distances
    array([[1., 3.],
           [1., 2.],
           [0., 2.],
           [0., 2.]])
    """
    matrix = checked_features(features)
    n_rows = len(matrix)
    if n_rows < 2:
        raise DataError("features has one row, which has no neighbours")
    k = min(N_NEIGHBORS, n_rows - 1) if k is None else k
    require_k(k, n_rows)
    metric = agreed_metric(metric, matrix.shape[1])
    sets = copies_of(matrix)
    vectors = prepared(matrix[sets.first], metric)
    found = nearest(vectors, vectors, sets.first, k, metric, same=True)
    found = spread_over_copies(found, sets.offsets, sets.rows, k)
    starts = np.searchsorted(found.query, np.arange(len(sets.first) + 1))
    neighbors, distances = np.empty((n_rows, k), np.int64), np.empty((n_rows, k))
    for place in range(len(sets.first)):
        members = sets.rows[sets.offsets[place] : sets.offsets[place + 1]]
        at = slice(starts[place], starts[place + 1])
        outside, away = found.reference[at], found.distance[at]
        if len(members) == 1:
            neighbors[members[0]], distances[members[0]] = outside, away
            continue
        for row in members[: k + 1].tolist():
            neighbors[row], distances[row] = corrected(members, outside, away, row, k)
        if len(members) > k + 1:
            neighbors[members[k + 1 :]], distances[members[k + 1 :]] = members[:k], 0.0
    return KnnGraph(neighbors, distances, metric)


def checked_graph(neighbors: ArrayLike, distances: ArrayLike) -> KnnGraph:
    """Return a graph that was made elsewhere, or raise a DataError that names a row at fault.

    Parameters
    ----------
    neighbors : array-like of int, shape (n, k)
        The numbers of the nearest other rows of each row, 0 to n - 1, nearest first.
    distances : array-like of float, shape (n, k)
        Their distances: finite, none below 0, ascending.

    Raises
    ------
    DataError
        If shapes or types do not fit, or a row has a neighbour that is not there, is the row
        itself, or comes twice, or a distance that is not allowed or not in order.

    Examples
    --------
    >>> checked_graph([[1], [0]], [[0.5], [0.5]]).neighbors
    array([[1], [0]])
    """
    ids, lengths = np.asarray(neighbors), np.asarray(distances)
    if ids.ndim != 2 or 0 in ids.shape or ids.shape != lengths.shape:
        raise DataError(
            "neighbors and distances must be 2-D arrays of one shape (n, k), got shapes "
            f"{ids.shape} and {lengths.shape}"
        )
    if ids.dtype.kind not in "iu" or lengths.dtype.kind not in "fiu":
        raise DataError(
            "neighbors must be whole numbers and distances numbers, got arrays of "
            f"{ids.dtype} and {lengths.dtype}"
        )
    graph = KnnGraph(ids.astype(np.int64, copy=False), lengths.astype(np.float64, copy=False))
    n_rows = len(graph.neighbors)
    in_order = np.sort(graph.neighbors, axis=1)
    with np.errstate(invalid="ignore"):  # infinite ones differ by NaN, and are refused
        ascends = (np.diff(graph.distances, axis=1, prepend=0.0) >= 0.0).all(axis=1)
    faults = {
        f"neighbors that are not from 0 to {n_rows - 1}": (in_order[:, 0] < 0)
        | (in_order[:, -1] >= n_rows),
        "itself as a neighbor": (graph.neighbors == np.arange(n_rows)[:, np.newaxis]).any(axis=1),
        "a neighbor twice": (np.diff(in_order, axis=1) == 0).any(axis=1),
        "distances that are not finite": ~np.isfinite(graph.distances).all(axis=1),
        "distances below 0 or not in ascending order": ~ascends,
    }
    for what, rows in faults.items():
        if rows.any():
            raise DataError(f"row {int(np.argmax(rows))} has {what} ({rows.sum()} such rows)")
    return graph

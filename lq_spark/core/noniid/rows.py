"""How far the index distances of one row's neighbours are from those of all rows: row by row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64


def non_iid_scores(rows: NDArray[np.int64], neighbors: NDArray[np.int64], n_rows: int) -> Float64:
    """Return the score of a batch of rows: 1 neighbours all over the table, 0 in one place.

    Parameters
    ----------
    rows : ndarray of int64, shape (m,)
        Positions of the rows in the table.
    neighbors : ndarray of int64, shape (m, k)
        Positions of their neighbours.
    n_rows : int
        Of the whole table, n.

    Returns
    -------
    ndarray of float64, shape (m,)
        ``1 - tanh(T / max(i, n - i))``, where T is the area between two curves: the share of the
        row's neighbours up to an index distance, and the share of all rows.

    Notes
    -----
    As cleanlab 2.9.0: the area is taken from one neighbour to the next, without regard to the sign
    that the difference of the curves has between them.

    Examples
    --------
    >>> non_iid_scores(np.array([0, 0]), np.array([[1, 2], [2, 4]]), n_rows=5).round(3)
    array([0.851, 0.803])
    """
    last = n_rows - 1
    n_neighbors = neighbors.shape[1]
    ends = np.empty((len(rows), n_neighbors + 2), dtype=np.int64)
    ends[:, 0], ends[:, -1] = 0, last
    ends[:, 1:-1] = np.sort(np.abs(neighbors - rows[:, np.newaxis]), axis=1)
    shares = np.arange(n_neighbors + 1) / n_neighbors
    own = shares * np.diff(ends, axis=1)
    of_all = np.diff(_area_of_all(ends, np.minimum(rows, last - rows)[:, np.newaxis], last), axis=1)
    area = np.abs(own - of_all).sum(axis=1)
    scores: Float64 = 1.0 - np.tanh(area / np.maximum(rows, n_rows - rows))
    return scores


def _area_of_all(ends: NDArray[np.int64], near: NDArray[np.int64], last: int) -> Float64:
    """Return the area, up to each end, under the share of all rows up to an index distance.

    Up to ``near``, the row's distance to the nearer end of the table, there are rows on both of its
    sides, then on one, then on none.
    """
    both = np.minimum(ends, near)
    one = np.clip(ends, near, last - near)
    none = np.maximum(ends, last - near) - (last - near)
    # Halves and squares of whole numbers: nothing is rounded before the division.
    areas: Float64 = (2 * both**2 + (one + 3 * near) * (one - near)) / (2 * last) + none
    return areas

"""Whether near rows are neighbours in the table: a permutation test on counts of index distances.

The index distance of a row i and a neighbour j is |i - j|. In a table in random order it is that of
any two rows. The statistic is how far the share of neighbours up to an index distance is from this;
it depends on counts alone, which merge by addition, for the table's own order as for others.

Source: Cummings, Snorrason, Mueller, "Detecting Dataset Drift and Non-IID Sampling: A k-Nearest
Neighbors approach that works for Image/Text/Audio/Numeric Data" (2023), arXiv:2305.15696, as
cleanlab 2.9.0 computes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.noniid.permutations import Permutation
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import DataError

_ROUNDING: Final = 1e-12
"""Statistics that differ by less are the same; cleanlab has p-values of such differences."""


def partial_index_distances(
    rows: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    n_rows: int,
    permutation: Permutation | None = None,
) -> NDArray[np.int64]:
    """Return the state of a batch of rows: how many neighbours are at each index distance.

    Parameters
    ----------
    rows : ndarray of int64, shape (m,)
        Positions of the rows in the table.
    neighbors : ndarray of int64, shape (m, k)
        Positions of their neighbours.
    n_rows : int
        Of the whole table, n.
    permutation : Permutation, optional
        In which order the rows are taken to be; the table's own if not given.

    Returns
    -------
    ndarray of int64, shape (n,)

    Examples
    --------
    >>> partial_index_distances(np.array([0, 1]), np.array([[1, 3], [0, 3]]), n_rows=4)
    array([0, 2, 1, 1])
    """
    distances = index_distances(rows, neighbors, permutation)
    return np.bincount(distances.ravel(), minlength=n_rows).astype(np.int64)


def index_distances(
    rows: NDArray[np.int64],
    neighbors: NDArray[np.integer],
    permutation: Permutation | None = None,
) -> NDArray[np.int64]:
    """Return how far the neighbours of a batch of rows are from them in an order, shape (m, k)."""
    if permutation is not None:
        rows, neighbors = permutation.of(rows), permutation.of(neighbors)
    distances: NDArray[np.int64] = np.abs(neighbors - rows[:, np.newaxis])
    return distances


def expected_shares(distances: NDArray[np.int64], n_rows: int) -> Float64:
    """Return the share of all pairs of rows that are at most so far apart."""
    pairs = distances * n_rows - distances * (distances + 1) // 2
    shares: Float64 = pairs / (n_rows * (n_rows - 1) // 2)
    return shares


def merge_index_distances(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the state of the rows of ``a`` and ``b`` together, in the same order of rows."""
    return a + b


def finish_statistic(counts: NDArray[np.int64]) -> float:
    """Return how far neighbours' index distances are from those of any two rows: 0 not at all.

    Parameters
    ----------
    counts : ndarray of int64, shape (n,)
        Neighbours at each index distance.

    Raises
    ------
    DataError
        If there are no neighbours, or a row is its own.

    Examples
    --------
    >>> round(finish_statistic(np.array([0, 2, 1, 1])), 4)
    0.5
    """
    n_rows, total = len(counts), int(counts.sum())
    if total == 0:
        raise DataError("there are no neighbours; each row needs at least 1")
    if counts[0]:
        raise DataError(f"a row must not be its own neighbour, got {counts[0]} such neighbours")
    distances = np.flatnonzero(counts)
    up_to = np.cumsum(counts[distances])
    below = up_to - counts[distances]
    expected = expected_shares(distances, n_rows)
    # Of equal distances, cleanlab's ranks from 0 to total - 1 have a lowest and a highest.
    lowest, highest = np.abs(below / total - expected), np.abs((up_to - 1) / total - expected)
    return float(np.maximum(lowest, highest).max())


def p_value(statistic: float, permuted: Sequence[float]) -> float:
    """Return how probable so large a statistic is in random order: near 0, the order is not random.

    Parameters
    ----------
    statistic : float
        Of the table's own order.
    permuted : sequence of float
        Of the table in random orders, at least two; smoothed by a normal kernel of Scott's width.

    Raises
    ------
    DataError
        If the statistic is the same in all orders, as where each row is near to all others.

    Examples
    --------
    >>> round(p_value(0.3, [0.1, 0.2, 0.3]), 3)
    0.204
    """
    values = np.array(permuted)
    if np.ptp(values) < _ROUNDING:
        raise DataError(
            f"the statistic is {permuted[0]:.6g} in all of {len(values)} random orders, which says "
            "nothing of the table's own: there must be more rows, or fewer neighbours of each"
        )
    width = float(values.std(ddof=1)) * len(values) ** -0.2
    tails = [math.erfc((statistic - value) / (width * math.sqrt(2.0))) / 2.0 for value in permuted]
    return math.fsum(tails) / len(tails)

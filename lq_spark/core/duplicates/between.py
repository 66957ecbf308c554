"""Near duplicates between two tables: rows of a test set that are in the training set, too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.duplicates.near import THRESHOLD, scores_from_nearest, unit_distance
from lq_spark.core.neighbors.search import nearest
from lq_spark.core.neighbors.vectors import agreed_metric, checked_features, prepared
from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.errors import DataError, OptionError, require_number, require_whole_number


@dataclass(frozen=True, slots=True)
class DuplicatesBetween:
    """Which rows of a table are near duplicates of rows of another.

    Attributes
    ----------
    is_near_duplicate, is_exact_duplicate : ndarray of bool, shape (n,)
        Whether a row of the other table is so near, or equal.
    score : ndarray of float64, shape (n,)
        0 for a row that is in the other table, towards 1 for one far from all of its rows.
    neighbors : ndarray of int64, shape (n, k)
        The nearest rows of the other table, nearest first; of equally near ones the first.
    distances : ndarray of float64, shape (n, k)
    """

    is_near_duplicate: Mask
    is_exact_duplicate: Mask
    score: Float64
    neighbors: NDArray[np.int64]
    distances: Float64


def find_near_duplicates_between(
    features: ArrayLike,
    others: ArrayLike,
    *,
    k: int = 1,
    metric: str | None = None,
    threshold: float = THRESHOLD,
) -> DuplicatesBetween:
    """Return which rows of a table are near duplicates of rows of another one.

    Parameters
    ----------
    features : array-like of float, shape (n, d)
        Of the rows that are asked about.
    others : array-like of float, shape (m, d)
        Of the rows of the other table.
    k : int
        How many of them are named, 1 to m.
    metric : {"cosine", "euclidean"}, optional
        As for :func:`lq_spark.core.neighbors.knn_graph`.
    threshold : float
        At least 0. Rows are near whose distance is below this share of the median row's distance to
        the nearest of the other table.

    Returns
    -------
    DuplicatesBetween

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If features cannot be used, or the tables differ in columns.

    Notes
    -----
    The rule is that of :func:`lq_spark.core.duplicates.find_near_duplicates`, and so is the floor
    of the median: where more than half of the rows are in the other table, only rows that are, to
    1.3e-7 by default, are found.

    Examples
    --------
    >>> train = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]
    >>> found = find_near_duplicates_between([[2.0, 2.0], [4.0, 0.0], [0.0, 3.0]], train)
    >>> found.is_exact_duplicate, found.neighbors[:, 0]
    (array([False,  True, False]), array([0, 1, 2]))
    """
    require_whole_number("k", k, 1)
    share = require_number("threshold", threshold, 0.0)
    agreed_metric(metric, 1)
    asked, other = checked_features(features), checked_features(others, "others")
    if asked.shape[1] != other.shape[1]:
        raise DataError(f"features has {asked.shape[1]} columns, others {other.shape[1]}")
    if k > len(other):
        raise OptionError(f"k must be at most the number of rows of others, {len(other)}, got {k}")
    chosen = agreed_metric(metric, asked.shape[1])
    vectors, ranks = prepared(other, chosen), np.arange(len(other))
    found = nearest(prepared(asked, chosen), vectors, ranks, k, chosen, same=False)
    distances = found.distance.reshape(-1, k)
    first = distances[:, 0]
    unit = unit_distance(float(np.median(first)))
    return DuplicatesBetween(
        first < share * unit,
        first == 0.0,
        scores_from_nearest(first, unit),
        found.reference.reshape(-1, k),
        distances,
    )

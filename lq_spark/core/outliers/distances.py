"""The outlier score of features: how far a row is from its nearest neighbours.

Source: Kuan and Mueller, "Back to the Basics: Revisiting Out-of-Distribution Detection Baselines",
ICML PODS workshop (2022), arXiv:2207.03061; the constants are cleanlab's.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.neighbors.vectors import COSINE, EUCLIDEAN
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import require_number

THRESHOLD: Final = 0.37037
"""By default rows are outliers that lie 1.7 times the interquartile range above the third quartile
of mean distances: 1 / THRESHOLD - 1."""

_SMALLEST_SCALE: Final = 1e-6

_SMALLEST_MEDIAN: Final = 100.0 * float(np.finfo(np.float64).eps)

_ON_THE_SPOT: Final = {
    COSINE: 100.0 * float(np.finfo(np.float64).epsneg),
    EUCLIDEAN: float(np.sqrt(100.0 * np.finfo(np.float64).eps)),
}
"""A row of a lower mean distance than this has the score 1."""


def mean_distances(distances: Float64) -> Float64:
    """Return the mean distance of each row to its neighbours, shapes (n, k) and (n,)."""
    # One neighbour after the other: no matter how many rows there are, in the same order.
    total: Float64 = distances[:, 0].copy()
    for place in range(1, distances.shape[1]):
        total += distances[:, place]
    total /= distances.shape[1]
    return total


def scale_of(median: float) -> float:
    """Return the unit of distances, from the median of the mean distances."""
    return max(median, _SMALLEST_MEDIAN)


def distance_scores(means: Float64, scale: float, metric: str | None, t: float = 1.0) -> Float64:
    """Return the score of mean distances: 1 typical, 0 an outlier.

    Parameters
    ----------
    means : ndarray of float64, shape (n,)
    scale : float
        From :func:`scale_of`.
    metric : str or None
        Where it is not known, only a distance of 0 is none.
    t : float
        How fast the score falls with distance.
    """
    scores: Float64 = np.exp(-means * t / max(scale, _SMALLEST_SCALE))
    scores[means < (_ON_THE_SPOT[metric] if metric else 0.0)] = 1.0
    return scores


def largest_typical(first: float, third: float, threshold: float = THRESHOLD) -> float:
    """Return the mean distance above which a row is an outlier, from the quartiles of all.

    A threshold of 0 makes it infinite.
    """
    if threshold == 0.0:
        return float("inf")
    return third + (1.0 / threshold - 1.0) * (third - first)


def require_threshold(threshold: object) -> float:
    """Return a threshold; raise OptionError unless it is from 0 to 1."""
    return require_number("threshold", threshold, 0.0, 1.0)


def are_far(means: Float64, limit: float) -> NDArray[np.bool_]:
    """Return which rows are outliers, by :func:`largest_typical`."""
    return means > limit

"""The mean distance of each point of a plane to the nearest half of all points, itself included.

That half has no shape that a search tree could use: each point is compared with all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64


@dataclass(frozen=True, slots=True)
class Cloud:
    """Points of a plane.

    Attributes
    ----------
    x, y : ndarray of float64, shape (n,)
        Equal points are best next to each other.
    weights : ndarray of int64, shape (n,), or None
        How often each point counts; None: once.
    """

    x: Float64
    y: Float64
    weights: NDArray[np.int64] | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """Return how often each point counts."""
        return np.ones(len(self.x), dtype=np.int64) if self.weights is None else self.weights

    @property
    def size(self) -> int:
        """Return how many points there are, as often as they count."""
        return int(self.counts.sum())

    @property
    def half(self) -> int:
        """Return how many points are the nearest half, rounded up."""
        return (self.size + 1) // 2


def mean_distances(cloud: Cloud, start: int = 0, stop: int | None = None) -> Float64:
    """Return the mean distance of points to their nearest half.

    Parameters
    ----------
    cloud : Cloud
    start, stop : int
        Which points are asked for; all where not given.

    Returns
    -------
    ndarray of float64, shape (1, m), or (3, m)
        Of weighted points, which stand for others near them, also how the mean distance grows along
        x and along y.

    Examples
    --------
    >>> mean_distances(Cloud(np.array([0.0, 1.0, 3.0, 7.0]), np.zeros(4)))
    array([[0.5, 0.5, 1. , 2. ]])
    """
    points = range(len(cloud.x))[start:stop]
    half, n_beyond = cloud.half, cloud.size - cloud.half
    along_x, along_y, away, scratch = np.empty((4, len(cloud.x)))
    result = np.empty((n_values(cloud), len(points)))
    for i, point in enumerate(points):
        if i and cloud.x[point] == cloud.x[point - 1] and cloud.y[point] == cloud.y[point - 1]:
            result[:, i] = result[:, i - 1]
            continue
        np.subtract(cloud.x[point], cloud.x, out=along_x)
        np.subtract(cloud.y[point], cloud.y, out=along_y)
        np.multiply(along_x, along_x, out=away)
        np.multiply(along_y, along_y, out=scratch)
        np.sqrt(np.add(away, scratch, out=away), out=away)
        radius = _nth_lowest(away, cloud.weights, half)
        if cloud.weights is not None:
            counts = _nearest_counts(away, cloud.weights, radius, half)
            # From a point that lies on another the distance grows in every direction: no slope.
            np.divide(counts, away, where=away > 0.0, out=counts)
            result[1:, i] = (counts * along_x).sum() / half, (counts * along_y).sum() / half
        # The nearest half as they are, the others as if at the radius: an order of addition that
        # depends on the points alone, not on how this processor selects.
        np.minimum(away, radius, out=away)
        if cloud.weights is not None:
            away *= cloud.weights
        result[0, i] = (away.sum() - n_beyond * radius) / half
    return result


def n_values(cloud: Cloud) -> int:
    """Return how many values :func:`mean_distances` says of each point."""
    return 1 if cloud.weights is None else 3


def weighted_median(values: Float64, counts: NDArray[np.int64]) -> float:
    """Return the median of values, each of which counts so often.

    >>> weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1, 2, 1]))
    1.5
    """
    order = np.argsort(values)
    ends = np.cumsum(counts[order])
    middle = [(int(ends[-1]) - 1) // 2, int(ends[-1]) // 2]
    low, high = values[order[np.searchsorted(ends, middle, side="right")]]
    return float((low + high) / 2.0)


def _nth_lowest(values: Float64, weights: NDArray[np.int64] | None, n: int) -> float:
    """Return the n-th lowest value, each counted as often as its weight says."""
    if weights is None:
        return float(np.partition(values, n - 1)[n - 1])
    order = np.argsort(values)
    return float(values[order[np.searchsorted(np.cumsum(weights[order]), n)]])


def _nearest_counts(away: Float64, weights: NDArray[np.int64], radius: float, half: int) -> Float64:
    """Return how often each point counts among the nearest half."""
    counts = np.where(away < radius, weights, 0.0)
    counts[np.argmax(away == radius)] = half - counts.sum()
    return counts

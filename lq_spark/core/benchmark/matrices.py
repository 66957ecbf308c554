"""Random noise matrices of a given trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.benchmark.draws import bounded_shares, rounded_to_sum
from lq_spark.core.shared.blocks import Float64


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a random noise matrix of K classes has.

    Attributes
    ----------
    n_classes : int
    trace : float
    low_trace, high_trace : float
        The bounds of each rate on the diagonal.
    low_noise, high_noise : float
        The bounds of each other rate, but for those that are 0.
    n_zeros : int
        How many of the others are 0.
    """

    n_classes: int
    trace: float
    low_trace: float
    high_trace: float
    low_noise: float
    high_noise: float
    n_zeros: int

    def diagonal(self, n_rates: NDArray[np.int64]) -> tuple[Float64, Float64]:
        """Return the bounds of the diagonal, where columns have so many rates besides."""
        low = np.maximum(self.low_trace, 1.0 - n_rates * self.high_noise)
        high = np.minimum(self.high_trace, 1.0 - n_rates * self.low_noise)
        return low, high


def random_noise_matrix(rng: np.random.Generator, bounds: Bounds) -> Float64 | None:
    """Return a random noise matrix, shape (K, K); None if zeros fell where there is none.

    How many rates of each column are not 0, one at least if there are so many, is drawn first, then
    the diagonal, then the others.
    """
    n_classes = bounds.n_classes
    n_others = n_classes * (n_classes - 1) - bounds.n_zeros
    least = np.full(n_classes, 1.0 if n_others >= n_classes else 0.0)
    n_rates = balls_in_bins(rng, n_others, least, np.full(n_classes, n_classes - 1.0))
    low, high = bounds.diagonal(n_rates)
    if (low > high).any() or not low.sum() <= bounds.trace <= high.sum():
        return None
    diagonal = bounded_shares(rng, bounds.trace, low, high)
    matrix = np.diag(diagonal)
    for k, n in enumerate(n_rates):
        others = np.delete(np.arange(n_classes), k)
        rows = rng.permutation(others)[:n]
        limits = np.full(n, bounds.low_noise), np.full(n, bounds.high_noise)
        matrix[rows, k] = bounded_shares(rng, 1.0 - diagonal[k], *limits)
    return matrix


def balls_in_bins(
    rng: np.random.Generator, n_balls: int, low: Float64, high: Float64
) -> NDArray[np.int64]:
    """Return a random number of balls for each bin, between whole bounds; shape (K,)."""
    return rounded_to_sum(bounded_shares(rng, float(n_balls), low, high), n_balls)

"""Means and variances by fold and class: partial → merge → finish on sums of whole numbers.

A property is measured from its lowest to its highest value in 2^52 steps: what comes of it does not
depend on where a scale begins and how wide it is. Sums of whole numbers and of their squares have
no rounding, so they are the same however the rows are split, and a variance is as good as the
steps, be the mean as far from 0 as it will.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64

STEPS: Final = 2.0**52

_BITS: Final = 26
"""In a digit of a number of steps, which has two, and of its square, which has four."""

_N_SUMS: Final = 6

_MOST_ROWS: Final = 1 << 24
"""So many digits are sure to have a sum that float64 has exactly."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Between which values a property lies.

    Attributes
    ----------
    low, high : float
        The lowest and the highest value, both finite.
    """

    low: float
    high: float

    def steps(self, values: Float64) -> Float64:
        """Return how many steps values are above the lowest one: whole numbers, to 2^52.

        >>> Scale(-1.0, 1.0).steps(np.array([-1.0, 0.0, 1.0])) / STEPS
        array([0. , 0.5, 1. ])
        """
        # Of halves: the width of all there is between two doubles may be none itself.
        width = self.high / 2.0 - self.low / 2.0
        if width <= 0.0:
            return np.zeros(len(values))
        steps: Float64 = np.rint((values / 2.0 - self.low / 2.0) / width * STEPS)
        return steps


@dataclass(frozen=True, slots=True)
class MomentSums:
    """Sums of P properties by F folds and K classes.

    Attributes
    ----------
    counts : ndarray of int64, shape (F, K)
        Rows.
    digits : ndarray of int64, shape (P, 6, F, K)
        Sums of the digits of their steps, two, and of the squares of those, four.
    """

    counts: NDArray[np.int64]
    digits: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Moments:
    """What is known of the rows outside of each fold.

    Attributes
    ----------
    counts : ndarray of int64, shape (F, K)
        Rows.
    means, variances : ndarray of float64, shape (P, F, K)
        In steps; 0 of a class without rows.
    of_all : ndarray of float64, shape (P, F)
        The variances whatever the class.
    """

    counts: NDArray[np.int64]
    means: Float64
    variances: Float64
    of_all: Float64


def partial_moments(
    steps: Float64,
    labels: NDArray[np.integer],
    folds: NDArray[np.integer],
    n_classes: int,
    n_folds: int,
) -> MomentSums:
    """Return the state of a batch of rows.

    Parameters
    ----------
    steps : ndarray of float64, shape (P, m)
        The properties of each row, by :meth:`Scale.steps`.
    labels, folds : ndarray of int, shape (m,)
    n_classes, n_folds : int
    """
    n_cells, shape = n_folds * n_classes, (n_folds, n_classes)
    cells = folds * n_classes + labels
    counts = np.bincount(cells, minlength=n_cells).reshape(shape).astype(np.int64)
    sums = np.zeros((len(steps), _N_SUMS, n_cells), dtype=np.int64)
    for start in range(0, len(cells), _MOST_ROWS):
        rows = slice(start, start + _MOST_ROWS)
        for of_property, values in zip(sums, steps, strict=True):
            for total, digits in zip(of_property, _digits(values[rows]), strict=True):
                total += np.bincount(cells[rows], digits, n_cells).astype(np.int64)
    return MomentSums(counts, sums.reshape(len(steps), _N_SUMS, *shape))


def _digits(steps: Float64) -> list[NDArray[np.int64]]:
    numbers, below = steps.astype(np.int64), (1 << _BITS) - 1
    high, low = numbers >> _BITS, numbers & below
    squares = low * low, 2 * high * low, high * high
    return [
        low,
        high,
        squares[0] & below,
        (squares[0] >> _BITS) + (squares[1] & below),
        (squares[1] >> _BITS) + (squares[2] & below),
        squares[2] >> _BITS,
    ]


def merge_moments(a: MomentSums, b: MomentSums) -> MomentSums:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return MomentSums(a.counts + b.counts, a.digits + b.digits)


def finish_moments(state: MomentSums) -> Moments:
    """Return what is known of the rows outside of each fold."""
    counts, digits = _outside(state.counts, 0), _outside(state.digits, 2)
    numbers = digits.astype(object)  # Python's, of any size
    sums, squares = _joined(numbers[:, :2]), _joined(numbers[:, 2:])
    means, variances = _mean_and_variance(counts.astype(object), sums, squares)
    of_all = _mean_and_variance(
        counts.sum(axis=1).astype(object), sums.sum(axis=2), squares.sum(axis=2)
    )
    return Moments(counts, means, variances, of_all[1])


def _outside(sums: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    outside: NDArray[np.int64] = sums.sum(axis=axis, keepdims=True) - sums
    return outside


def _joined(digits: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers of digits along the second axis, the lowest first."""
    return sum(  # type: ignore[return-value]
        digits[:, place] * (1 << _BITS * place) for place in range(digits.shape[1])
    )


def _mean_and_variance(
    counts: NDArray[Any], sums: NDArray[Any], squares: NDArray[Any]
) -> tuple[Float64, Float64]:
    n = np.where(counts == 0, 1, counts)
    # Python divides whole numbers of any size correctly rounded.
    means, variances = sums / n, (n * squares - sums * sums) / (n * n)
    return means.astype(np.float64), variances.astype(np.float64)

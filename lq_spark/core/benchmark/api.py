"""Noise for benchmarks: labels that are made wrong at known rates, and random rates.

Source: Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
JAIR 70 (2021), section 5. All numbers are drawn from a seed: NumPy's global generator is neither
read nor set. Noisy labels are those that cleanlab draws; probabilities, balls and matrices have the
same properties, and are others.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.benchmark.draws import bounded_shares
from lq_spark.core.benchmark.flips import (
    checked_shares,
    flip_counts,
    is_learnable,
    labels_by_place,
)
from lq_spark.core.benchmark.matrices import Bounds, balls_in_bins, random_noise_matrix
from lq_spark.core.shared.checks import checked_labels
from lq_spark.core.shared.noise_matrices import checked_noise_matrix
from lq_spark.errors import DataError, OptionError, require_number, require_whole_number

Seed: TypeAlias = int | np.random.Generator
"""A whole number of at least 0, or a generator, which is drawn from."""


def noise_matrix_is_valid(noise_matrix: ArrayLike, py: ArrayLike, *, verbose: bool = False) -> bool:
    """Return whether labels of this noise still tell of each class.

    Parameters
    ----------
    noise_matrix : array-like of float, shape (K, K)
        P(given = g | true = k) in row g and column k.
    py : array-like of float, shape (K,)
        P(true = k), the share of each class.
    verbose : bool
        Not looked at.

    Returns
    -------
    bool
        Whether the joint ``noise_matrix * py`` sums to 1, within 1e-6, and each class is given as
        itself more often than by chance: ``P(given = k, true = k) > P(given = k) P(true = k)``.

    Raises
    ------
    OptionError
        If noise_matrix is no K by K array of numbers.
    DataError
        If py is no K numbers.

    Notes
    -----
    Source: Northcutt et al. (2021), section 2 and appendix.

    Examples
    --------
    >>> noise_matrix_is_valid([[0.9, 0.3], [0.1, 0.7]], [0.5, 0.5])
    True
    >>> noise_matrix_is_valid([[0.5, 0.5], [0.5, 0.5]], [0.5, 0.5])
    False
    """
    matrix = checked_noise_matrix(noise_matrix, are_rates=False)
    return is_learnable(matrix, checked_shares(py, len(matrix)))


def generate_noise_matrix_from_trace(
    K: int,
    trace: float,
    *,
    max_trace_prob: float = 1.0,
    min_trace_prob: float = 1e-5,
    max_noise_rate: float = 1 - 1e-5,
    min_noise_rate: float = 0.0,
    valid_noise_matrix: bool = True,
    py: ArrayLike | None = None,
    frac_zero_noise_rates: float = 0.0,
    seed: int = 0,
    max_iter: int = 10000,
) -> NDArray[np.float64] | None:
    """Return a random noise matrix of a trace.

    Parameters
    ----------
    K : int
        The number of classes, at least 2.
    trace : float
        The sum of the diagonal: K without noise, and above 1 in a valid matrix.
    max_trace_prob, min_trace_prob : float
        The bounds of each rate on the diagonal, from 0 to 1.
    max_noise_rate, min_noise_rate : float
        The bounds of each other rate, but for those that are 0; from 0 to 1.
    valid_noise_matrix : bool
        Whether it has to be valid, see :func:`noise_matrix_is_valid`.
    py : array-like of float, shape (K,), optional
        P(true = k). Needed for a valid matrix of more than 2 classes.
    frac_zero_noise_rates : float
        How many of the K (K - 1) other rates are 0, as a share of them, rounded down; from 0 to 1.
        One of each column is not, but of 2 classes one in all.
    seed : int
        At least 0.
    max_iter : int
        How many matrices are drawn at most until one is valid.

    Returns
    -------
    ndarray of float64, shape (K, K), or None
        P(given = g | true = k) in row g and column k: each column sums to 1. None if none of
        ``max_iter`` matrices was valid.

    Raises
    ------
    OptionError
        If an option is out of its range, a valid matrix is asked for with a trace of at most 1 or,
        for more than 2 classes, without py, or no matrix of this trace is within the bounds.
    DataError
        If py is no K numbers.

    Notes
    -----
    Other matrices than cleanlab draws from the same seed, which may be a little out of the bounds,
    and for 2 classes keeps to none of them but the trace.

    Examples
    --------
    >>> matrix = generate_noise_matrix_from_trace(3, 2.4, py=[0.5, 0.3, 0.2], min_trace_prob=0.6)
    >>> round(float(matrix.trace()), 9), matrix.sum(axis=0).round(9).tolist()
    (2.4, [1.0, 1.0, 1.0])
    >>> noise_matrix_is_valid(matrix, [0.5, 0.3, 0.2])
    True
    """
    bounds = _checked_bounds(
        K,
        trace,
        (min_trace_prob, max_trace_prob),
        (min_noise_rate, max_noise_rate),
        frac_zero_noise_rates,
    )
    if valid_noise_matrix and trace <= 1:
        raise OptionError(f"trace must be above 1 in a valid noise matrix, got {trace!r}")
    if valid_noise_matrix and py is None and K > 2:
        raise OptionError(f"py is needed for a valid noise matrix of more than 2 classes, K is {K}")
    shares = np.full(K, 1.0 / K) if py is None else checked_shares(py, K)
    require_whole_number("seed", seed, 0)
    rng = np.random.default_rng(seed)
    for _ in range(max_iter):
        matrix = random_noise_matrix(rng, bounds)
        if matrix is not None and (not valid_noise_matrix or is_learnable(matrix, shares)):
            return matrix
    return None


def generate_noisy_labels(
    true_labels: ArrayLike, noise_matrix: ArrayLike, *, seed: int = 0
) -> NDArray[np.int64]:
    """Return labels of which known numbers are wrong.

    Parameters
    ----------
    true_labels : array-like of int, shape (n,)
        True labels, each in 0..K-1, and each class at least once.
    noise_matrix : array-like of float, shape (K, K)
        P(given = g | true = k) in row g and column k: numbers from 0 to 1, each column of sum 1.
    seed : int
        Which rows get which label; from 0 to 2^32 - 1.

    Returns
    -------
    ndarray of int64, shape (n,)
        Of the rows of class k, whose share is py[k], ``trunc(noise_matrix[g, k] * py[k] * n)`` have
        each other label g, and the others keep theirs. (A product that should be whole may be a
        little less in floating-point numbers.)

    Raises
    ------
    OptionError
        If noise_matrix is not such a matrix, or seed is no such number.
    DataError
        If labels are not 0..K-1, or a class has none.

    Notes
    -----
    The same labels as those of cleanlab after ``numpy.random.seed(seed)``, which takes a matrix
    whose columns do not sum to 1, too.

    Examples
    --------
    >>> noisy = generate_noisy_labels([0, 0, 0, 0, 1, 1], [[0.5, 0.5], [0.5, 0.5]])
    >>> np.bincount(noisy[:4]).tolist(), np.bincount(noisy[4:]).tolist()
    ([2, 2], [1, 1])
    """
    labels, matrix = checked_labels(true_labels), checked_noise_matrix(noise_matrix)
    if labels.min() < 0 or labels.max() >= len(matrix):
        raise DataError(
            f"true_labels must be 0..{len(matrix) - 1}, the classes of noise_matrix, "
            f"got {labels.min()}..{labels.max()}"
        )
    counts = np.bincount(labels, minlength=len(matrix)).astype(np.int64)
    absent = np.flatnonzero(counts == 0)
    if len(absent):
        raise DataError(
            f"noise_matrix is of K = {len(matrix)} classes, and no label is of class {absent[0]}"
        )
    flips = flip_counts(matrix, counts)
    return labels_by_place(labels, _drawn_places(labels, counts, flips, seed), flips)


def generate_n_rand_probabilities_that_sum_to_m(
    n: int, m: float, *, max_prob: float = 1.0, min_prob: float = 0.0, seed: Seed = 0
) -> NDArray[np.float64]:
    """Return random probabilities of a sum.

    Parameters
    ----------
    n : int
        How many.
    m : float
        Their sum.
    max_prob, min_prob : float
        The bounds of each.
    seed : int or numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    OptionError
        If n numbers between the bounds cannot have that sum, or an option is no number.

    Examples
    --------
    >>> found = generate_n_rand_probabilities_that_sum_to_m(5, 2.5, max_prob=0.75, min_prob=0.25)
    >>> round(float(found.sum()), 9), bool(((found >= 0.25) & (found <= 0.75)).all())
    (2.5, True)
    """
    require_whole_number("n", n, 0)
    total = require_number("m", m)
    low, high = require_number("min_prob", min_prob), require_number("max_prob", max_prob)
    if n == 0:
        return np.zeros(0)
    _require_between("m", total, n * low, n * high, f"{n} numbers from {low:g} to {high:g}")
    return bounded_shares(_generator(seed), total, np.full(n, low), np.full(n, high))


def randomly_distribute_N_balls_into_K_bins(  # noqa: N802
    N: int,
    K: int,
    *,
    max_balls_per_bin: int | None = None,
    min_balls_per_bin: int | None = None,
    seed: Seed = 0,
) -> NDArray[np.int64]:
    """Return a random number of balls for each bin.

    Parameters
    ----------
    N, K : int
        How many balls and bins there are.
    max_balls_per_bin, min_balls_per_bin : int, optional
        The bounds of each bin; else N and 0.
    seed : int or numpy.random.Generator

    Returns
    -------
    ndarray of int64, shape (K,)
        Whole numbers of sum N.

    Raises
    ------
    OptionError
        If so many bins cannot hold so many balls, or an option is no whole number of at least 0.

    Examples
    --------
    >>> balls = randomly_distribute_N_balls_into_K_bins(10, 4, max_balls_per_bin=3)
    >>> int(balls.sum()), int(balls.max())
    (10, 3)
    """
    low = 0 if min_balls_per_bin is None else min_balls_per_bin
    high = N if max_balls_per_bin is None else max_balls_per_bin
    numbers = {"N": N, "K": K, "max_balls_per_bin": high, "min_balls_per_bin": low}
    for name, number in numbers.items():
        require_whole_number(name, number, 0)
    if K == 0:
        return np.zeros(0, dtype=np.int64)
    _require_between("N", N, K * low, K * high, f"{K} bins of {low} to {high} balls")
    bounds = np.full(K, float(low)), np.full(K, float(high))
    return balls_in_bins(_generator(seed), N, *bounds)


def _checked_bounds(
    n_classes: int,
    trace: float,
    of_trace: tuple[float, float],
    of_noise: tuple[float, float],
    frac_zero: float,
) -> Bounds:
    """Return what a noise matrix has; raise OptionError if that cannot be."""
    require_whole_number("K", n_classes, 2)
    require_number("trace", trace)
    names = ("min_trace_prob", "max_trace_prob", "min_noise_rate", "max_noise_rate")
    low, high, low_noise, high_noise = (
        require_number(name, value, 0.0, 1.0)
        for name, value in zip(names, (*of_trace, *of_noise), strict=True)
    )
    require_number("frac_zero_noise_rates", frac_zero, 0.0, 1.0)
    most_zeros = n_classes * (n_classes - 2) if n_classes > 2 else 1
    n_zeros = min(int(frac_zero * n_classes * (n_classes - 1)), most_zeros)
    bounds = Bounds(n_classes, float(trace), low, high, low_noise, high_noise, n_zeros)
    what = f"{n_classes} rates from {low:g} to {high:g}"
    _require_between("trace", trace, n_classes * low, n_classes * high, what)
    n_rates, noise = n_classes * (n_classes - 1) - n_zeros, n_classes - trace
    what = f"{n_rates} rates from {low_noise:g} to {high_noise:g} besides the diagonal"
    _require_between("K - trace", noise, n_rates * low_noise, n_rates * high_noise, what)
    return bounds


def _require_between(option: str, value: float, low: float, high: float, what: str) -> None:
    """Raise OptionError unless a sum is one that numbers between bounds can have."""
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    if not (low - slack <= value <= high + slack and low <= high):
        raise OptionError(f"{option} must be the sum of {what}, got {value!r}")


def _drawn_places(
    labels: NDArray[np.int64], counts: NDArray[np.int64], flips: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Return the place in which each row is drawn among those of its class, n if it is not."""
    require_whole_number("seed", seed, 0)
    if seed >= 1 << 32:
        raise OptionError(f"seed must be at most {(1 << 32) - 1}, got {seed!r}")
    random = np.random.RandomState(seed)
    places = np.full(len(labels), len(labels), dtype=np.int64)
    ends = np.cumsum(counts)
    by_class = labels.argsort(kind="stable")
    for rows, n in zip(np.split(by_class, ends[:-1]), counts - np.diag(flips), strict=True):
        if n:
            places[random.choice(rows, n, replace=False)] = np.arange(n)
    return places


def _generator(seed: Seed) -> np.random.Generator:
    if not isinstance(seed, np.random.Generator):
        require_whole_number("seed", seed, 0)
    return np.random.default_rng(seed)

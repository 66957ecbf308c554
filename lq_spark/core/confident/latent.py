"""Noise matrices and the prior of the true labels, from a confident joint.

Everything here is algebra on K × K arrays: C[given, true] counts, ps the share of each given label,
py of each true one. Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021),
section 3.1 and appendix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.confident.api import checked_joint, compute_confident_joint
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_labels
from lq_spark.core.shared.constants import TINY
from lq_spark.errors import DataError, require_one_of

_MAX_NOISE_RATE = 0.9999
_MIN_PRIOR = 1e-6
_MIN_CONVERGED_PRIOR = 1e-5


def over(numerator: Float64, denominator: Float64) -> Float64:
    """Return a quotient, of 0 by 0 too: 0."""
    return np.asarray(numerator / np.maximum(denominator, TINY), dtype=np.float64)


def _py_by_counts(ps: Float64, noise: Float64, inverse: Float64, joint: Float64) -> Float64:
    return over(np.diag(inverse), np.diag(noise)) * ps


def _py_by_equation(ps: Float64, noise: Float64, inverse: Float64, joint: Float64) -> Float64:
    try:
        return np.asarray(np.linalg.inv(noise) @ ps, dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise DataError(
            "py_method 'eqn' needs a noise matrix that can be inverted, and this one cannot be "
            "(a class may be absent); use 'cnt'"
        ) from error


def _py_by_marginal(ps: Float64, noise: Float64, inverse: Float64, joint: Float64) -> Float64:
    return over(joint.sum(axis=0), joint.sum())


def _py_by_marginal_ps(ps: Float64, noise: Float64, inverse: Float64, joint: Float64) -> Float64:
    return np.asarray(inverse @ ps, dtype=np.float64)


PY_METHODS: Mapping[str, Callable[[Float64, Float64, Float64, Float64], Float64]] = {
    "cnt": _py_by_counts,
    "eqn": _py_by_equation,
    "marginal": _py_by_marginal,
    "marginal_ps": _py_by_marginal_ps,
}
"""(ps, noise matrix, inverse noise matrix, joint) -> prior of the true labels, not yet clipped."""


def prior(py: Float64, lowest: float = _MIN_PRIOR) -> Float64:
    """Return py clipped to [lowest, 1] and scaled to sum 1."""
    clipped = np.clip(py, lowest, 1.0)
    return np.asarray(clipped / clipped.sum(), dtype=np.float64)


def clipped_noise(matrix: Float64) -> Float64:
    """Return a noise matrix with off-diagonals in [0, 0.9999] and columns of sum 1."""
    result = np.clip(matrix, 0.0, _MAX_NOISE_RATE)
    np.fill_diagonal(result, np.diag(matrix))
    return over(result, result.sum(axis=0))


def noise_matrices(joint: Float64) -> tuple[Float64, Float64]:
    """Return (P(given | true), P(true | given)): columns sum to 1.

    The first has a row for each given label and a column for each true one, the second the reverse.
    """
    noise = over(joint, joint.sum(axis=0))
    inverse = over(joint.T, joint.sum(axis=1))
    return clipped_noise(noise), clipped_noise(inverse)


def converged(
    ps: Float64, py: Float64, noise: Float64, inverse: Float64
) -> tuple[Float64, Float64, Float64]:
    """Return (py, noise, inverse) after 3 × 5 rounds that fit each to the others."""
    for _ in range(3):
        for _ in range(5):
            inverse = clipped_noise(over((noise * py).T, ps))
            py = prior(_py_by_counts(ps, noise, inverse, noise))
        noise = clipped_noise(over((inverse * ps).T, py))
    return prior(py, _MIN_CONVERGED_PRIOR), clipped_noise(noise), clipped_noise(inverse)


def estimate_latent(
    confident_joint: ArrayLike,
    labels: ArrayLike,
    *,
    py_method: str = "cnt",
    converge_latent_estimates: bool = False,
) -> tuple[Float64, Float64, Float64]:
    """Return the prior of the true labels and the noise matrices.

    Parameters
    ----------
    confident_joint : array-like of int, shape (K, K)
        Counts (given, true).
    labels : array-like of int, shape (n,)
        Given labels, each in 0..K-1.
    py_method : {"cnt", "eqn", "marginal", "marginal_ps"}
        How the prior is found: by the ratio of the diagonals, by solving noise · py = ps, as the
        joint's column sums, or as inverse · ps.
    converge_latent_estimates : bool
        Whether to fit the three to each other.

    Returns
    -------
    py : ndarray of float64, shape (K,)
        Share of each true label; sums to 1.
    noise_matrix : ndarray of float64, shape (K, K)
        P(given | true): a row for each given label; columns sum to 1.
    inverse_noise_matrix : ndarray of float64, shape (K, K)
        P(true | given): a row for each true label; columns sum to 1.

    Raises
    ------
    OptionError
        If the method is unknown.

    Examples
    --------
    >>> py, noise, inverse = estimate_latent([[4, 0], [2, 4]], [0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    >>> py.round(2)
    array([0.6, 0.4])
    """
    require_one_of("py_method", py_method, PY_METHODS)
    joint = checked_joint(confident_joint).dense().astype(np.float64)
    label_array = checked_labels(labels)
    counts = np.bincount(label_array, minlength=len(joint))
    if len(counts) > len(joint):
        raise DataError(
            f"labels go up to {label_array.max()}, confident_joint has {len(joint)} classes"
        )
    ps = counts / len(label_array)
    noise, inverse = noise_matrices(joint)
    py = prior(PY_METHODS[py_method](ps, noise, inverse, joint))
    return converged(ps, py, noise, inverse) if converge_latent_estimates else (py, noise, inverse)


def estimate_py_and_noise_matrices_from_probabilities(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    thresholds: ArrayLike | None = None,
    converge_latent_estimates: bool = True,
    py_method: str = "cnt",
    calibrate: bool = True,
) -> tuple[Float64, Float64, Float64, NDArray[np.int64]]:
    """Return (py, noise matrix, inverse noise matrix, confident joint) of labelled rows.

    Parameters as for :func:`lq_spark.core.confident.compute_confident_joint` and
    :func:`estimate_latent`.
    """
    joint = compute_confident_joint(labels, pred_probs, thresholds=thresholds, calibrate=calibrate)
    counts = np.asarray(joint)
    latent = estimate_latent(
        counts,
        labels,
        py_method=py_method,
        converge_latent_estimates=converge_latent_estimates,
    )
    return (*latent, counts)

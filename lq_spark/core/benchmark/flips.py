"""How many labels of each class become which: exact counts, and which rows they are."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import DataError

_SLACK: Final = 1e-6
"""How far sums of probabilities may be from 1."""


def checked_shares(py: ArrayLike, n_classes: int) -> Float64:
    """Return the shares of classes as float64, shape (K,); raise DataError if they are none."""
    wanted = f"py must be {n_classes} numbers, one a class"
    try:
        shares = np.asarray(py, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{wanted}, got {py!r:.80}") from error
    if shares.shape != (n_classes,):
        raise DataError(f"{wanted}, got shape {shares.shape}")
    return shares


def is_learnable(noise_matrix: Float64, py: Float64) -> bool:
    """Return whether a joint sums to 1 and each class is given as itself not by chance alone."""
    joint = noise_matrix * py
    by_itself, by_chance = _given_as_itself(joint, py)
    return bool(abs(joint.sum() - 1.0) <= _SLACK and (by_itself > by_chance).all())


def require_learnable(noise_matrix: Float64, py: Float64) -> None:
    """Raise DataError unless each class is given as itself not by chance alone.

    Parameters
    ----------
    noise_matrix : ndarray of float64, shape (K, K)
        Checked.
    py : ndarray of float64, shape (K,)
        The share of each class.
    """
    by_itself, by_chance = _given_as_itself(noise_matrix * py, py)
    lost = np.flatnonzero(~(by_itself > by_chance))
    if len(lost):
        k = lost[0]
        raise DataError(
            f"noise_matrix is not valid for these labels: class {k} given as {k} must be likelier "
            f"than by chance, {by_chance[k]:g}, and is {by_itself[k]:g}"
        )


def _given_as_itself(joint: Float64, py: Float64) -> tuple[Float64, Float64]:
    """Return P(given = k, true = k) of each class, and P(given = k) P(true = k)."""
    return np.diag(joint), joint.sum(axis=1) * py


def flip_counts(noise_matrix: Float64, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many rows of each class get which label: shape (K, K), given by true.

    Parameters
    ----------
    noise_matrix : ndarray of float64, shape (K, K)
        P(given | true), checked.
    counts : ndarray of int64, shape (K,)
        The rows of each class.

    Returns
    -------
    ndarray of int64, shape (K, K)
        Off the diagonal ``trunc(noise_matrix * py * n)``, where py are the shares of the classes,
        as cleanlab has it; the rows that are left keep their label.
    """
    n_rows = counts.sum()
    flips: NDArray[np.int64] = (noise_matrix * (counts / n_rows) * n_rows).astype(np.int64)
    np.fill_diagonal(flips, 0)
    np.fill_diagonal(flips, counts - flips.sum(axis=0))
    return flips


def labels_by_place(
    labels: NDArray[np.int64], places: NDArray[np.int64], flips: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the labels that rows get: the first of a class that of the lowest other class.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        True labels, 0 to K - 1.
    places : ndarray of int64, shape (n,)
        The place of each row among those of its class, from 0, in the order in which they are
        drawn.
    flips : ndarray of int64, shape (K, K)
        See :func:`flip_counts`.

    Examples
    --------
    >>> flips = np.array([[1, 1], [2, 0]])
    >>> labels_by_place(np.array([0, 0, 0, 1]), np.array([2, 0, 1, 0]), flips)
    array([0, 1, 1, 0])
    """
    n_classes = len(flips)
    is_other = ~np.eye(n_classes, dtype=bool)
    ends = np.cumsum(flips.T[is_other].reshape(n_classes, n_classes - 1), axis=1)
    # One search for the rows of all classes, each of which has numbers of its own.
    width = len(labels) + 1
    ends += np.arange(n_classes)[:, np.newaxis] * width
    found = np.searchsorted(ends.ravel(), labels * width + places, side="right")
    other = found - labels * (n_classes - 1)
    noisy: NDArray[np.int64] = np.where(other == n_classes - 1, labels, other + (other >= labels))
    return noisy

"""The rarest class of a data set and whether it is too rare: partial → merge → finish on counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.core.shared.checks import checked_labels
from lq_spark.errors import DataError, require_number, require_whole_number

THRESHOLD: Final = 0.1
"""A class is too rare below this part of its share if all K classes had the same, 1/K."""


@dataclass(frozen=True, slots=True)
class Imbalance:
    """How rare the rarest class is.

    Attributes
    ----------
    rarest : int
        The class with the fewest rows among those that occur, of equal ones the first.
    score : float
        Its share of all rows.
    is_issue : bool
        Whether it is too rare.
    absent : tuple of int
        The classes without a row.
    """

    rarest: int
    score: float
    is_issue: bool
    absent: tuple[int, ...]


def find_class_imbalance(
    labels: ArrayLike, n_classes: int, *, threshold: float = THRESHOLD
) -> tuple[Mask, Float64, Imbalance]:
    """Return which rows are of a class that is too rare.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Given labels, 0 to K - 1.
    n_classes : int
        K, with the classes that do not occur.
    threshold : float
        The rarest class is too rare if its share is below ``threshold / K``; from 0 to 1.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for the rows of the rarest class if it is too rare.
    ndarray of float64, shape (n,)
        The share of the rarest class for its rows, 1 for the others: 0 rare, 1 not.
    Imbalance

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If there are no labels, or they are not 0 to K - 1.

    Notes
    -----
    The check ``class_imbalance`` of cleanlab's Datalab. There a class that does not occur is the
    rarest one if it comes before one that does: the score then is 0, and no row is flagged.

    Examples
    --------
    >>> flags, scores, found = find_class_imbalance([0] * 30 + [1], n_classes=2)
    >>> flags.sum(), scores[[0, 30]].round(3), found.rarest, found.is_issue
    (np.int64(1), array([1.   , 0.032]), 1, True)
    """
    require_whole_number("n_classes", n_classes, 1)
    given = checked_labels(labels)
    outside = given[(given < 0) | (given >= n_classes)]
    if len(outside):
        raise DataError(f"labels must be 0 to {n_classes - 1}, got {outside[0]}")
    found = finish_imbalance(partial_class_counts(given, n_classes), threshold)
    flags, scores = imbalance_of_rows(given, found)
    return flags, scores, found


def partial_class_counts(labels: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """Return the state of a batch of labels in 0..K-1: the rows of each class, shape (K,)."""
    return np.bincount(labels, minlength=n_classes).astype(np.int64)


def merge_class_counts(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return a + b


def finish_imbalance(counts: NDArray[np.int64], threshold: float = THRESHOLD) -> Imbalance:
    """Return how rare the rarest class is, from the rows of each class, shape (K,).

    Raises
    ------
    OptionError
        If the threshold is no number from 0 to 1.
    DataError
        If there are no rows.

    Examples
    --------
    >>> finish_imbalance(np.array([30, 0, 1]))
    Imbalance(rarest=2, score=0.03225806451612903, is_issue=True, absent=(1,))
    """
    limit = require_number("threshold", threshold, 0.0, 1.0)
    there = np.flatnonzero(counts)
    if len(there) == 0:
        raise DataError("there are no labels; at least 1 is needed")
    rarest = int(there[counts[there].argmin()])
    share = int(counts[rarest]) / int(counts.sum())
    absent = tuple(np.flatnonzero(counts == 0).tolist())
    return Imbalance(rarest, share, share < limit / len(counts), absent)


def imbalance_of_rows(labels: NDArray[np.integer], found: Imbalance) -> tuple[Mask, Float64]:
    """Return flags and scores of a batch of labels, shape (m,) each: 0 rare, 1 not."""
    is_rarest = labels == found.rarest
    return is_rarest & found.is_issue, np.where(is_rarest, found.score, 1.0)

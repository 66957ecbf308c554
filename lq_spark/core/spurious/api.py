"""How well each property of the rows predicts their classes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_labels
from lq_spark.core.spurious.bayes import fitted_models, partial_hits
from lq_spark.core.spurious.folds import stratified_folds
from lq_spark.core.spurious.moments import Scale, finish_moments, partial_moments
from lq_spark.errors import DataError, require_number, require_whole_number

N_FOLDS: Final = 5

THRESHOLD: Final = 0.3
"""A property whose score is below it tells the classes apart."""


@dataclass(frozen=True, slots=True)
class Correlations:
    """How well each of P properties predicts the classes.

    Attributes
    ----------
    baseline : float
        The accuracy of naming the most frequent class every time: its share.
    accuracies : tuple of float, length P
        The share of the rows of a fold whose class is predicted from the property, by a model of
        the rows outside of it: the mean of the folds.
    scores : tuple of float, length P
        What is left to be predicted, as a part of what the baseline leaves: 0 nothing, the property
        tells the classes apart; 1 all, it says no more than the baseline.
    is_issue : tuple of bool, length P
        Whether the score is below the threshold.
    few : tuple of int
        The classes with rows, but fewer than there are folds, which some folds do not test.
    """

    baseline: float
    accuracies: tuple[float, ...]
    scores: tuple[float, ...]
    is_issue: tuple[bool, ...]
    few: tuple[int, ...]


def find_spurious_correlations(
    properties: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    n_folds: int = N_FOLDS,
    threshold: float = THRESHOLD,
) -> Correlations:
    """Return how well the classes are predicted from each property alone.

    Parameters
    ----------
    properties : mapping of str to array-like of numbers, shape (n,) each
        Such as the brightness of an image, or the length of a text.
    labels : array-like of int, shape (n,)
        Given labels, from 0.
    n_folds : int
        Into how many parts the rows are cut, each predicted from the others; at least 2.
    threshold : float
        A property is an issue if its score is below it; from 0 to 1.

    Returns
    -------
    Correlations

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If labels are below 0, no class has as many rows as there are folds, there are no
        properties, or one is not of n finite numbers.

    Notes
    -----
    The check ``spurious_correlations`` of cleanlab's Datalab: Gaussian naive Bayes, in a stratified
    k-fold that does not shuffle. There the baseline is the *index* of the most frequent class,
    divided by n; here it is the share of that class. A property of a single value scores 1, and
    so does each where there is one class.

    A property is measured in 2^52 steps from its lowest to its highest value.

    Examples
    --------
    >>> dark, light = [0.1, 0.2, 0.3, 0.2, 0.1], [0.8, 0.9, 0.7, 0.8, 0.9]
    >>> properties = {"brightness": dark + light, "width": [3, 4] * 5}
    >>> found = find_spurious_correlations(properties, [0] * 5 + [1] * 5)
    >>> found.accuracies, found.scores, found.is_issue
    ((1.0, 0.3), (0.0, 1.0), (True, False))
    """
    require_whole_number("n_folds", n_folds, 2)
    require_number("threshold", threshold, 0.0, 1.0)
    given = checked_labels(labels)
    if len(given) and given.min() < 0:
        raise DataError(f"labels must be at least 0, got {given.min()}")
    if not properties:
        raise DataError("there are no properties; at least 1 is needed")
    columns = [_numbers(name, column, len(given)) for name, column in properties.items()]
    counts = np.bincount(given).astype(np.int64)
    classes, first = np.unique(given, return_index=True)
    cut = stratified_folds(counts, classes[first.argsort()].tolist(), n_folds)
    by_class = given.argsort(kind="stable")
    ranks = np.empty_like(by_class)
    ranks[by_class] = np.arange(len(given)) - np.repeat(np.cumsum(counts) - counts, counts)
    folds = cut.of_rows(given, ranks)
    steps = np.stack([Scale(values.min(), values.max()).steps(values) for values in columns])
    sums = partial_moments(steps, given, folds, len(counts), n_folds)
    hits = partial_hits(steps, given, folds, fitted_models(finish_moments(sums)))
    return finish_hits(hits, sums.counts, threshold)


def finish_hits(
    hits: NDArray[np.int64], counts: NDArray[np.int64], threshold: float = THRESHOLD
) -> Correlations:
    """Return how well classes are predicted.

    Parameters
    ----------
    hits : ndarray of int64, shape (P, F)
        How many rows of each fold are predicted.
    counts : ndarray of int64, shape (F, K)
        The rows of each fold and class; a row in each fold at least.
    threshold : float
    """
    of_folds, of_classes = counts.sum(axis=1), counts.sum(axis=0)
    baseline = int(of_classes.max()) / int(of_classes.sum())
    # Added one by one: NumPy's order of addition depends on the shape.
    accuracies = [sum((row / of_folds).tolist()) / len(of_folds) for row in hits]
    left = 1.0 - baseline
    scores = [min(1.0, (1.0 - accuracy) / left) if left else 1.0 for accuracy in accuracies]
    few = np.flatnonzero((of_classes > 0) & (of_classes < len(of_folds)))
    return Correlations(
        baseline,
        tuple(accuracies),
        tuple(scores),
        tuple(score < threshold for score in scores),
        tuple(few.tolist()),
    )


def _numbers(name: str, column: ArrayLike, n: int) -> Float64:
    values = np.asarray(column)
    if values.ndim != 1 or len(values) != n or values.dtype.kind not in "iuf":
        raise DataError(
            f"property {name!r} must be {n} numbers, one a label, got shape {values.shape} of "
            f"{values.dtype}"
        )
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise DataError(f"property {name!r} has values that are NaN or infinite")
    return numbers

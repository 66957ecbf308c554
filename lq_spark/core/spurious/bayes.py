"""Which class a property alone speaks for, by Gaussian naive Bayes: how often it is the given one.

Each fold has a model of its own, of the rows outside of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import BLOCK_ELEMENTS, Float64
from lq_spark.core.spurious.moments import Moments

SMOOTHING: Final = 1e-9
"""This part of the variance of all rows is added to that of each class."""


@dataclass(frozen=True, slots=True)
class Models:
    """A model for each of P properties and F folds, in steps.

    A class is the likelier, the higher ``offsets - (steps - means)² * weights`` is.

    Attributes
    ----------
    means, weights, offsets : ndarray of float64, shape (P, F, K)
    """

    means: Float64
    weights: Float64
    offsets: Float64


def fitted_models(moments: Moments) -> Models:
    """Return the models of the rows outside of each fold.

    A property without any variance there says nothing: the most frequent class is the likeliest.
    """
    counts = moments.counts
    with np.errstate(divide="ignore"):  # a class that is nowhere outside of a fold
        priors = np.log(counts / counts.sum(axis=1, keepdims=True))
    varies = moments.of_all[:, :, np.newaxis] > 0.0
    variances = moments.variances + SMOOTHING * moments.of_all[:, :, np.newaxis]
    variances = np.where(varies, variances, 1.0)
    weights = np.where(varies, 0.5 / variances, 0.0)
    return Models(moments.means, weights, priors - 0.5 * np.log(variances))


def partial_hits(
    steps: Float64,
    labels: NDArray[np.integer],
    folds: NDArray[np.integer],
    models: Models,
) -> NDArray[np.int64]:
    """Return the state of a batch of rows: how many the models are right of, shape (P, F).

    Parameters
    ----------
    steps : ndarray of float64, shape (P, m)
    labels, folds : ndarray of int, shape (m,)
    models : Models
    """
    n_properties, n_folds, n_classes = models.means.shape
    hits = np.zeros((n_properties, n_folds), dtype=np.int64)
    size = max(1, BLOCK_ELEMENTS // n_classes)
    for start in range(0, len(labels), size):
        rows = slice(start, start + size)
        fold, label = folds[rows], labels[rows]
        for p in range(n_properties):
            distances = steps[p, rows, np.newaxis] - models.means[p, fold]
            likelihoods = models.offsets[p, fold] - distances**2 * models.weights[p, fold]
            is_hit = likelihoods.argmax(axis=1) == label
            hits[p] += np.bincount(fold[is_hit], minlength=n_folds)
    return hits


def merge_hits(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return a + b

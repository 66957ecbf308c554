"""How far predicted probabilities can be taken at their word: their calibration.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (2017),
arXiv:1706.04599, equations 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.exact import scaled_halves, scaled_means

N_BINS = 10

_BLOCK = 1 << 20
"""Probabilities that are looked at together."""


@dataclass(frozen=True, slots=True)
class CalibrationSums:
    """Sums over the rows by bin of confidence, as whole numbers: arrays of shape (N_BINS,).

    Of classes that are judged each by itself: of shape (K, N_BINS).

    Attributes
    ----------
    counts, hits : ndarray of int64
        Rows, and those whose likeliest class is the given one.
    high, low : ndarray of int64
        Summed probability of the likeliest class (:mod:`lq_spark.core.shared.exact`).
    """

    counts: NDArray[np.int64]
    hits: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration of probabilities; arrays of shape (m,), of the bins that have rows.

    Attributes
    ----------
    confidence, accuracy : ndarray of float64
        Mean probability of the likeliest class, and how often it is the given one.
    counts : ndarray of int64
        Rows.
    error : float
        Expected calibration error: the mean distance of both over the rows, 0 calibrated. NaN
        without rows.
    """

    confidence: Float64
    accuracy: Float64
    counts: NDArray[np.int64]
    error: float


def partial_calibration(
    labels: NDArray[np.int64], pred_probs: NDArray[np.floating]
) -> CalibrationSums:
    """Return the state of a batch.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        Given classes.
    pred_probs : ndarray of float, shape (n, K)
    """
    guess = pred_probs.argmax(axis=1)
    confidence = pred_probs[np.arange(len(guess)), guess].astype(np.float64)
    bins = _bins(confidence)
    weights = (np.ones(len(bins)), guess == labels, *scaled_halves(confidence))
    # bincount adds in float64: exact, as a batch has fewer than 2^21 rows.
    return CalibrationSums(*(np.bincount(bins, w, N_BINS).astype(np.int64) for w in weights))


def partial_label_calibrations(
    is_given: NDArray[np.bool_], pred_probs: NDArray[np.floating]
) -> CalibrationSums:
    """Return the state of a batch of rows that may have any number of labels.

    Each class is judged by itself: the confidence is its probability, a hit is a row given it.

    Parameters
    ----------
    is_given : ndarray of bool, shape (n, K)
    pred_probs : ndarray of float, shape (n, K)

    Returns
    -------
    CalibrationSums
        Of shape (K, N_BINS).
    """
    n_classes = pred_probs.shape[1]
    sums = np.zeros((4, n_classes * N_BINS), dtype=np.int64)
    step = max(1, _BLOCK // n_classes)
    for start in range(0, len(pred_probs), step):
        block = slice(start, start + step)
        confidence = pred_probs[block].astype(np.float64)
        bins = (_bins(confidence) + N_BINS * np.arange(n_classes)).ravel()
        halves = scaled_halves(confidence)
        for place, weights in enumerate((np.ones(bins.shape), is_given[block], *halves)):
            # Exact: a block has fewer than 2^21 rows.
            sums[place] += np.bincount(bins, weights.ravel(), sums.shape[1]).astype(np.int64)
    return CalibrationSums(*sums.reshape(4, n_classes, N_BINS))


def _bins(confidence: Float64) -> NDArray[np.int64]:
    """Return the bin of each probability: (0, 0.1] is the first, as in the paper, and has 0."""
    bins: NDArray[np.int64] = np.ceil(confidence * N_BINS).astype(np.int64) - 1
    return bins.clip(0, N_BINS - 1)


def merge_calibrations(a: CalibrationSums, b: CalibrationSums) -> CalibrationSums:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return CalibrationSums(a.counts + b.counts, a.hits + b.hits, a.high + b.high, a.low + b.low)


def finish_label_calibrations(sums: CalibrationSums) -> tuple[Calibration, list[Calibration]]:
    """Return the calibration of all probabilities of all rows, and that of each class.

    Examples
    --------
    >>> is_given, pred_probs = np.array([[True, False]]), np.array([[0.75, 0.75]])
    >>> found, of_classes = finish_label_calibrations(
    ...     partial_label_calibrations(is_given, pred_probs)
    ... )
    >>> found.error, [of_class.error for of_class in of_classes]
    (0.25, [0.25, 0.75])
    """
    parts = (sums.counts, sums.hits, sums.high, sums.low)
    of_classes = [CalibrationSums(*of_class) for of_class in zip(*parts, strict=True)]
    together = CalibrationSums(*(part.sum(axis=0) for part in parts))
    return finish_calibration(together), [finish_calibration(one) for one in of_classes]


def finish_calibration(sums: CalibrationSums) -> Calibration:
    """Return the calibration of all rows.

    Examples
    --------
    >>> labels, pred_probs = np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]])
    >>> finish_calibration(partial_calibration(labels, pred_probs)).error
    0.25
    """
    some = sums.counts > 0
    counts = sums.counts[some]
    confidence = scaled_means(sums.high[some], sums.low[some], counts)
    accuracy = sums.hits[some] / counts
    distances = np.abs(accuracy - confidence) * counts
    error = float(distances.sum() / counts.sum()) if len(counts) else float("nan")
    return Calibration(confidence, accuracy, counts, error)

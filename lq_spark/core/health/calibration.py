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


@dataclass(frozen=True, slots=True)
class CalibrationSums:
    """Sums over the rows by bin of confidence, as whole numbers: arrays of shape (N_BINS,).

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
    # (0, 0.1] is the first bin, as in the paper.
    bins = (np.ceil(confidence * N_BINS).astype(np.int64) - 1).clip(0, N_BINS - 1)
    weights = (np.ones(len(bins)), guess == labels, *scaled_halves(confidence))
    # bincount adds in float64: exact, as a batch has fewer than 2^21 rows.
    return CalibrationSums(*(np.bincount(bins, w, N_BINS).astype(np.int64) for w in weights))


def merge_calibrations(a: CalibrationSums, b: CalibrationSums) -> CalibrationSums:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return CalibrationSums(a.counts + b.counts, a.hits + b.hits, a.high + b.high, a.low + b.low)


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

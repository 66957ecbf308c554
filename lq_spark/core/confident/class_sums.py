"""Class thresholds as partial → merge → finish, on exact sums of the self-confidence of each class.

The sums have no order of addition, so the thresholds of a table do not depend on how it is split.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.1, equation 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.constants import ABSENT_CLASS_THRESHOLD, CONFIDENT_THRESHOLDS_LOWER_BOUND
from lq_spark.core.shared.exact import MAX_TERMS, exact_mean, scaled_halves
from lq_spark.errors import DataError

_EXACT_BINCOUNT_ROWS = 1 << 21
"""bincount adds in float64: exact as long as a sum of 30-bit integers stays below 2^53."""


@dataclass(frozen=True, slots=True)
class ClassSums:
    """Per given class: the number of rows and the exact sum of their self-confidence.

    Attributes
    ----------
    counts, high, low : ndarray of int64, shape (K,)
        Sums of the halves of :mod:`lq_spark.core.shared.exact`.
    """

    counts: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]


def partial_class_sums(labels: NDArray[np.integer], pred_probs: NDArray[np.floating]) -> ClassSums:
    """Return the state of a batch: labels (n,) in 0..K-1, pred_probs (n, K), checked before."""
    confidence = pred_probs[np.arange(len(labels)), labels]
    return confidence_sums(labels, confidence, pred_probs.shape[1])


def confidence_sums(
    labels: NDArray[np.integer], confidence: NDArray[np.floating], n_classes: int
) -> ClassSums:
    """Return the state of rows of labels (n,) in 0..K-1 with this self-confidence (n,)."""
    state = ClassSums(*(np.zeros(n_classes, dtype=np.int64) for _ in range(3)))
    for start in range(0, len(labels), _EXACT_BINCOUNT_ROWS):
        rows = slice(start, start + _EXACT_BINCOUNT_ROWS)
        given = labels[rows]
        halves = [
            np.bincount(given, weights=half, minlength=n_classes).astype(np.int64)
            for half in scaled_halves(confidence[rows])
        ]
        batch = ClassSums(np.bincount(given, minlength=n_classes).astype(np.int64), *halves)
        state = merge_class_sums(state, batch)
    return state


def merge_class_sums(a: ClassSums, b: ClassSums) -> ClassSums:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return ClassSums(a.counts + b.counts, a.high + b.high, a.low + b.low)


def finish_thresholds(state: ClassSums) -> NDArray[np.float64]:
    """Return the confident threshold of each class, shape (K,): the correctly rounded mean.

    Raises
    ------
    DataError
        If a class has more rows than the integer sums can hold (2^32).
    """
    if state.counts.max(initial=0) > MAX_TERMS:
        raise DataError(f"a class has {state.counts.max()} rows, at most {MAX_TERMS} can be summed")
    thresholds = np.full(len(state.counts), ABSENT_CLASS_THRESHOLD)
    for k in np.flatnonzero(state.counts):
        mean = exact_mean(state.high[k], state.low[k], state.counts[k])
        thresholds[k] = max(mean, CONFIDENT_THRESHOLDS_LOWER_BOUND)
    return thresholds

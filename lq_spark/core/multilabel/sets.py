"""Sets of labels as a matrix of bits, and what makes a row of them unusable.

Each class is a binary problem of its own: its label is a bit (given or not), its probabilities are
(1 - p, p). A *cell* is a row's part in one of the K problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import BLOCK_ELEMENTS, FEW_CLASSES
from lq_spark.core.shared.checks import checked_pred_probs, first_faults
from lq_spark.core.shared.constants import PROBABILITY_SLACK
from lq_spark.errors import DataError

Bits = NDArray[np.bool_]


class SetFault(IntEnum):
    """Why a row cannot be scored. A row with several faults has the one that comes first here."""

    NONE = 0
    LABEL_OUT_OF_RANGE = 1
    LABEL_TWICE = 2
    NOT_FINITE = 3
    NEGATIVE = 4
    ABOVE_ONE = 5


SET_FAULT_REASONS = {
    SetFault.LABEL_OUT_OF_RANGE: "label out of range",
    SetFault.LABEL_TWICE: "label given twice",
    SetFault.NOT_FINITE: "probability not finite",
    SetFault.NEGATIVE: "probability below 0",
    SetFault.ABOVE_ONE: "probability above 1",
}


def given_bits(
    labels: NDArray[np.integer], lengths: NDArray[np.integer], n_classes: int
) -> tuple[Bits, NDArray[np.uint8]]:
    """Return which classes each row is given, and the SetFault of its labels.

    Parameters
    ----------
    labels : ndarray of int, shape (sum of lengths,)
        The labels of all rows, row after row.
    lengths : ndarray of int, shape (n,)
        How many of them each row has.
    n_classes : int
        K.

    Returns
    -------
    ndarray of bool, shape (n, K)
        In the memory order of :func:`lq_spark.core.shared.blocks.float64_blocks`.
    ndarray of uint8, shape (n,)
        LABEL_OUT_OF_RANGE, LABEL_TWICE or NONE.

    Examples
    --------
    >>> bits, faults = given_bits(np.array([2, 0, 1, 1]), np.array([2, 0, 2]), n_classes=3)
    >>> bits.astype(int)
    array([[1, 0, 1],
           [0, 0, 0],
           [0, 1, 0]])
    >>> faults
    array([0, 0, 2], dtype=uint8)
    """
    n_rows = len(lengths)
    bits = np.zeros((n_rows, n_classes), bool, order="F" if n_classes <= FEW_CLASSES else "C")
    faults = np.zeros(n_rows, dtype=np.uint8)
    row = np.repeat(np.arange(n_rows), lengths)
    inside = (labels >= 0) & (labels < n_classes)
    bits[row[inside], labels[inside]] = True
    if np.count_nonzero(bits) < np.count_nonzero(inside):
        found = np.bincount(row[inside], minlength=n_rows)
        faults[found > np.count_nonzero(bits, axis=1)] = SetFault.LABEL_TWICE
    faults[row[~inside]] = SetFault.LABEL_OUT_OF_RANGE
    return bits, faults


def probability_faults(pred_probs: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the SetFault of each row's probabilities, each between 0 and 1 within 1e-6.

    They are independent: what they sum to says nothing.

    Examples
    --------
    >>> probability_faults(np.array([[0.9, 0.9], [0.5, np.nan], [0.5, 1.5]]))
    array([0, 3, 5], dtype=uint8)
    """
    faults = np.zeros(len(pred_probs), dtype=np.uint8)
    step = max(1, BLOCK_ELEMENTS // max(pred_probs.shape[1], 1))
    for start in range(0, len(pred_probs), step):
        block = pred_probs[start : start + step]
        low, high = -PROBABILITY_SLACK, 1.0 + PROBABILITY_SLACK
        if not (block.min() >= low and block.max() <= high):  # so also for NaN
            faults[start : start + step] = first_faults(
                {
                    SetFault.NOT_FINITE: ~np.isfinite(block).all(axis=1),
                    SetFault.NEGATIVE: block.min(axis=1) < low,
                    SetFault.ABOVE_ONE: block.max(axis=1) > high,
                }
            )
    return faults


def checked_label_sets(
    labels: Sequence[ArrayLike], pred_probs: ArrayLike
) -> tuple[Bits, NDArray[np.floating]]:
    """Return labels as bits (n, K) and pred_probs (n, K).

    Parameters
    ----------
    labels : sequence of n array-like of int
        The classes that each row is given, each in 0..K-1 and once; none, some or all of them.
    pred_probs : array-like of float, shape (n, K)
        Out-of-sample predicted probability of each class, K at least 2.

    Raises
    ------
    DataError
        If the shapes differ, there is no row, or rows cannot be scored: the first is named.

    Examples
    --------
    >>> checked_label_sets([[1], []], [[0.25, 0.75], [0.5, 0.5]])[0].astype(int)
    array([[0, 1],
           [0, 0]])
    """
    matrix = checked_pred_probs(pred_probs)
    if len(labels) != len(matrix) or not len(matrix):
        raise DataError(
            f"labels has {len(labels)} rows, pred_probs has {len(matrix)}; the same number, of at "
            "least 1, is needed"
        )
    lengths = np.zeros(len(labels), dtype=np.int64)
    flat = [np.zeros(0, dtype=np.int64)]
    for i, given in enumerate(labels):
        row = np.asarray(given)
        if row.ndim != 1 or (len(row) and row.dtype.kind not in "iu"):
            raise DataError(
                f"labels of row {i} must be a list of class indices 0..K-1, got {given!r:.80}"
            )
        lengths[i] = len(row)
        if len(row):
            flat.append(row.astype(np.int64))
    bits, faults = given_bits(np.concatenate(flat), lengths, matrix.shape[1])
    faults = np.where(faults == SetFault.NONE, probability_faults(matrix), faults)
    faulty = np.flatnonzero(faults)
    if len(faulty):
        raise DataError(
            f"row {faulty[0]}: {SET_FAULT_REASONS[SetFault(faults[faulty[0]])]}; {len(faulty)} "
            f"unusable rows in all (pred_probs has K = {matrix.shape[1]} classes)"
        )
    return bits, matrix

"""The label quality scores of rows already checked: the formulas, block by block.

Source: Kuan, Mueller, "Model-agnostic label quality scoring to detect real-world label errors",
ICML DataPerf (2022), section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.thresholds import finish_thresholds, partial_class_sums
from lq_spark.core.shared.blocks import Float64, float64_blocks, row_sums
from lq_spark.core.shared.constants import CLIPPING_LOWER_BOUND
from lq_spark.errors import OptionError, require_one_of


def _self_confidence(block: Float64, labels: NDArray[np.integer]) -> Float64:
    given: Float64 = block[np.arange(len(labels)), labels]
    return given


def _normalized_margin(block: Float64, labels: NDArray[np.integer]) -> Float64:
    rows = np.arange(len(labels))
    given: Float64 = block[rows, labels]
    block[rows, labels] = -np.inf
    margin: Float64 = given - block.max(axis=1)
    return (margin + 1.0) / 2.0


def _confidence_weighted_entropy(block: Float64, labels: NDArray[np.integer]) -> Float64:
    np.clip(block, 0.0, 1.0, out=block)  # float32 output may exceed 1 by rounding
    given = block[np.arange(len(labels)), labels]
    logs = np.log(block, out=np.zeros_like(block), where=block > 0.0)  # 0 · ln 0 = 0
    logs *= block
    entropy = -row_sums(logs) / np.log(block.shape[1])
    weighted: Float64 = entropy / np.maximum(given, CLIPPING_LOWER_BOUND)
    return np.log(weighted + 1.0) / np.maximum(weighted, CLIPPING_LOWER_BOUND)


METHODS: Mapping[str, Callable[[Float64, NDArray[np.integer]], Float64]] = {
    "self_confidence": _self_confidence,
    "normalized_margin": _normalized_margin,
    "confidence_weighted_entropy": _confidence_weighted_entropy,
}
"""The scores: (scratch block of probabilities, labels) -> score; a method may change its block."""


def require_method(method: str, *, adjust_pred_probs: bool = False, option: str = "method") -> None:
    """Raise OptionError unless ``method`` is a score, and one that can be adjusted if asked."""
    require_one_of(option, method, METHODS)
    if adjust_pred_probs and method == "confidence_weighted_entropy":
        raise OptionError(
            "adjust_pred_probs=True is not defined for method 'confidence_weighted_entropy'; "
            "use 'self_confidence' or 'normalized_margin'"
        )


def score_rows(
    labels: NDArray[np.integer],
    pred_probs: NDArray[np.floating],
    method: str,
    thresholds: Float64 | None = None,
) -> Float64:
    """Return the label quality of each row, shape (n,): inputs checked before, none copied whole.

    With ``thresholds`` t, shape (K,) or for each row its own, shape (n, K), the score is taken of
    the adjusted probabilities ``(p_k - t_k + max(t)) / sum_j (p_j - t_j + max(t))`` (Kuan and
    Mueller, section 3.2).
    """
    if thresholds is not None and method == "self_confidence":
        return adjusted_confidence(labels, *given_and_totals(labels, pred_probs), thresholds)
    score = METHODS[method]
    scores = np.empty(len(labels), dtype=np.float64)
    offsets = None
    if thresholds is not None:
        offsets = _offsets(thresholds)
    for rows, block in float64_blocks(pred_probs):
        if offsets is not None:
            block += offsets if offsets.ndim == 1 else offsets[rows]
            block /= row_sums(block)[:, np.newaxis]
        scores[rows] = score(block, labels[rows])
    return scores


def given_and_totals(
    labels: NDArray[np.integer], pred_probs: NDArray[np.floating]
) -> tuple[Float64, Float64]:
    """Return of each row, (n,), the probability of the given label, and the sum of all."""
    totals = np.empty(len(labels), dtype=np.float64)
    for rows, block in float64_blocks(pred_probs):
        totals[rows] = row_sums(block)
    return pred_probs[np.arange(len(labels)), labels].astype(np.float64), totals


def adjusted_confidence(
    labels: NDArray[np.integer], given: Float64, totals: Float64, thresholds: Float64
) -> Float64:
    """Return the adjusted self-confidence of rows, (n,): all that it takes of their probabilities.

    With ``o_k = max(t) - t_k`` that of :func:`score_rows` is ``(p_given + o_given) / (sum_j p_j +
    sum_j o_j)``: the thresholds need not be known when the probabilities are read.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    given, totals : ndarray of float64, shape (n,)
        As of :func:`given_and_totals`.
    thresholds : ndarray of float64, shape (K,) or (n, K)
    """
    offsets = _offsets(thresholds)
    of_given = offsets[labels] if offsets.ndim == 1 else offsets[np.arange(len(labels)), labels]
    adjusted: Float64 = (given + of_given) / (totals + offsets.sum(axis=-1))
    return adjusted


def _offsets(thresholds: Float64) -> Float64:
    highest: Float64 = np.max(thresholds, axis=-1, keepdims=True)
    return highest - thresholds


def score_data_set(
    labels: NDArray[np.integer],
    pred_probs: NDArray[np.floating],
    method: str,
    *,
    adjust_pred_probs: bool,
) -> Float64:
    """Return :func:`score_rows`, adjusted, if asked, by the thresholds of these very rows."""
    thresholds = None
    if adjust_pred_probs:
        thresholds = finish_thresholds(partial_class_sums(labels, pred_probs))
    return score_rows(labels, pred_probs, method, thresholds)

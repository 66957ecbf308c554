"""The rules of confident learning on cells: how many of each group to prune, and which.

Within a group the least likely cells are those of the lowest self-confidence s, and the margin
s - (1 - s) that pruning by noise rate orders by has the same order. So each rule of pruning is a
number of cells of each group, and "both" the smaller number of the two.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.confident.joint import sparse
from lq_spark.core.label_issues.quotas import are_enough, numbers_to_remove
from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.multilabel.cells import (
    AGREES,
    cell_counts,
    cell_kinds,
    cell_thresholds,
    is_confident_issue,
    partial_cell_counts,
    partial_cell_sums,
)
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.core.multilabel.scores import aggregator_of, score_cells
from lq_spark.core.multilabel.sets import Bits
from lq_spark.core.shared.blocks import Float64, float64_blocks
from lq_spark.core.shared.selection import lowest
from lq_spark.errors import DataError


def cell_order(rule: Rule) -> str:
    """Return the score that the cells of a group are ordered by under a rule that orders them.

    The low_* rules order the cells of a class whatever their bit; the two scores are the same but
    for rounding, and so for ties.
    """
    return rule.order_by or "self_confidence"


def cell_quotas(
    rule: Rule, joints: NDArray[np.integer], class_counts: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Return how many cells of each group to prune, shape (K, 2).

    Parameters
    ----------
    rule : Rule
    joints : ndarray, shape (K, 2, 2)
        Counts (given bit, true bit), as a rule calibrated.
    class_counts : ndarray of int, shape (K, 2)
        Rows of each group.

    Raises
    ------
    OptionError
        If the numbers to remove are not K, or one exceeds the rows given its class.
    """
    if rule.num_to_remove_per_class is not None:
        wanted = numbers_to_remove(rule.num_to_remove_per_class, class_counts[:, 1])
        enough = are_enough(class_counts, rule.min_examples_per_class)
        return np.where(enough, np.stack([np.zeros_like(wanted), wanted], axis=-1), 0)
    quotas = np.zeros(class_counts.shape, dtype=np.int64)
    for k, (joint, counts) in enumerate(zip(joints, class_counts, strict=True)):
        found = rule.quotas(sparse(joint), counts)
        by_noise_rate = np.zeros(2, dtype=np.int64)
        by_noise_rate[found.given] = found.per_pair
        numbers = {"prune_by_class": found.per_class, "prune_by_noise_rate": by_noise_rate}
        both = np.minimum(found.per_class, by_noise_rate)
        quotas[k] = numbers.get(rule.filter_by, both)
    return quotas


def flagged_cells(
    is_given: Bits,
    pred_probs: NDArray[np.floating],
    thresholds: Float64,
    rule: Rule,
    quotas: NDArray[np.int64],
) -> Bits:
    """Return which cells are label issues, shape (n, K); of equal ones the first rows are taken.

    Parameters
    ----------
    is_given, pred_probs : ndarray, shape (n, K)
        All rows, checked before.
    thresholds : ndarray of float64, shape (K, 2)
        Confident thresholds.
    rule : Rule
    quotas : ndarray of int, shape (K, 2)
        :func:`cell_quotas`; not looked at by a rule that does not prune.
    """
    kinds = np.empty(is_given.shape, dtype=np.uint8)
    for rows, block in float64_blocks(pred_probs):
        kinds[rows] = cell_kinds(is_given[rows], block, thresholds)
    doubtful: Bits = (kinds & AGREES) == 0
    if rule.filter_by == "predicted_neq_given":
        return doubtful
    if rule.filter_by == "confident_learning":
        return is_confident_issue(kinds)
    mask = np.zeros(is_given.shape, dtype=bool)
    scores = score_cells(is_given, pred_probs, cell_order(rule))
    if rule.is_low_score:
        for k, n in enumerate(np.count_nonzero(is_confident_issue(kinds), axis=0)):
            mask[lowest(scores[:, k], n), k] = True
        return mask
    for k, bit in zip(*np.nonzero(quotas), strict=True):
        cells = np.flatnonzero(is_given[:, k] == bit)
        mask[cells[lowest(scores[cells, k], quotas[k, bit])], k] = True
    return np.asarray(mask & doubtful)


def model_of(bits: Bits, pred_probs: NDArray[np.floating]) -> MultilabelModel:
    """Return the thresholds and confident joints of a data set: shapes (n, K)."""
    thresholds = cell_thresholds(partial_cell_sums(bits, pred_probs))
    vector = partial_cell_counts(bits, pred_probs, thresholds)
    return MultilabelModel.of_counts(thresholds, cell_counts(vector, bits.shape[1]))


def class_scores(
    bits: Bits, pred_probs: NDArray[np.floating], method: str, *, adjust_pred_probs: bool = False
) -> Float64:
    """Return the label quality of each cell (n, K), adjusted, if asked, by these very rows."""
    thresholds = None
    if adjust_pred_probs:
        thresholds = cell_thresholds(partial_cell_sums(bits, pred_probs))
    return score_cells(bits, pred_probs, method, thresholds)


def row_scores(bits: Bits, pred_probs: NDArray[np.floating], method: str, **kwargs: Any) -> Float64:
    """Return the exponential moving average of :func:`class_scores` of each row, shape (n,)."""
    return aggregator_of({})(class_scores(bits, pred_probs, method, **kwargs))


def issue_cells(
    bits: Bits,
    pred_probs: NDArray[np.floating],
    rule: Rule,
    confident_joint: ArrayLike | None = None,
) -> Bits:
    """Return which cells are label issues, shape (n, K).

    ``confident_joint`` as for :func:`lq_spark.core.multilabel.find_multilabel_issues_per_class`.
    """
    model = model_of(bits, pred_probs)
    joints: NDArray[Any] = model.confident_joint
    if confident_joint is not None:
        joints = checked_joints(confident_joint, model.n_classes)
    quotas = cell_quotas(rule, joints, model.class_counts)
    rule.warn_of_small_classes(model.class_counts[:, 1], stacklevel=4)
    return flagged_cells(bits, pred_probs, model.thresholds, rule, quotas)


def checked_joints(confident_joint: ArrayLike, n_classes: int) -> NDArray[Any]:
    """Return K joints of counts as an array (K, 2, 2); raise DataError for anything else."""
    joints = np.asarray(confident_joint)
    is_valid = joints.shape == (n_classes, 2, 2) and joints.dtype.kind in "iuf"
    if not is_valid or not (joints >= 0).all():
        raise DataError(
            f"confident_joint must be an array of counts of shape ({n_classes}, 2, 2), "
            f"got {joints.dtype} of shape {joints.shape}"
        )
    return joints


def require_rank(method: str | None, kwargs: Mapping[str, Any]) -> None:
    """Raise OptionError unless issues can be ranked by a score, or none is asked for."""
    if method is not None:
        adjusted = bool(kwargs.get("adjust_pred_probs", False))
        require_method(method, adjust_pred_probs=adjusted, option="return_indices_ranked_by")

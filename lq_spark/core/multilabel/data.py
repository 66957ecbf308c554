"""Whole data sets of label sets, checked before: their model, their scores, their label issues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.multilabel.cells import (
    cell_counts,
    cell_thresholds,
    partial_cell_counts,
    partial_cell_sums,
)
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.core.multilabel.rules import cell_quotas, flagged_cells
from lq_spark.core.multilabel.scores import aggregator_of, score_cells
from lq_spark.core.multilabel.sets import Bits
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import DataError


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
    fits = joints.shape == (n_classes, 2, 2) and joints.dtype.kind in "iuf"
    if not fits or not (joints >= 0).all():
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

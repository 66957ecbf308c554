"""Label quality from several models' predicted probabilities of the same rows.

Source: Kuan, Mueller, "Model-agnostic label quality scoring to detect real-world label errors",
ICML DataPerf (2022), section 3.3.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.multiclass.scores import require_method, score_data_set
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_inputs
from lq_spark.core.shared.constants import CLIPPING_LOWER_BOUND
from lq_spark.errors import DataError, OptionError, require_one_of

WEIGHTING_SCHEMES = ("accuracy", "uniform", "log_loss_search", "custom")

_log = logging.getLogger(__name__)


def get_label_quality_ensemble_scores(
    labels: ArrayLike,
    pred_probs_list: Sequence[ArrayLike],
    *,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    weight_ensemble_members_by: str = "accuracy",
    custom_weights: ArrayLike | None = None,
    log_loss_search_T_values: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 2e2),
    verbose: bool = True,
) -> Float64:
    """Return the weighted average of the members' label quality scores: 1 clean, 0 suspect.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Given labels, each in 0..K-1.
    pred_probs_list : sequence of M array-likes of float, each of shape (n, K)
        Predicted probabilities of each model.
    method, adjust_pred_probs
        As in :func:`lq_spark.core.multiclass.get_label_quality_scores`.
    weight_ensemble_members_by : {"accuracy", "uniform", "log_loss_search", "custom"}
        "accuracy": in proportion to how often a model predicts the given label. "log_loss_search":
        in proportion to exp(-T · log loss), with the first T whose weighted average of the models
        has the smallest log loss. "custom": ``custom_weights``, used as given.
    custom_weights : array-like of float, shape (M,), optional
        For "custom" alone.
    log_loss_search_T_values : sequence of float
        The values of T tried by "log_loss_search".
    verbose : bool
        Whether to log the weights.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    OptionError
        If an option is unknown, or custom weights are missing, superfluous or of another length.
    DataError
        If a row of a member cannot be scored, or no model predicts any given label ("accuracy").

    Examples
    --------
    >>> models = [[[0.75, 0.25], [0.25, 0.75]], [[0.25, 0.75], [0.25, 0.75]]]
    >>> get_label_quality_ensemble_scores([0, 1], models, weight_ensemble_members_by="uniform")
    array([0.5 , 0.75])
    """
    require_method(method, adjust_pred_probs=adjust_pred_probs)
    require_one_of("weight_ensemble_members_by", weight_ensemble_members_by, WEIGHTING_SCHEMES)
    if len(pred_probs_list) == 0:
        raise DataError("pred_probs_list is empty; at least 1 model's pred_probs are needed")
    members = [checked_inputs(labels, member)[1] for member in pred_probs_list]
    label_array = checked_inputs(labels, members[0])[0]
    if len({member.shape for member in members}) > 1:
        raise DataError(f"pred_probs_list has members of shapes {[m.shape for m in members]}")

    if (custom_weights is not None) != (weight_ensemble_members_by == "custom"):
        raise OptionError(
            "custom_weights go with weight_ensemble_members_by='custom', and only with it; "
            f"got {weight_ensemble_members_by!r} "
            f"{'without' if custom_weights is None else 'with'} custom_weights"
        )
    if custom_weights is not None:
        weights = np.asarray(custom_weights, dtype=np.float64)
        if weights.shape != (len(members),) or not np.isfinite(weights).all():
            raise OptionError(
                f"custom_weights must be {len(members)} finite numbers, got {weights}"
            )
    elif weight_ensemble_members_by == "accuracy":
        weights = _accuracy_weights(label_array, members)
    elif weight_ensemble_members_by == "log_loss_search":
        weights = _log_loss_weights(label_array, members, log_loss_search_T_values)
    else:
        weights = np.full(len(members), 1.0 / len(members))
    if verbose:
        _log.info("ensemble weights by %s: %s", weight_ensemble_members_by, weights)

    scores = np.zeros(len(label_array), dtype=np.float64)
    for weight, member in zip(weights, members, strict=True):
        scores += weight * score_data_set(
            label_array, member, method, adjust_pred_probs=adjust_pred_probs
        )
    return scores


def _accuracy_weights(
    labels: NDArray[np.int64], members: Sequence[NDArray[np.floating]]
) -> Float64:
    accuracies = np.array([np.mean(member.argmax(axis=1) == labels) for member in members])
    if not accuracies.any():
        raise DataError(
            "no model predicts any given label, so accuracies give no weights; "
            "use weight_ensemble_members_by='uniform'"
        )
    weights: Float64 = accuracies / accuracies.sum()
    return weights


def _log_loss_weights(
    labels: NDArray[np.int64],
    members: Sequence[NDArray[np.floating]],
    temperatures: Sequence[float],
) -> Float64:
    clipped = [np.maximum(member.astype(np.float64), CLIPPING_LOWER_BOUND) for member in members]
    clipped = [member / member.sum(axis=1, keepdims=True) for member in clipped]
    losses = np.array([_log_loss(labels, member) for member in clipped])
    best_weights, best_loss = None, np.inf
    for temperature in temperatures:
        weights = np.exp(-temperature * losses)
        if not weights.any():  # every weight underflows
            continue
        weights /= weights.sum()
        average = sum(
            weight * member.astype(np.float64)
            for weight, member in zip(weights, members, strict=True)
        )
        loss = _log_loss(labels, np.asarray(average))
        if loss < best_loss:
            best_weights, best_loss = weights, loss
    if best_weights is None:
        raise OptionError(f"no value of log_loss_search_T_values gives weights: {temperatures}")
    return best_weights


def _log_loss(labels: NDArray[np.int64], pred_probs: Float64) -> float:
    """Return the mean negative natural log of the given class's share of each row."""
    smallest = np.finfo(np.float64).eps
    clipped = np.clip(pred_probs, smallest, 1.0 - smallest)
    given = clipped[np.arange(len(labels)), labels] / clipped.sum(axis=1)
    return float(-np.mean(np.log(given)))

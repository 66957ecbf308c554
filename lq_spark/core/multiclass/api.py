"""Label quality of multi-class labels: how likely a given label is right, 1 clean, 0 suspect.

Sources: Kuan, Mueller, "Model-agnostic label quality scoring to detect real-world label errors",
ICML DataPerf (2022), section 3 (the three scores and their adjustment by class thresholds);
Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021) (the thresholds).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.multiclass.scores import require_method, score_data_set
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_inputs, checked_scores
from lq_spark.core.shared.selection import lowest, lowest_first
from lq_spark.errors import DataError, OptionError


def get_label_quality_scores(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
) -> Float64:
    """Return a label quality score for each row: 1 clean, 0 suspect.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Given labels, each in 0..K-1.
    pred_probs : array-like of float, shape (n, K)
        Out-of-sample predicted probabilities.
    method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
        The score.
    adjust_pred_probs : bool
        Whether to correct the probabilities by the class thresholds first, for classes that the
        model is more confident of than of others. Not for the entropy score.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    OptionError
        If the method is unknown or cannot be adjusted.
    DataError
        If a row cannot be scored: a label outside 0..K-1, a probability that is NaN, infinite,
        negative or above 1, or probabilities that do not sum to 1 within 1e-3.

    Notes
    -----
    Source: Kuan and Mueller (2022), section 3.

    Examples
    --------
    >>> probs = [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]
    >>> get_label_quality_scores([0, 0, 1], probs)
    array([0.75, 0.25, 0.5 ])
    >>> get_label_quality_scores([0, 0, 1], probs, method="normalized_margin")
    array([0.75, 0.25, 0.5 ])
    """
    require_method(method, adjust_pred_probs=adjust_pred_probs)
    label_array, matrix = checked_inputs(labels, pred_probs)
    return score_data_set(label_array, matrix, method, adjust_pred_probs=adjust_pred_probs)


def get_self_confidence_for_each_label(labels: ArrayLike, pred_probs: ArrayLike) -> Float64:
    """Return the predicted probability of each given label.

    Parameters, errors and direction as in :func:`get_label_quality_scores`.

    Examples
    --------
    >>> get_self_confidence_for_each_label([1], [[0.25, 0.75]])
    array([0.75])
    """
    return get_label_quality_scores(labels, pred_probs, method="self_confidence")


def get_normalized_margin_for_each_label(labels: ArrayLike, pred_probs: ArrayLike) -> Float64:
    """Return ``(p_given - max of the other p + 1) / 2`` of each row.

    Parameters, errors and direction as in :func:`get_label_quality_scores`.

    Examples
    --------
    >>> get_normalized_margin_for_each_label([1], [[0.25, 0.75]])
    array([0.75])
    """
    return get_label_quality_scores(labels, pred_probs, method="normalized_margin")


def get_confidence_weighted_entropy_for_each_label(
    labels: ArrayLike, pred_probs: ArrayLike
) -> Float64:
    """Return ``ln(e + 1) / e`` of each row, e = normalized entropy / self-confidence.

    Parameters, errors and direction as in :func:`get_label_quality_scores`.

    Notes
    -----
    As in cleanlab, e is floored at 1e-6 in the denominator alone: a one-hot row has e = 0 and
    scores 0, whatever its label. The entropy is in units of ln K; the self-confidence is at least
    1e-6.

    Examples
    --------
    >>> get_confidence_weighted_entropy_for_each_label([1], [[0.5, 0.5]]).round(6)
    array([0.549306])
    """
    return get_label_quality_scores(labels, pred_probs, method="confidence_weighted_entropy")


def find_top_issues(quality_scores: ArrayLike, *, top: int | None = 10) -> NDArray[np.int64]:
    """Return the positions of the ``top`` lowest scores, worst first; all of them if None.

    Equal scores are ordered by position.

    Examples
    --------
    >>> find_top_issues([0.9, 0.1, 0.5], top=2)
    array([1, 2])
    """
    if top is not None and top < 0:
        raise OptionError(f"top must be None or at least 0, got {top}")
    return lowest(checked_scores("quality_scores", quality_scores), top)


def order_label_issues(
    label_issues_mask: ArrayLike,
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    rank_by: str = "self_confidence",
    rank_by_kwargs: Mapping[str, Any] = {},
) -> NDArray[np.int64]:
    """Return the positions of the flagged rows, lowest label quality first.

    Parameters
    ----------
    label_issues_mask : array-like of bool, shape (n,), or of int
        Which rows are flagged, or their positions.
    labels, pred_probs
        Of all rows: the scores are adjusted, if asked, by thresholds of the whole data set.
    rank_by : str
        A method of :func:`get_label_quality_scores`.
    rank_by_kwargs : mapping
        Further arguments of that function.

    Returns
    -------
    ndarray of int64
        Equal scores are ordered by position.

    Raises
    ------
    DataError
        If it is neither a mask of the labels' length nor positions of theirs.

    Examples
    --------
    >>> probs = [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]
    >>> order_label_issues([False, True, True], [0, 0, 0], probs)
    array([1, 2])
    >>> order_label_issues([2, 1], [0, 0, 0], probs)
    array([1, 2])
    """
    scores = get_label_quality_scores(labels, pred_probs, method=rank_by, **rank_by_kwargs)
    mask = np.asarray(label_issues_mask)
    if mask.dtype.kind == "b" and mask.shape == scores.shape:
        flagged = np.flatnonzero(mask)
    else:
        flagged = _checked_positions(mask, len(scores))
    return lowest_first(flagged, scores)


def _checked_positions(positions: NDArray[Any], n_rows: int) -> NDArray[np.int64]:
    """Return positions of rows in ascending order; raise DataError for anything else."""
    is_list = positions.ndim == 1 and (positions.dtype.kind in "iu" or not len(positions))
    if not is_list or (len(positions) and not 0 <= positions.min() <= positions.max() < n_rows):
        raise DataError(
            f"label_issues_mask must be a boolean array of shape ({n_rows},) or positions "
            f"0..{n_rows - 1}, got {positions.dtype} of shape {positions.shape}"
        )
    return np.sort(positions.astype(np.int64))

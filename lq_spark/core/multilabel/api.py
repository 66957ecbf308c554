"""Label quality and label issues of rows that may have any number of labels, or none.

Each of the K classes is a binary problem of its own, with the probabilities (1 - p, p).

Sources: Thyagarajan, Snorrason, Northcutt, Mueller, "Identifying Incorrect Annotations in
Multi-Label Classification Data" (2022), arXiv:2211.13895; Northcutt, Jiang, Chuang, "Confident
Learning", JAIR 70 (2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.core.multilabel.rules import (
    class_scores,
    issue_cells,
    model_of,
    require_rank,
    row_scores,
)
from lq_spark.core.multilabel.scores import DEFAULT_AGGREGATOR, aggregator_of
from lq_spark.core.multilabel.sets import Bits, checked_label_sets
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.selection import lowest, lowest_first

PerClassIssues = tuple[list[NDArray[np.int64]], list[NDArray[np.int64]], list[Float64]]


def get_label_quality_scores(
    labels: Sequence[ArrayLike],
    pred_probs: ArrayLike,
    *,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    aggregator_kwargs: Mapping[str, Any] = DEFAULT_AGGREGATOR,
) -> Float64:
    """Return a label quality score for each row: 1 clean, 0 suspect.

    Parameters
    ----------
    labels, pred_probs, method, adjust_pred_probs
        As for :func:`get_label_quality_scores_per_class`.
    aggregator_kwargs : mapping
        How the K class scores of a row become one: by default their exponential moving average
        from the highest to the lowest, which has weight 0.8. Others: see
        :func:`lq_spark.core.multilabel.scores.aggregator_of`.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    OptionError, DataError
        As :func:`get_label_quality_scores_per_class`; also for an unknown aggregator.

    Notes
    -----
    Where all rows have the same labels, none or all, it has an answer; cleanlab raises.

    Source: Thyagarajan et al. (2022).

    Examples
    --------
    >>> get_label_quality_scores([[0], [0, 1], []], [[1.0, 0.0], [1.0, 0.5], [0.75, 0.0]]).round(6)
    array([1. , 0.6, 0.4])
    """
    aggregate = aggregator_of(aggregator_kwargs)
    scores = get_label_quality_scores_per_class(
        labels, pred_probs, method=method, adjust_pred_probs=adjust_pred_probs
    )
    return aggregate(scores)


def get_label_quality_scores_per_class(
    labels: Sequence[ArrayLike],
    pred_probs: ArrayLike,
    *,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
) -> Float64:
    """Return a label quality score for each row and class: 1 clean, 0 suspect.

    Parameters
    ----------
    labels : sequence of n array-like of int
        The classes that each row is given, each in 0..K-1 and once; a row may have none.
    pred_probs : array-like of float, shape (n, K)
        Out-of-sample predicted probability of each class; they need not sum to 1.
    method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
        The score, as in :func:`lq_spark.core.multiclass.get_label_quality_scores`, of the binary
        problem with probabilities (1 - p, p). The self-confidence is p of a class that is given, 1
        - p of another; the normalized margin is the same.
    adjust_pred_probs : bool
        Whether to correct the probabilities by the thresholds of each binary problem first.

    Returns
    -------
    ndarray of float64, shape (n, K)

    Raises
    ------
    OptionError
        If the method is unknown or cannot be adjusted.
    DataError
        If a row cannot be scored: a label outside 0..K-1 or given twice, a probability that is NaN,
        infinite, below 0 or above 1 by more than 1e-6.

    Notes
    -----
    Source: Thyagarajan et al. (2022).

    Examples
    --------
    >>> get_label_quality_scores_per_class([[0], []], [[0.75, 0.25], [0.75, 0.25]])
    array([[0.75, 0.75],
           [0.25, 0.75]])
    """
    require_method(method, adjust_pred_probs=adjust_pred_probs)
    bits, matrix = checked_label_sets(labels, pred_probs)
    return class_scores(bits, matrix, method, adjust_pred_probs=adjust_pred_probs)


def fit(labels: Sequence[ArrayLike], pred_probs: ArrayLike) -> MultilabelModel:
    """Return the thresholds and confident joints of each class.

    Parameters as for :func:`get_label_quality_scores_per_class`. The model's ``thresholds``, shape
    (K, 2), ``confident_joint`` and ``joint``, shape (K, 2, 2), are what cleanlab's ``count`` gives
    with ``multi_label=True``.

    Examples
    --------
    >>> fit([[0], [0], [], []], [[0.9, 0.1], [0.1, 0.2], [0.1, 0.3], [0.2, 0.1]]).confident_joint
    array([[[2, 0],
            [1, 1]],
    <BLANKLINE>
           [[4, 0],
            [0, 0]]])
    """
    return model_of(*checked_label_sets(labels, pred_probs))


def find_label_issues(
    labels: Sequence[ArrayLike],
    pred_probs: ArrayLike,
    return_indices_ranked_by: str | None = None,
    rank_by_kwargs: Mapping[str, Any] = {},
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    confident_joint: ArrayLike | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
    low_memory: bool = False,
) -> Bits | NDArray[np.int64]:
    """Return which rows have a label issue: one in any class.

    Parameters
    ----------
    labels, pred_probs, filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, \
confident_joint, n_jobs, verbose, low_memory
        As for :func:`find_multilabel_issues_per_class`. The rules "low_self_confidence" and
        "low_normalized_margin" take as many rows as "confident_learning" finds, of the lowest
        exponential moving average of self-confidence.
    return_indices_ranked_by : str, optional
        A label quality score: return positions, worst first by its exponential moving average, and
        no mask.
    rank_by_kwargs : mapping
        ``{"adjust_pred_probs": True}``, or nothing.

    Returns
    -------
    ndarray of bool, shape (n,), or ndarray of int
        Where scores are equal, the first rows are taken.

    Raises
    ------
    OptionError, DataError
        As :func:`find_multilabel_issues_per_class`.

    Notes
    -----
    Under the low_* rules cleanlab returns the positions in a mixed-up order; here they are ranked.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.1, 0.2], [0.1, 0.3], [0.2, 0.1]]
    >>> find_label_issues([[0], [0], [], []], probs)
    array([False,  True, False, False])
    """
    rule = Rule.of_cleanlab(
        filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, confident_joint
    )
    require_rank(return_indices_ranked_by, rank_by_kwargs)
    bits, matrix = checked_label_sets(labels, pred_probs)
    if rule.is_low_score:
        n_issues = model_of(bits, matrix).n_issue_rows
        mask = np.zeros(len(bits), dtype=bool)
        mask[lowest(row_scores(bits, matrix, "self_confidence"), n_issues)] = True
    else:
        mask = np.asarray(issue_cells(bits, matrix, rule, confident_joint).any(axis=1))
    if return_indices_ranked_by is None:
        return mask
    scores = row_scores(bits, matrix, return_indices_ranked_by, **rank_by_kwargs)
    return lowest_first(np.flatnonzero(mask), scores)


def find_multilabel_issues_per_class(
    labels: Sequence[ArrayLike],
    pred_probs: ArrayLike,
    return_indices_ranked_by: str | None = None,
    rank_by_kwargs: Mapping[str, Any] = {},
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    confident_joint: ArrayLike | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
    low_memory: bool = False,
) -> Bits | PerClassIssues:
    """Return for which classes each row has a label issue: given wrongly, or missing.

    Parameters
    ----------
    labels, pred_probs
        As for :func:`get_label_quality_scores_per_class`.
    return_indices_ranked_by : str, optional
        A label quality score: return positions, worst first, and no mask.
    rank_by_kwargs : mapping
        ``{"adjust_pred_probs": True}``, or nothing.
    filter_by : str
        A rule of :func:`lq_spark.core.label_issues.find_label_issues`, applied to each class.
    frac_noise, min_examples_per_class
        As there.
    num_to_remove_per_class : int or sequence of int, length K, optional
        How many of the rows given each class to flag for it, under the pruning rules, one number
        being that of each; rows that are not given it are not flagged then.
    confident_joint : array-like of int, shape (K, 2, 2), optional
        Counts (given bit, true bit) to prune by, used as they are; else the calibrated confident
        joints of these rows.
    n_jobs, verbose, low_memory
        Not used; there for calls written for cleanlab.

    Returns
    -------
    ndarray of bool, shape (n, K)
        Or, ranked: a list of K arrays of positions, of K arrays (n,) of given bits, and of K arrays
        (n, 2) of probabilities of the class as absent and present.

    Raises
    ------
    OptionError
        If an option is unknown, out of range, or not for this rule.
    DataError
        If a row cannot be scored, or confident_joint has another shape.

    Notes
    -----
    A class that every row or no row is given has no issues, but that "predicted_neq_given" flags
    where it is predicted otherwise, and numbers to remove are removed; cleanlab raises. The numbers
    to remove are those of rows given the class under all pruning rules; cleanlab takes
    them so under "prune_by_noise_rate", of the rows that are not given it under "prune_by_class",
    and none at all under "both". Classes too small to prune make a UserWarning.

    Source: Northcutt et al. (2021), section 3.2.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.1, 0.2], [0.1, 0.3], [0.2, 0.1]]
    >>> find_multilabel_issues_per_class([[0], [0], [], []], probs)[1]
    array([ True, False])
    """
    rule = Rule.of_cleanlab(
        filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, confident_joint
    )
    require_rank(return_indices_ranked_by, rank_by_kwargs)
    bits, matrix = checked_label_sets(labels, pred_probs)
    mask = issue_cells(bits, matrix, rule, confident_joint)
    if return_indices_ranked_by is None:
        return mask
    scores = class_scores(bits, matrix, return_indices_ranked_by, **rank_by_kwargs)
    ranked: PerClassIssues = ([], [], [])
    for k in range(matrix.shape[1]):
        ranked[0].append(lowest_first(np.flatnonzero(mask[:, k]), scores[:, k]))
        ranked[1].append(bits[:, k].astype(np.int64))
        ranked[2].append(np.stack([1.0 - matrix[:, k], matrix[:, k]], axis=-1))
    return ranked

"""Which labels are issues: the rules of confident learning on arrays.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.confident.api import checked_joint
from lq_spark.core.confident.joint import (
    calibrated,
    confident_counts,
    counted_pairs,
    row_facts,
    with_diagonal,
)
from lq_spark.core.confident.thresholds import finish_thresholds, partial_class_sums
from lq_spark.core.label_issues.rules import FILTERS, Evidence, Rule, require_two_classes
from lq_spark.core.multiclass.api import order_label_issues
from lq_spark.core.shared.blocks import Mask
from lq_spark.core.shared.checks import checked_inputs, require_one_label


def find_label_issues(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    return_indices_ranked_by: str | None = None,
    rank_by_kwargs: Mapping[str, Any] | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    confident_joint: ArrayLike | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
    multi_label: bool = False,
    collision_rule: str = "highest_of_all",
) -> Mask | NDArray[np.int64]:
    """Return which rows have a label issue.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Given labels, each in 0..K-1.
    pred_probs : array-like of float, shape (n, K)
        Out-of-sample predicted probabilities.
    return_indices_ranked_by : str, optional
        A label quality score: return positions, worst first, and no mask.
    rank_by_kwargs : mapping, optional
        Further arguments of that score.
    filter_by : str
        "prune_by_noise_rate": for each pair of classes, as many rows as the joint says, with the
        largest margin. "prune_by_class": for each class, those of the lowest self-confidence.
        "both": rows that both prune. "confident_learning": rows confidently of another class.
        "predicted_neq_given": rows predicted otherwise. "low_self_confidence",
        "low_normalized_margin": as many rows as "confident_learning" finds, of the lowest score.
    frac_noise, num_to_remove_per_class, min_examples_per_class
        As for :func:`lq_spark.core.label_issues.quotas.prune_quotas`; for the pruning rules alone.
        With another a UserWarning says that frac_noise is not used, numbers to remove are refused.
    confident_joint : array-like of int, shape (K, K), optional
        Counts (given, true) to prune by, used as they are; else the calibrated confident joint of
        these rows. Not used, with a UserWarning, by the rules that do not prune.
    n_jobs, verbose
        Not used; there for calls written for cleanlab.
    multi_label : bool
        False; rows with sets of labels are for
        :func:`lq_spark.core.multilabel.find_label_issues`.
    collision_rule : {"highest_of_all", "highest_reached"}
        As for :func:`lq_spark.core.confident.compute_confident_joint`.

    Returns
    -------
    ndarray of bool, shape (n,), or ndarray of int
        Where scores or margins are equal, the first rows are taken.

    Raises
    ------
    OptionError
        If an option is unknown, out of range, or not for this rule.
    DataError
        If a row cannot be scored, or all rows have one label and the rule compares classes.

    Notes
    -----
    A row whose given class has the highest probability within 1e-6 is no issue, except under the
    low_* rules. Classes too small to prune make a UserWarning.

    Source: Northcutt et al. (2021), section 3.2.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]]
    >>> find_label_issues([0, 0, 1, 1, 1], probs)
    array([False, False, False, False,  True])
    """
    require_one_label(multi_label, "multilabel.find_label_issues")
    rule = Rule.of_cleanlab(
        filter_by,
        frac_noise,
        num_to_remove_per_class,
        min_examples_per_class,
        confident_joint,
        collision_rule,
    )
    label_array, matrix = checked_inputs(labels, pred_probs)
    sums = partial_class_sums(label_array, matrix)
    require_two_classes(filter_by, sums.counts)
    facts = row_facts(label_array, matrix, finish_thresholds(sums), collision_rule)
    if confident_joint is None:
        counts = confident_counts(label_array, facts, matrix.shape[1])
        joint = calibrated(with_diagonal(counts), sums.counts)
    else:
        joint = checked_joint(confident_joint, matrix.shape[1])
    evidence = Evidence(label_array, matrix, facts, rule.quotas(joint, sums.counts))
    rule.warn_of_small_classes(sums.counts, stacklevel=3)
    mask = FILTERS[filter_by](evidence)
    if return_indices_ranked_by is None:
        return mask
    return order_label_issues(
        mask,
        label_array,
        matrix,
        rank_by=return_indices_ranked_by,
        rank_by_kwargs=rank_by_kwargs or {},
    )


def find_predicted_neq_given(
    labels: ArrayLike, pred_probs: ArrayLike, *, multi_label: bool = False
) -> Mask:
    """Return which rows are predicted otherwise than labelled.

    Parameters and errors as in :func:`find_label_issues`.

    Examples
    --------
    >>> find_predicted_neq_given([0, 1], [[0.75, 0.25], [0.75, 0.25]])
    array([False,  True])
    """
    require_one_label(multi_label, "multilabel.find_label_issues")
    label_array, matrix = checked_inputs(labels, pred_probs)
    return np.asarray(matrix.argmax(axis=1) != label_array)


def find_label_issues_using_argmax_confusion_matrix(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    calibrate: bool = True,
    filter_by: str = "prune_by_noise_rate",
) -> Mask:
    """Return which rows have a label issue by the confusion matrix of predictions and labels.

    Instead of the confident joint, the counts (given, predicted) say how many rows to prune.

    Parameters
    ----------
    labels, pred_probs, filter_by
        As for :func:`find_label_issues`.
    calibrate : bool
        Whether to scale the counts to those of the given labels.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]]
    >>> find_label_issues_using_argmax_confusion_matrix([0, 0, 1, 1, 1], probs)
    array([False, False, False, False,  True])
    """
    label_array, matrix = checked_inputs(labels, pred_probs)
    n_classes = matrix.shape[1]
    joint = counted_pairs(n_classes, label_array, matrix.argmax(axis=1))
    if calibrate:
        joint = calibrated(joint, np.bincount(label_array, minlength=n_classes))
    return np.asarray(
        find_label_issues(label_array, matrix, filter_by=filter_by, confident_joint=joint.dense())
    )

"""Confident learning: class thresholds and the joint of given and true labels of a data set.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.confident.joint import (
    COLLISION_RULES,
    SparseMatrix,
    calibrated,
    confident_counts,
    row_facts,
    sparse,
    with_diagonal,
)
from lq_spark.core.confident.thresholds import finish_thresholds, partial_class_sums
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import (
    checked_inputs,
    checked_labels,
    require_one_label,
    warn_of_unused,
)
from lq_spark.core.shared.constants import TINY
from lq_spark.errors import DataError, OptionError, require_one_of

ESTIMATION_METHODS = ("off_diagonal", "off_diagonal_calibrated", "off_diagonal_custom")


def get_confident_thresholds(
    labels: ArrayLike, pred_probs: ArrayLike, multi_label: bool = False
) -> NDArray[np.float64]:
    """Return the confident threshold of each class: the mean self-confidence of its rows.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Given labels, each in 0..K-1.
    pred_probs : array-like of float, shape (n, K)
        Out-of-sample predicted probabilities.
    multi_label : bool
        False; rows with sets of labels are for :func:`lq_spark.core.multilabel.fit`.

    Returns
    -------
    ndarray of float64, shape (K,)
        ``mean(pred_probs[labels == k, k])``, at least 2e-6; 2.0 for a class that never occurs.

    Raises
    ------
    OptionError
        If multi_label is True.
    DataError
        If a row cannot be scored: a label outside 0..K-1, a probability that is NaN, infinite,
        negative or above 1, or probabilities that do not sum to 1 within 1e-3.

    Notes
    -----
    The mean is taken in double precision for float32 input too, where cleanlab averages in float32.

    Source: Northcutt et al. (2021), equation 2.

    Examples
    --------
    >>> get_confident_thresholds([0, 0, 1], [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
    array([0.5, 0.5])
    """
    require_one_label(multi_label, "multilabel.fit")
    return finish_thresholds(partial_class_sums(*checked_inputs(labels, pred_probs)))


def compute_confident_joint(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    thresholds: ArrayLike | None = None,
    calibrate: bool = True,
    multi_label: bool = False,
    return_indices_of_off_diagonals: bool = False,
    collision_rule: str = "highest_of_all",
) -> NDArray[np.int64] | tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many rows with given label k are confidently of class j.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Given labels, each in 0..K-1.
    pred_probs : array-like of float, shape (n, K)
        Out-of-sample predicted probabilities.
    thresholds : array-like of float, shape (K,), optional
        Confident thresholds; else those of these rows.
    calibrate : bool
        Whether to scale the counts so that row k sums to the number of rows labelled k.
    multi_label : bool
        False; rows with sets of labels are for :func:`lq_spark.core.multilabel.fit`.
    return_indices_of_off_diagonals : bool
        Whether to return also the positions of the rows that are confidently of another class.
    collision_rule : {"highest_of_all", "highest_reached"}
        Which class a row counts for that reaches several thresholds: the one of its highest
        probability, reached or not, as in cleanlab; or of those reached, as in the paper.

    Returns
    -------
    ndarray of int64, shape (K, K)
        Rows are given labels, columns true ones; each diagonal entry at least 1 before calibration.
        With positions: (joint, ndarray of int64).

    Raises
    ------
    DataError
        If a row cannot be scored, or thresholds are not K numbers.
    OptionError
        If the collision rule is unknown, or multi_label is True.

    Notes
    -----
    Source: Northcutt et al. (2021), equations 1-4.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]]
    >>> compute_confident_joint([0, 0, 1, 1, 1], probs)
    array([[2, 0],
           [1, 2]])
    """
    require_one_label(multi_label, "multilabel.fit")
    require_one_of("collision_rule", collision_rule, COLLISION_RULES)
    label_array, matrix = checked_inputs(labels, pred_probs)
    n_classes = matrix.shape[1]
    class_thresholds = _thresholds(label_array, matrix, thresholds)
    facts = row_facts(label_array, matrix, class_thresholds, collision_rule)
    joint = with_diagonal(confident_counts(label_array, facts, n_classes))
    if calibrate:
        joint = calibrated(joint, np.bincount(label_array, minlength=n_classes))
    if return_indices_of_off_diagonals:
        return joint.dense(), np.flatnonzero(facts.off_diagonal(label_array))
    return joint.dense()


def calibrate_confident_joint(
    confident_joint: ArrayLike, labels: ArrayLike, *, multi_label: bool = False
) -> NDArray[np.int64]:
    """Return a joint of counts scaled so that row k sums to the number of rows labelled k.

    Parameters
    ----------
    confident_joint : array-like of int, shape (K, K)
        Counts (given, true).
    labels : array-like of int, shape (n,)
        Given labels, each in 0..K-1.
    multi_label : bool
        False; joints of sets of labels are for
        :func:`lq_spark.core.multilabel.model.calibrated_joints`.

    Examples
    --------
    >>> calibrate_confident_joint([[1, 1], [0, 3]], [0, 0, 0, 0, 1])
    array([[2, 2],
           [0, 1]])
    """
    require_one_label(multi_label, "multilabel.model.calibrated_joints")
    joint = checked_joint(confident_joint)
    label_array = checked_labels(labels)
    if label_array.min() < 0 or label_array.max() >= joint.n_classes:
        raise DataError(
            f"labels must lie in 0..{joint.n_classes - 1}, the classes of confident_joint, "
            f"got {label_array.min()}..{label_array.max()}"
        )
    counts = np.bincount(label_array, minlength=joint.n_classes)
    by_rows = not np.asarray(confident_joint).flags.f_contiguous
    return calibrated(joint, counts, by_rows=by_rows).dense()


def estimate_joint(
    labels: ArrayLike | None,
    pred_probs: ArrayLike | None = None,
    *,
    confident_joint: ArrayLike | None = None,
    multi_label: bool = False,
) -> Float64:
    """Return the joint distribution of given and true labels, shape (K, K), of sum 1.

    Parameters
    ----------
    labels, pred_probs
        As for :func:`compute_confident_joint`.
    confident_joint : array-like of int, shape (K, K), optional
        Counts to calibrate to the labels instead; used as they are where labels is None.
    multi_label : bool
        False; rows with sets of labels are for :func:`lq_spark.core.multilabel.fit`.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]]
    >>> estimate_joint([0, 0, 1, 1, 1], probs)
    array([[0.4, 0. ],
           [0.2, 0.4]])
    """
    require_one_label(multi_label, "multilabel.fit")
    if confident_joint is None:
        if labels is None or pred_probs is None:
            raise OptionError("labels and pred_probs are needed where confident_joint is not given")
        counts: Any = compute_confident_joint(labels, pred_probs)
    elif labels is None:
        counts = checked_joint(confident_joint).dense()
    else:
        counts = calibrate_confident_joint(confident_joint, labels)
    joint: Float64 = counts / max(counts.sum(), TINY)
    return joint


def num_label_issues(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    confident_joint: ArrayLike | None = None,
    estimation_method: str = "off_diagonal",
    multi_label: bool = False,
) -> int:
    """Return how many labels are estimated to be wrong.

    Parameters
    ----------
    labels, pred_probs
        As for :func:`compute_confident_joint`.
    confident_joint : array-like of int, shape (K, K), optional
        For "off_diagonal_custom"; with another method a UserWarning says that it is not used.
    estimation_method : {"off_diagonal", "off_diagonal_calibrated", "off_diagonal_custom"}
        "off_diagonal": rows that are confidently of another class and not predicted as labelled.
        The others: n times what the calibrated joint has off its diagonal.
    multi_label : bool
        False; rows with sets of labels are for :func:`lq_spark.core.multilabel.fit`.

    Raises
    ------
    OptionError
        If the method is unknown, lacks its confident_joint, or multi_label is True.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]]
    >>> num_label_issues([0, 0, 1, 1, 1], probs)
    1
    """
    require_one_label(multi_label, "multilabel.fit")
    require_one_of("estimation_method", estimation_method, ESTIMATION_METHODS)
    is_custom = estimation_method == "off_diagonal_custom"
    if is_custom and confident_joint is None:
        raise OptionError("estimation_method 'off_diagonal_custom' needs a confident_joint")
    if not is_custom and confident_joint is not None:
        why = f"it goes with 'off_diagonal_custom', not with {estimation_method!r}"
        warn_of_unused("confident_joint", why, stacklevel=2)
        confident_joint = None
    label_array, matrix = checked_inputs(labels, pred_probs)
    if estimation_method == "off_diagonal":
        facts = row_facts(label_array, matrix, _thresholds(label_array, matrix, None))
        return int(np.count_nonzero(facts.is_confident_issue(label_array)))
    joint = estimate_joint(label_array, matrix, confident_joint=confident_joint)
    return int(np.rint((1.0 - np.trace(joint)) * len(label_array)))


def checked_joint(confident_joint: ArrayLike, n_classes: int | None = None) -> SparseMatrix:
    """Return a K × K array of counts as a sparse matrix; raise DataError for anything else."""
    joint = np.asarray(confident_joint)
    square = joint.ndim == 2 and joint.shape[0] == joint.shape[1] == (n_classes or len(joint))
    if not square or joint.dtype.kind not in "iuf" or not (joint >= 0).all():
        wanted = "square" if n_classes is None else f"{n_classes} by {n_classes}"
        raise DataError(
            f"confident_joint must be a {wanted} array of counts, "
            f"got {joint.dtype} of shape {joint.shape}"
        )
    return sparse(joint)


def _thresholds(
    labels: NDArray[np.int64], pred_probs: NDArray[np.floating], given: ArrayLike | None
) -> Float64:
    if given is None:
        return finish_thresholds(partial_class_sums(labels, pred_probs))
    thresholds = np.asarray(given, dtype=np.float64)
    if thresholds.shape != (pred_probs.shape[1],):
        raise DataError(
            f"thresholds must have shape ({pred_probs.shape[1]},), got {thresholds.shape}"
        )
    return thresholds

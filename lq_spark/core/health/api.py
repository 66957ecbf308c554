"""How healthy each class of a data set is, from the joint of given and true labels.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 4 and appendix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lq_spark.core.confident.api import checked_joint, estimate_joint, num_label_issues
from lq_spark.core.confident.joint import SparseMatrix
from lq_spark.core.health.tables import (
    Overlaps,
    class_health,
    class_overlaps,
    class_table,
    overlap_table,
)
from lq_spark.core.shared.checks import require_one_label, warn_of_unused
from lq_spark.core.shared.printed import print_score, print_tables
from lq_spark.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd


def rank_classes_by_label_quality(
    labels: ArrayLike | None = None,
    pred_probs: ArrayLike | None = None,
    *,
    class_names: Sequence[str] | None = None,
    num_examples: int | None = None,
    joint: ArrayLike | None = None,
    confident_joint: ArrayLike | None = None,
    multi_label: bool = False,
) -> pd.DataFrame:
    """Return a table of the classes, worst labelled first.

    Parameters
    ----------
    labels, pred_probs
        As for :func:`lq_spark.core.confident.compute_confident_joint`.
    class_names : sequence of str, length K, optional
        Adds a column "Class Name".
    num_examples : int, optional
        Number of rows that the numbers of issues are of, by default those of labels, else of the
        counts in confident_joint.
    joint : array-like of float, shape (K, K), optional
        Joint distribution (given, true), instead of an estimate.
    confident_joint : array-like of int, shape (K, K), optional
        Counts to estimate the joint from.
    multi_label : bool
        False; rows with sets of labels are for
        :func:`lq_spark.core.multilabel.rank_classes_by_multilabel_quality`.

    Returns
    -------
    pandas.DataFrame
        "Class Index", "Label Issues", "Inverse Label Issues" (numbers of rows), "Label Noise",
        "Inverse Label Noise" (shares), "Label Quality Score" (1 - label noise: 1 clean). Equal
        scores in the order of the classes.

    Raises
    ------
    OptionError
        If there is nothing to estimate the joint or the number of rows from, num_examples is below
        1, or multi_label is True.
    """
    require_one_label(multi_label, "multilabel.rank_classes_by_multilabel_quality")
    n_rows = _required_rows(num_examples, labels, confident_joint)
    matrix = _joint(labels, pred_probs, joint, confident_joint)
    return class_table(class_health(matrix, n_rows), class_names)


def find_overlapping_classes(
    labels: ArrayLike | None = None,
    pred_probs: ArrayLike | None = None,
    *,
    asymmetric: bool = False,
    class_names: Sequence[str] | None = None,
    num_examples: int | None = None,
    joint: ArrayLike | None = None,
    confident_joint: ArrayLike | None = None,
    multi_label: bool = False,
) -> pd.DataFrame:
    """Return a table of pairs of classes, those most often taken for each other first.

    Parameters
    ----------
    asymmetric : bool
        Whether (a, b) and (b, a) are two rows, a being the given class and b the true one.
    labels, pred_probs, class_names, num_examples, joint, confident_joint
        As for :func:`rank_classes_by_label_quality`.
    multi_label : bool
        False; rows with sets of labels are for
        :func:`lq_spark.core.multilabel.common_multilabel_issues`.

    Returns
    -------
    pandas.DataFrame
        "Class Index A", "Class Index B", "Num Overlapping Examples", "Joint Probability", with
        names "Class Name A", "Class Name B" where given. All pairs; equal ones in class order.

    Raises
    ------
    OptionError
        As :func:`rank_classes_by_label_quality`.
    """
    require_one_label(multi_label, "multilabel.common_multilabel_issues")
    n_rows = _required_rows(num_examples, labels, confident_joint)
    matrix = _joint(labels, pred_probs, joint, confident_joint)
    found = class_overlaps(matrix, n_rows, asymmetric=asymmetric)
    n = matrix.n_classes
    a, b = np.divmod(np.arange(n * n), n)
    wanted = a != b if asymmetric else a < b
    rest = np.setdiff1d((a * n + b)[wanted], found.class_a * n + found.class_b)
    everything = Overlaps(
        np.concatenate([found.class_a, rest // n]),
        np.concatenate([found.class_b, rest % n]),
        np.concatenate([found.num_overlapping, np.zeros(len(rest), dtype=np.int64)]),
        np.concatenate([found.joint_probability, np.zeros(len(rest))]),
    )
    return overlap_table(everything, class_names)


def overall_label_health_score(
    labels: ArrayLike | None = None,
    pred_probs: ArrayLike | None = None,
    *,
    num_examples: int | None = None,
    confident_joint: ArrayLike | None = None,
    joint: ArrayLike | None = None,
    multi_label: bool = False,
    verbose: bool = True,
) -> float:
    """Return the share of labels estimated to be right: 1 clean.

    With labels and pred_probs it is 1 - (number of label issues) / num_examples; else the trace of
    the joint.

    Parameters
    ----------
    labels, pred_probs, num_examples
        As for :func:`rank_classes_by_label_quality`.
    joint, confident_joint
        As there, where labels or pred_probs are not given; with both a UserWarning says that they
        are not used.
    multi_label : bool
        False; rows with sets of labels are for
        :func:`lq_spark.core.multilabel.overall_multilabel_health_score`.
    verbose : bool
        Whether to print the score in a sentence.

    Raises
    ------
    OptionError
        As :func:`rank_classes_by_label_quality`.

    Examples
    --------
    >>> overall_label_health_score(joint=[[0.4, 0.0], [0.2, 0.4]], verbose=False)
    0.8
    """
    require_one_label(multi_label, "multilabel.overall_multilabel_health_score")
    n_rows = _number_of_rows(num_examples, labels, confident_joint)
    if labels is None or pred_probs is None:
        matrix = _joint(labels, pred_probs, joint, confident_joint)
        score = float(matrix.values[matrix.given == matrix.guess].sum())
    else:
        _warn_of_unused(joint=joint, confident_joint=confident_joint)
        score = 1.0 - num_label_issues(labels, pred_probs) / (n_rows or 1)
    if verbose:
        print_score(score, n_rows)
    return score


def health_summary(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    asymmetric: bool = False,
    class_names: Sequence[str] | None = None,
    num_examples: int | None = None,
    joint: ArrayLike | None = None,
    confident_joint: ArrayLike | None = None,
    multi_label: bool = False,
    verbose: bool = True,
) -> dict[str, Any]:
    """Return the health of a data set.

    Parameters as for the functions above, but that verbose prints all four results. A joint or
    confident_joint is what the tables are made from; the score comes from labels and pred_probs.
    Rows with sets of labels are for
    :func:`lq_spark.core.multilabel.multilabel_health_summary`.

    Returns
    -------
    dict
        "overall_label_health_score" (float), "joint" (ndarray, shape (K, K)),
        "classes_by_label_quality" and "overlapping_classes" (pandas.DataFrame).

    Raises
    ------
    OptionError
        As :func:`rank_classes_by_label_quality`.
    """
    require_one_label(multi_label, "multilabel.multilabel_health_summary")
    rows = _required_rows(num_examples, labels, confident_joint)
    if joint is None:
        joint = estimate_joint(labels, pred_probs, confident_joint=confident_joint)
    else:
        _warn_of_unused(confident_joint=confident_joint)
    options: dict[str, Any] = {"class_names": class_names, "num_examples": rows, "joint": joint}
    classes = rank_classes_by_label_quality(**options)
    overlaps = find_overlapping_classes(asymmetric=asymmetric, **options)
    if verbose:
        print_tables({"Classes, worst first": classes, "Overlapping classes": overlaps}, rows)
    return {
        "overall_label_health_score": overall_label_health_score(
            labels, pred_probs, num_examples=rows, verbose=verbose
        ),
        "joint": joint,
        "classes_by_label_quality": classes,
        "overlapping_classes": overlaps,
    }


def _joint(
    labels: ArrayLike | None,
    pred_probs: ArrayLike | None,
    joint: ArrayLike | None,
    confident_joint: ArrayLike | None,
) -> SparseMatrix:
    if joint is None:
        joint = estimate_joint(labels, pred_probs, confident_joint=confident_joint)
    return checked_joint(joint)


def _number_of_rows(
    num_examples: int | None, labels: ArrayLike | None, confident_joint: ArrayLike | None
) -> int | None:
    if num_examples is not None and num_examples < 1:
        raise OptionError(f"num_examples must be at least 1, got {num_examples}")
    if num_examples is None and labels is not None:
        return len(np.asarray(labels))
    if num_examples is None and confident_joint is not None:
        return int(np.asarray(confident_joint).sum())
    return num_examples


def _required_rows(
    num_examples: int | None, labels: ArrayLike | None, confident_joint: ArrayLike | None
) -> int:
    n_rows = _number_of_rows(num_examples, labels, confident_joint)
    if n_rows is None:
        raise OptionError(
            "num_examples is needed where neither labels nor confident_joint is given"
        )
    return n_rows


def _warn_of_unused(**joints: ArrayLike | None) -> None:
    for name, joint in joints.items():
        if joint is not None:
            warn_of_unused(name, "what else is given says all that is needed", stacklevel=3)

"""How healthy each class of a data set is, from the joint of given and true labels.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 4 and appendix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lq_spark.core.class_health import Overlaps, class_health, class_overlaps
from lq_spark.core.confident import checked_joint, estimate_joint, num_label_issues
from lq_spark.core.health_tables import class_table, overlap_table
from lq_spark.core.joint import SparseMatrix
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
) -> pd.DataFrame:
    """Return a table of the classes, worst labelled first.

    Parameters
    ----------
    labels, pred_probs
        As for :func:`lq_spark.core.confident.compute_confident_joint`.
    class_names : sequence of str, length K, optional
        Adds a column "Class Name".
    num_examples : int, optional
        Number of rows, where labels are not given.
    joint : array-like of float, shape (K, K), optional
        Joint distribution (given, true), instead of an estimate.
    confident_joint : array-like of int, shape (K, K), optional
        Counts to estimate the joint from.

    Returns
    -------
    pandas.DataFrame
        "Class Index", "Label Issues", "Inverse Label Issues" (numbers of rows), "Label Noise",
        "Inverse Label Noise" (shares), "Label Quality Score" (1 - label noise: 1 clean). Equal
        scores in the order of the classes.

    Raises
    ------
    OptionError
        If there is nothing to estimate the joint or the number of rows from.
    """
    matrix, n_rows = _joint_and_rows(labels, pred_probs, num_examples, joint, confident_joint)
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
) -> pd.DataFrame:
    """Return a table of pairs of classes, those most often taken for each other first.

    Parameters
    ----------
    asymmetric : bool
        Whether (a, b) and (b, a) are two rows, a being the given class and b the true one.
    labels, pred_probs, class_names, num_examples, joint, confident_joint
        As for :func:`rank_classes_by_label_quality`.

    Returns
    -------
    pandas.DataFrame
        "Class Index A", "Class Index B", "Num Overlapping Examples", "Joint Probability", with
        names "Class Name A", "Class Name B" where given. All pairs; equal ones in class order.
    """
    matrix, n_rows = _joint_and_rows(labels, pred_probs, num_examples, joint, confident_joint)
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
    verbose: bool = True,
) -> float:
    """Return the share of labels estimated to be right: 1 clean.

    With labels and pred_probs it is 1 - (number of label issues) / n; else the trace of the joint.

    Parameters
    ----------
    labels, pred_probs, num_examples, joint, confident_joint
        As for :func:`rank_classes_by_label_quality`.
    verbose : bool
        Not used; there for calls written for cleanlab.

    Examples
    --------
    >>> overall_label_health_score(joint=[[0.4, 0.0], [0.2, 0.4]])
    0.8
    """
    if labels is not None and pred_probs is not None:
        return 1.0 - num_label_issues(labels, pred_probs) / len(np.asarray(labels))
    matrix, _ = _joint_and_rows(labels, pred_probs, num_examples or 1, joint, confident_joint)
    return float(matrix.values[matrix.given == matrix.guess].sum())


def health_summary(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    asymmetric: bool = False,
    class_names: Sequence[str] | None = None,
    num_examples: int | None = None,
    joint: ArrayLike | None = None,
    confident_joint: ArrayLike | None = None,
    verbose: bool = True,
) -> dict[str, Any]:
    """Return the health of a data set.

    Parameters as for the functions above.

    Returns
    -------
    dict
        "overall_label_health_score" (float), "joint" (ndarray, shape (K, K)),
        "classes_by_label_quality" and "overlapping_classes" (pandas.DataFrame).
    """
    if joint is None:
        joint = estimate_joint(labels, pred_probs, confident_joint=confident_joint)
    rows = len(np.asarray(labels)) if num_examples is None else num_examples
    options: dict[str, Any] = {"class_names": class_names, "num_examples": rows, "joint": joint}
    return {
        "overall_label_health_score": overall_label_health_score(labels, pred_probs),
        "joint": joint,
        "classes_by_label_quality": rank_classes_by_label_quality(**options),
        "overlapping_classes": find_overlapping_classes(asymmetric=asymmetric, **options),
    }


def _joint_and_rows(
    labels: ArrayLike | None,
    pred_probs: ArrayLike | None,
    num_examples: int | None,
    joint: ArrayLike | None,
    confident_joint: ArrayLike | None,
) -> tuple[SparseMatrix, int]:
    if joint is None:
        joint = estimate_joint(labels, pred_probs, confident_joint=confident_joint)
    if num_examples is None and labels is not None:
        num_examples = len(np.asarray(labels))
    if num_examples is None and confident_joint is not None:
        num_examples = int(np.asarray(confident_joint).sum())
    if num_examples is None:
        raise OptionError(
            "num_examples is needed where neither labels nor confident_joint is given"
        )
    return checked_joint(joint), num_examples

"""How healthy each class of a data set is, from the joint of given and true labels.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 4 and appendix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.blocks import Float64
from lq_spark.core.confident import checked_joint, estimate_joint, num_label_issues
from lq_spark.core.joint import SparseMatrix
from lq_spark.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class ClassHealth:
    """The health of each class, worst first: arrays of shape (K,).

    Attributes
    ----------
    class_index : ndarray of int64
    label_issues, inverse_label_issues : ndarray of int64
        Rows given this label that truly are of another class, and the reverse.
    label_noise, inverse_label_noise : ndarray of float64
        The same as shares of the rows given this label, and of the rows truly of this class.
    """

    class_index: NDArray[np.int64]
    label_issues: NDArray[np.int64]
    inverse_label_issues: NDArray[np.int64]
    label_noise: Float64
    inverse_label_noise: Float64


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pairs of classes by how often one is taken for the other, most first: arrays (m,)."""

    class_a: NDArray[np.int64]
    class_b: NDArray[np.int64]
    num_overlapping: NDArray[np.int64]
    joint_probability: Float64


def class_health(joint: SparseMatrix, n_rows: int) -> ClassHealth:
    """Return the health of each class by a joint of sum 1; equal ones in the order of classes."""
    n = joint.n_classes
    off = joint.given != joint.guess
    shares = [
        np.bincount(classes, weights=values, minlength=n)
        for classes, values in (
            (joint.given, joint.values),
            (joint.guess, joint.values),
            (joint.given[off], joint.values[off]),
            (joint.guess[off], joint.values[off]),
        )
    ]
    given, true, wrong, missed = shares
    noise = wrong / np.maximum(given, _EPSILON)
    inverse = missed / np.maximum(true, _EPSILON)
    order = np.argsort(-noise, kind="stable")
    return ClassHealth(
        order,
        np.rint(wrong * n_rows).astype(np.int64)[order],
        np.rint(missed * n_rows).astype(np.int64)[order],
        noise[order],
        inverse[order],
    )


def class_overlaps(joint: SparseMatrix, n_rows: int, *, asymmetric: bool = False) -> Overlaps:
    """Return the pairs of classes that overlap at all; equal ones in the order of classes.

    Symmetric: a < b, both directions together. Asymmetric: a is the given class, b the true one.
    """
    off = joint.given != joint.guess
    a, b = joint.given[off], joint.guess[off]
    values = np.asarray(joint.values[off], dtype=np.float64)
    if not asymmetric:
        keys = np.minimum(a, b) * joint.n_classes + np.maximum(a, b)
        pairs, places = np.unique(keys, return_inverse=True)
        values = np.bincount(places, weights=values, minlength=len(pairs)).astype(np.float64)
        a, b = pairs // joint.n_classes, pairs % joint.n_classes
    order = np.lexsort([b, a, -values])
    counts = np.rint(values * n_rows).astype(np.int64)
    return Overlaps(a[order], b[order], counts[order], values[order])


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
    import pandas as pd

    matrix, n_rows = _joint_and_rows(labels, pred_probs, num_examples, joint, confident_joint)
    health = class_health(matrix, n_rows)
    columns: dict[str, Any] = {
        "Class Index": health.class_index,
        "Label Issues": health.label_issues,
        "Inverse Label Issues": health.inverse_label_issues,
        "Label Noise": health.label_noise,
        "Inverse Label Noise": health.inverse_label_noise,
        "Label Quality Score": 1.0 - health.label_noise,
    }
    if class_names is not None:
        columns = {"Class Name": np.asarray(class_names)[health.class_index], **columns}
    return pd.DataFrame(columns)


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
    import pandas as pd

    matrix, n_rows = _joint_and_rows(labels, pred_probs, num_examples, joint, confident_joint)
    found = class_overlaps(matrix, n_rows, asymmetric=asymmetric)
    n = matrix.n_classes
    a, b = np.divmod(np.arange(n * n), n)
    wanted = a != b if asymmetric else a < b
    rest = np.setdiff1d((a * n + b)[wanted], found.class_a * n + found.class_b)
    table: dict[str, Any] = {
        "Class Index A": np.concatenate([found.class_a, rest // n]),
        "Class Index B": np.concatenate([found.class_b, rest % n]),
        "Num Overlapping Examples": np.concatenate(
            [found.num_overlapping, np.zeros(len(rest), dtype=np.int64)]
        ),
        "Joint Probability": np.concatenate([found.joint_probability, np.zeros(len(rest))]),
    }
    if class_names is not None:
        names = np.asarray(class_names)
        table = {
            "Class Name A": names[table["Class Index A"]],
            "Class Name B": names[table["Class Index B"]],
            **table,
        }
    return pd.DataFrame(table)


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

"""How healthy the label sets of a data set are: in all, by class, by class and kind of issue.

Source: Thyagarajan, Snorrason, Northcutt, Mueller, "Identifying Incorrect Annotations in
Multi-Label Classification Data" (2022), arXiv:2211.13895.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multilabel.model import calibrated_joints
from lq_spark.core.multilabel.rules import checked_joints, issue_cells, model_of
from lq_spark.core.multilabel.sets import checked_label_sets
from lq_spark.core.shared.checks import checked_class_names
from lq_spark.core.shared.display import Displayed, SmallTable, class_column, frame_table
from lq_spark.core.shared.printed import print_score, print_tables
from lq_spark.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class MultilabelHealth(Displayed):
    """The health of a data set of label sets.

    Attributes
    ----------
    overall_multilabel_health_score : float
        Share of rows without a label issue: 1 clean.
    classes_by_multilabel_quality : pandas.DataFrame
        A row a class, worst first: see :func:`rank_classes_by_multilabel_quality`.
    common_multilabel_issues : pandas.DataFrame
        Two rows a class, commonest first: see :func:`common_multilabel_issues`.
    """

    overall_multilabel_health_score: float
    classes_by_multilabel_quality: pd.DataFrame
    common_multilabel_issues: pd.DataFrame

    def _facts(self) -> dict[str, Any]:
        classes = self.classes_by_multilabel_quality
        return {
            "classes": len(classes),
            "wrong labels": classes["Label Issues"].sum(),
            "missing labels": classes["Inverse Label Issues"].sum(),
            "health score": self.overall_multilabel_health_score,
        }

    def _tables(self) -> list[SmallTable]:
        classes, issues = self.classes_by_multilabel_quality, self.common_multilabel_issues
        score = {"health score": [self.overall_multilabel_health_score]}
        by_class = {"wrong": "Label Issues", "missing": "Inverse Label Issues"}
        by_class["label quality"] = "Label Quality Score"
        by_issue = {"given": "In Given Label", "suggested": "In Suggested Label"}
        by_issue["rows"] = "Num Examples"
        names = {"class": class_column(classes)}
        return [
            SmallTable("overall", score, {"health score": 1.0}),
            frame_table("worst classes", classes, names, by_class, {"label quality": 1.0}),
            frame_table("most common issues", issues, names, by_issue, {"rows": None}),
        ]


def multilabel_health(
    flagged: NDArray[np.integer],
    n_rows: int,
    n_issue_rows: int,
    class_names: Sequence[str] | None = None,
) -> MultilabelHealth:
    """Return the health of a data set from its counted label issues.

    Parameters
    ----------
    flagged : ndarray of int, shape (K, 2)
        Rows with an issue in each class: those not given it, those given it.
    n_rows, n_issue_rows : int
        All rows; those with an issue in any class.
    class_names : sequence of str, length K, optional
        Adds a column "Class Name".
    """
    return MultilabelHealth(
        1.0 - n_issue_rows / n_rows,
        class_table(flagged, n_rows, class_names),
        issue_table(flagged, n_rows, class_names),
    )


def class_table(
    flagged: NDArray[np.integer], n_rows: int, class_names: Sequence[str] | None
) -> pd.DataFrame:
    """Return a row a class, worst first; parameters as for :func:`multilabel_health`."""
    import pandas as pd

    missing, wrong = flagged.T
    order = np.argsort(-wrong, kind="stable")
    columns: dict[str, Any] = {
        "Class Index": order,
        "Label Issues": wrong[order],
        "Inverse Label Issues": missing[order],
        "Label Noise": wrong[order] / n_rows,
        "Inverse Label Noise": missing[order] / n_rows,
        "Label Quality Score": 1.0 - wrong[order] / n_rows,
    }
    return pd.DataFrame({**_names(class_names, order), **columns})


def issue_table(
    flagged: NDArray[np.integer], n_rows: int, class_names: Sequence[str] | None
) -> pd.DataFrame:
    """Return two rows a class, commonest first; parameters as for :func:`multilabel_health`."""
    import pandas as pd

    n_classes = len(flagged)
    counts = np.concatenate([flagged[:, 1], flagged[:, 0]])
    order = np.lexsort([np.tile(np.arange(n_classes), 2), -counts])
    classes, is_given = order % n_classes, order < n_classes
    columns: dict[str, Any] = {
        "Class Index": classes,
        "In Given Label": is_given,
        "In Suggested Label": ~is_given,
        "Num Examples": counts[order],
        "Issue Probability": counts[order] / n_rows,
    }
    return pd.DataFrame({**_names(class_names, classes), **columns})


def common_multilabel_issues(
    labels: Sequence[ArrayLike],
    pred_probs: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    confident_joint: ArrayLike | None = None,
) -> pd.DataFrame:
    """Return a table of the label issues by class and kind, commonest first.

    Parameters
    ----------
    labels, pred_probs, confident_joint
        As for :func:`lq_spark.core.multilabel.find_multilabel_issues_per_class`.
    class_names : sequence of str, length K, optional
        Adds a column "Class Name".

    Returns
    -------
    pandas.DataFrame
        "Class Index", "In Given Label", "In Suggested Label" (wrongly given: True, False; missing:
        False, True), "Num Examples" (rows), "Issue Probability" (their share of all rows). Equal
        ones in the order of the classes, those wrongly given first.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.1, 0.2], [0.1, 0.3], [0.2, 0.1]]
    >>> common_multilabel_issues([[0], [0], [], []], probs)["Num Examples"].tolist()
    [1, 0, 0, 0]
    """
    flagged, n_rows, _ = _counted(labels, pred_probs, confident_joint, class_names)
    return issue_table(flagged, n_rows, class_names)


def rank_classes_by_multilabel_quality(
    labels: Sequence[ArrayLike],
    pred_probs: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    joint: ArrayLike | None = None,
    confident_joint: ArrayLike | None = None,
) -> pd.DataFrame:
    """Return a table of the classes, worst labelled first.

    Parameters
    ----------
    labels, pred_probs, class_names, confident_joint
        As for :func:`common_multilabel_issues`.
    joint : array-like of float, shape (K, 2, 2), optional
        Joint distributions (given bit, true bit) to prune by instead: calibrated to these labels.

    Returns
    -------
    pandas.DataFrame
        "Class Index", "Label Issues" (rows wrongly given the class), "Inverse Label Issues" (rows
        that lack it), "Label Noise", "Inverse Label Noise" (the same as shares of all rows), "Label
        Quality Score" (1 - label noise: 1 clean). Equal scores in the order of the classes.

    Raises
    ------
    OptionError
        If both joint and confident_joint are given.

    Notes
    -----
    cleanlab's numbers of issues may be one too low (it cuts 28.999… to 28), it does not look at
    confident_joint, and a joint that sums to 1 makes it find no issue.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.1, 0.2], [0.1, 0.3], [0.2, 0.1]]
    >>> table = rank_classes_by_multilabel_quality([[0], [0], [], []], probs)
    >>> table["Label Quality Score"].tolist()
    [0.75, 1.0]
    """
    if joint is not None:
        if confident_joint is not None:
            raise OptionError("joint and confident_joint are both given; give one of them")
        bits, matrix = checked_label_sets(labels, pred_probs)
        joints = checked_joints(joint, matrix.shape[1])
        confident_joint = calibrated_joints(joints, model_of(bits, matrix).class_counts)
    flagged, n_rows, _ = _counted(labels, pred_probs, confident_joint, class_names)
    return class_table(flagged, n_rows, class_names)


def overall_multilabel_health_score(
    labels: Sequence[ArrayLike], pred_probs: ArrayLike, *, confident_joint: ArrayLike | None = None
) -> float:
    """Return the share of rows without a label issue: 1 clean.

    Parameters as for :func:`common_multilabel_issues`.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.1, 0.2], [0.1, 0.3], [0.2, 0.1]]
    >>> overall_multilabel_health_score([[0], [0], [], []], probs)
    0.75
    """
    _, n_rows, n_issue_rows = _counted(labels, pred_probs, confident_joint)
    return 1.0 - n_issue_rows / n_rows


def multilabel_health_summary(
    labels: Sequence[ArrayLike],
    pred_probs: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    num_examples: int | None = None,
    confident_joint: ArrayLike | None = None,
    verbose: bool = True,
) -> dict[str, Any]:
    """Return the health of a data set.

    Parameters
    ----------
    labels, pred_probs, class_names, confident_joint
        As for the functions above.
    num_examples : int, optional
        Number of rows to print; the results are of the rows given, as in cleanlab.
    verbose : bool
        Whether to print the results.

    Returns
    -------
    dict
        "overall_multilabel_health_score" (float), "classes_by_multilabel_quality" and
        "common_multilabel_issues" (pandas.DataFrame).

    Raises
    ------
    OptionError
        If num_examples is below 1.
    """
    if num_examples is not None and num_examples < 1:
        raise OptionError(f"num_examples must be at least 1, got {num_examples}")
    counted = _counted(labels, pred_probs, confident_joint, class_names)
    health = multilabel_health(*counted, class_names)
    if verbose:
        tables = {
            "Classes, worst first": health.classes_by_multilabel_quality,
            "Label issues by class": health.common_multilabel_issues,
        }
        n_rows = counted[1] if num_examples is None else num_examples
        print_tables(tables, n_rows)
        print_score(health.overall_multilabel_health_score, n_rows, "rows")
    return dict(vars(health))


def _counted(
    labels: Sequence[ArrayLike],
    pred_probs: ArrayLike,
    confident_joint: ArrayLike | None,
    class_names: Sequence[str] | None = None,
) -> tuple[NDArray[np.int64], int, int]:
    """Return issues (K, 2) by class and given bit, the number of rows, of rows with an issue."""
    bits, matrix = checked_label_sets(labels, pred_probs)
    if class_names is not None:
        checked_class_names(class_names, matrix.shape[1])
    mask = issue_cells(bits, matrix, Rule(), confident_joint)
    wrong = np.count_nonzero(mask & bits, axis=0)
    flagged = np.stack([np.count_nonzero(mask, axis=0) - wrong, wrong], axis=-1)
    return flagged, len(bits), int(np.count_nonzero(mask.any(axis=1)))


def _names(class_names: Sequence[str] | None, classes: NDArray[np.integer]) -> dict[str, Any]:
    if class_names is None:
        return {}
    return {"Class Name": np.array(class_names, dtype=object)[classes]}

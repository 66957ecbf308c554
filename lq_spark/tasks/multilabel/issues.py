"""Label issues of a table of label sets: which labels are given wrongly, and which are missing.

Passes over the table, each in Python: thresholds; counts of the cells, the K binary problems of
each row, in one scan; the cells near the cuts. The result is lazy: one more when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F

from lq_spark.core.multilabel.health import MultilabelHealth, multilabel_health
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.core.multilabel.scores import DEFAULT_AGGREGATOR
from lq_spark.engine.inputs import column, columns_alone, require_columns, require_new_columns
from lq_spark.errors import ColumnError, DataError
from lq_spark.tasks.multilabel.batches import CELLS
from lq_spark.tasks.multilabel.columns import LabelSetTable, label_set_table
from lq_spark.tasks.multilabel.flags import issue_options, run_passes, with_issues
from lq_spark.tasks.multilabel.passes import counted_cells, fitted_thresholds
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY
from lq_spark.tasks.shared.probabilities import PredProbs, probability_names
from lq_spark.tasks.shared.ranks import with_issue_rank
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SUSPECT_CLASSES, SUGGESTED_LABELS = "suspect_classes", "suggested_labels"
ISSUE_COLUMNS = (IS_LABEL_ISSUE, SUSPECT_CLASSES, SUGGESTED_LABELS, LABEL_QUALITY)
CELL_COLUMNS = ("class", "in_given_label", "class_quality", "pred_prob")


def fit(
    df: DataFrame,
    *,
    labels: str = "labels",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
) -> MultilabelModel:
    """Return what the table says of its label noise: thresholds and confident joints by class.

    Two passes over the table, now. The result can be saved, and applied to other rows by
    :func:`find_issues`; it does not depend, to the bit, on how the table is partitioned.

    Parameters
    ----------
    df, labels, pred_probs, classes, n_classes
        As for :func:`lq_spark.multilabel.score`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If the table is empty.
    InvalidRowsError
        If a row cannot be scored.
    """
    refuse_stream(df, "multilabel.fit")
    table = label_set_table(
        df, labels=labels, pred_probs=pred_probs, classes=classes, n_classes=n_classes
    )
    thresholds = fitted_thresholds(df, table)
    counts = counted_cells(df, table, thresholds, order=None)
    if not counts.n_rows:
        raise DataError("the table is empty; class thresholds need at least 1 row")
    return MultilabelModel.of_counts(thresholds, counts, table.classes)


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    labels: str = "labels",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    fitted: MultilabelModel | None = None,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    aggregator_kwargs: Mapping[str, Any] = DEFAULT_AGGREGATOR,
    issue_rank: bool = False,
) -> DataFrame:
    """Return the table with its label issues: a row is one if any of its classes is suspect.

    Adds ``is_label_issue`` (boolean), ``suspect_classes`` (the classes that are given wrongly or
    missing, in class order; empty where there is none), ``suggested_labels`` (the given labels
    without the suspect ones, then the missing ones), ``label_quality`` (double, 1 clean, 0 suspect)
    and, if asked, ``issue_rank``. Which rows are flagged is decided now, in up to three passes; the
    result is lazy. Flags equal those of :func:`lq_spark.core.multilabel.find_label_issues` on the
    rows in the order of their ids, whatever the partitions.

    Parameters
    ----------
    df, labels, pred_probs, classes, n_classes
        As for :func:`lq_spark.multilabel.score`.
    id : str
        Column that tells the rows apart. Of rows with equal scores at a cut those with the lowest
        ids are taken.
    filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class
        As for :func:`lq_spark.core.multilabel.find_label_issues`. Under a low_* rule, which judges
        rows, the suspect classes of an issue are those that are predicted otherwise.
    fitted : MultilabelModel, optional
        What :func:`fit` returned for other rows, applied as it is: its thresholds, and its joints
        scaled to how often each class is given here.
    method, adjust_pred_probs, aggregator_kwargs
        The score in ``label_quality``, as for :func:`lq_spark.multilabel.score`.
    issue_rank : bool
        Whether to rank the issues by label quality: 1 the worst, null for rows that are none. Reads
        the table twice more.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong, or fitted has other classes or another K than the table.
    InvalidRowsError
        If an id is null or occurs twice, or a row cannot be scored.

    Notes
    -----
    A class that every row or no row is given has no issues, but that "predicted_neq_given" and the
    suspect classes of a low_* rule name it where it is predicted otherwise, that numbers to remove
    are removed, and that ``fitted`` may have seen rows with and without it.

    Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2;
    Thyagarajan et al., "Identifying Incorrect Annotations in Multi-Label Classification Data"
    (2022).
    """
    refuse_stream(df, "multilabel.find_issues")
    require_columns(df, id=id, labels=labels)
    for name in probability_names(pred_probs):
        require_columns(df, pred_probs=name)
    require_new_columns(df, [*ISSUE_COLUMNS, *([ISSUE_RANK] if issue_rank else [])])
    options = issue_options(
        df,
        by_row=True,
        id=id,
        labels=labels,
        pred_probs=pred_probs,
        classes=classes,
        n_classes=n_classes,
        filter_by=filter_by,
        frac_noise=frac_noise,
        num_to_remove_per_class=num_to_remove_per_class,
        min_examples_per_class=min_examples_per_class,
        fitted=fitted,
        method=method,
        adjust_pred_probs=adjust_pred_probs,
        aggregator_kwargs=aggregator_kwargs,
    )
    require_unique(df, id, validate="multilabel.validate")
    found = with_issues(df, options, run_passes(df, options))
    found = with_label_sets(found, df.columns, options.table)
    return with_issue_rank(found, id) if issue_rank else found


def find_issues_per_class(
    df: DataFrame,
    *,
    id: str = "id",
    labels: str = "labels",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    fitted: MultilabelModel | None = None,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
) -> DataFrame:
    """Return a row for each label issue: an id and a class that it is given wrongly, or lacks.

    Decided now, in up to three passes; the result is lazy. It equals
    :func:`lq_spark.core.multilabel.find_multilabel_issues_per_class` on the rows in the order of
    their ids; a low_* rule orders the rows of each class for itself.

    Parameters
    ----------
    df, id, labels, pred_probs, classes, n_classes
        As for :func:`find_issues`.
    filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, fitted
        As for :func:`find_issues`.
    method, adjust_pred_probs
        The score in ``class_quality``, as for :func:`lq_spark.multilabel.score`.

    Returns
    -------
    DataFrame
        The id column, ``class`` (in the type of a label), ``in_given_label`` (true: given wrongly,
        false: missing), ``class_quality`` (double, 1 clean, 0 suspect), ``pred_prob`` (double).

    Raises
    ------
    ColumnError, OptionError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "multilabel.find_issues_per_class")
    options = issue_options(
        df,
        by_row=False,
        id=id,
        labels=labels,
        pred_probs=pred_probs,
        classes=classes,
        n_classes=n_classes,
        filter_by=filter_by,
        frac_noise=frac_noise,
        num_to_remove_per_class=num_to_remove_per_class,
        min_examples_per_class=min_examples_per_class,
        fitted=fitted,
        method=method,
        adjust_pred_probs=adjust_pred_probs,
    )
    require_free_name(id)
    df = columns_alone(df, [id, labels, *probability_names(pred_probs)])
    require_unique(df, id, validate="multilabel.validate")
    return cell_rows(with_issues(df, options, run_passes(df, options)), id, options.table)


def summarize(
    df: DataFrame,
    *,
    id: str = "id",
    labels: str = "labels",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    fitted: MultilabelModel | None = None,
) -> MultilabelHealth:
    """Return how healthy the label sets of a table are: in all, by class, by kind of issue.

    Now, in up to four passes. See :mod:`lq_spark.core.multilabel.health` for the tables.

    Parameters
    ----------
    df, id, labels, pred_probs, classes, n_classes, fitted
        As for :func:`find_issues`.

    Returns
    -------
    MultilabelHealth
        A score and two pandas tables, with class names where ``classes`` has them.

    Raises
    ------
    DataError
        If the table is empty.
    ColumnError, OptionError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "multilabel.summarize")
    options = issue_options(
        df,
        by_row=False,
        id=id,
        labels=labels,
        pred_probs=pred_probs,
        classes=classes,
        n_classes=n_classes,
        fitted=fitted,
    )
    df = columns_alone(df, [id, labels, *probability_names(pred_probs)])
    require_unique(df, id, validate="multilabel.validate")
    results = run_passes(df, options)
    counts = results.counts
    if counts is None or not counts.n_rows:
        raise DataError("the table is empty; its health needs at least 1 row")
    n_issue_rows = with_issues(df, options, results).where(IS_LABEL_ISSUE).count()
    flagged = np.minimum(results.quotas, counts.doubtful)
    return multilabel_health(flagged, counts.n_rows, n_issue_rows, options.table.classes)


def with_label_sets(found: DataFrame, kept: Sequence[str], table: LabelSetTable) -> DataFrame:
    """Return some columns and the issue columns of what ``with_issues`` found. Lazy."""
    suspects = F.transform(CELLS, lambda cell: table.label_of(cell["class"]))
    right, missing = F.array_except(table.given, suspects), F.array_except(suspects, table.given)
    made = {
        IS_LABEL_ISSUE: F.col(IS_LABEL_ISSUE),
        SUSPECT_CLASSES: suspects,
        SUGGESTED_LABELS: F.array_union(right, missing),
        LABEL_QUALITY: F.col(LABEL_QUALITY),
    }
    return found.select(*map(column, kept), *(made[name].alias(name) for name in ISSUE_COLUMNS))


def cell_rows(found: DataFrame, id: str, table: LabelSetTable) -> DataFrame:
    """Return a row for each cell that ``with_issues`` found. Lazy."""
    rows = found.select(column(id), F.explode(CELLS).alias(CELLS))
    fields = {name: F.col(f"{CELLS}.{name}") for name in CELL_COLUMNS}
    fields["class"] = table.label_of(fields["class"])
    return rows.select(column(id), *(value.alias(name) for name, value in fields.items()))


def require_free_name(id: str) -> None:
    """Raise ColumnError if the id is named as a column that a row for each cell gets."""
    if id.lower() in CELL_COLUMNS:
        raise ColumnError(f"id: column {id!r} is named as one of the result's; rename it")

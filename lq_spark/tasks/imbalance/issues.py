"""The rows of a class that is too rare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lq_spark.core.imbalance.classes import THRESHOLD, finish_imbalance
from lq_spark.engine.inputs import require_new_columns
from lq_spark.errors import require_number, require_one_of
from lq_spark.tasks.imbalance.counts import IS_ISSUE, SCORE, with_imbalance
from lq_spark.tasks.shared.class_counts import checked_labels, class_counts
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def find_issues(
    df: DataFrame,
    *,
    label: str = "label",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    threshold: float = THRESHOLD,
) -> DataFrame:
    """Return the table with the rows of a class that is too rare.

    Adds ``is_class_imbalance_issue`` (boolean: of the rarest class, if it is too rare) and
    ``class_imbalance_score`` (double: the share of the rarest class for its rows, 1 for the others;
    0 rare, 1 not). The rows of each class are counted now; the result is lazy. The rule is that of
    cleanlab's Datalab, see :func:`lq_spark.core.imbalance.find_class_imbalance`.

    Parameters
    ----------
    df : DataFrame
    label : str
        Column of the given label: a whole number 0..K-1 (in a float, double or decimal(p,0) too), a
        boolean, or one of ``classes``.
    classes : sequence of str, optional
        The class names; needed for string labels.
    n_classes : int, optional
        K. Where neither it nor classes is given, the highest label and one.
    threshold : float
        The rarest class is too rare if its share is below ``threshold / K``; from 0 to 1.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If K is not said and a label is beyond some million.
    InvalidRowsError
        If a label is null, no whole number or none of the classes.
    """
    refuse_stream(df, "imbalance.find_issues")
    require_number("threshold", threshold, 0.0, 1.0)
    labels = checked_labels(df, label, classes, n_classes)
    require_new_columns(df, [IS_ISSUE, SCORE])
    counts = class_counts(df, labels, fail=True)
    return with_imbalance(df, labels, finish_imbalance(counts, threshold) if counts.any() else None)


def score(
    df: DataFrame,
    *,
    label: str = "label",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    on_invalid: str = "fail",
) -> DataFrame:
    """Return the table with ``class_imbalance_score`` (double): 0 rare, 1 not.

    Parameters
    ----------
    df, label, classes, n_classes
        As for :func:`find_issues`.
    on_invalid : {"fail", "null"}
        What to do with a row whose label is no class: fail, or leave its score null and count the
        others alone.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    refuse_stream(df, "imbalance.score")
    labels = checked_labels(df, label, classes, n_classes)
    require_new_columns(df, [IS_ISSUE, SCORE])
    counts = class_counts(df, labels, fail=on_invalid == "fail")
    found = finish_imbalance(counts) if counts.any() else None
    return with_imbalance(df, labels, found).drop(IS_ISSUE)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    label: str = "label",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a label is no class, null if it is one. Lazy.

    Parameters
    ----------
    df, label, classes, n_classes
        As for :func:`find_issues`.
    id : str, optional
        Column that must tell the rows apart.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    labels = checked_labels(df, label, classes, n_classes)
    require_to_validate(df, id, "imbalance.validate")
    checked = df.withColumn(INVALID_REASON, labels.named_reason)
    return with_key_reasons(checked, df, id)

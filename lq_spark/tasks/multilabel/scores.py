"""Label quality of a table of label sets: rows with any number of labels, or none.

Each class is a binary problem of its own; all K share one scan. The mathematics is in
lq_spark.core. :func:`fit`, :func:`find_issues`, :func:`find_issues_per_class` and
:func:`summarize`: see :mod:`lq_spark.tasks.multilabel.issues`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.core.multilabel.scores import DEFAULT_AGGREGATOR, aggregator_of
from lq_spark.engine.inputs import require_columns, require_new_columns
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import OptionError, require_one_of
from lq_spark.tasks.multilabel.batches import (
    CLASS_QUALITIES,
    Scoring,
    reason_batch,
    score_function,
    usable_sets_batch,
)
from lq_spark.tasks.multilabel.columns import label_set_table
from lq_spark.tasks.multilabel.passes import fitted_thresholds
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import LABEL_QUALITY
from lq_spark.tasks.shared.probabilities import PredProbs, probability_names
from lq_spark.tasks.shared.reasons import REASON_SCHEMA
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def score(
    df: DataFrame,
    *,
    labels: str = "labels",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    fitted: MultilabelModel | None = None,
    aggregator_kwargs: Mapping[str, Any] = DEFAULT_AGGREGATOR,
    class_qualities: bool = False,
    on_invalid: str = "fail",
) -> DataFrame:
    """Return the table with its label quality: 1 clean, 0 suspect. Lazy.

    Adds ``label_quality`` (double) and, if asked, ``class_qualities`` (array of K doubles). See
    :func:`lq_spark.core.multilabel.get_label_quality_scores` for the scores.

    Parameters
    ----------
    df : DataFrame
        One row an example.
    labels : str
        Column of the given labels: an array of labels of the types as for
        :func:`lq_spark.multiclass.score`, each at most once; empty where a row has no label.
    pred_probs : str or sequence of str
        Column of the K predicted probabilities, which need not sum to 1, or a column a class, in
        the forms as for :func:`lq_spark.multiclass.score` but for one number.
    classes : sequence of str, optional
        Class names in the order of the probabilities; needed where labels are strings.
    n_classes : int, optional
        K. Where neither it nor classes nor fitted say it, the first row does (a small Spark job
        now).
    method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
        The score of each class.
    adjust_pred_probs : bool
        Whether to correct the probabilities by the thresholds of each class first.
    fitted : MultilabelModel, optional
        What :func:`fit` returned, to adjust by; where not given, thresholds are fitted on ``df``,
        which reads it once more, now.
    aggregator_kwargs : mapping
        How the K scores become one: see
        :func:`lq_spark.core.multilabel.scores.aggregator_of`.
    class_qualities : bool
        Whether to add the scores of the classes.
    on_invalid : {"fail", "null"}
        What to do with a row that cannot be scored: fail the query, or leave its new columns null.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    InvalidRowsError
        If thresholds must be fitted and a row cannot be scored.

    Notes
    -----
    Source: Thyagarajan, Snorrason, Northcutt, Mueller, "Identifying Incorrect Annotations in
    Multi-Label Classification Data" (2022).
    """
    require_method(method, adjust_pred_probs=adjust_pred_probs)
    aggregate = aggregator_of(aggregator_kwargs)
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    if fitted is not None and not adjust_pred_probs:
        raise OptionError("fitted is given but adjust_pred_probs is False; set it to True")
    if adjust_pred_probs and fitted is None:
        refuse_stream(df, "multilabel.score that adjusts without fitted")
    added = [LABEL_QUALITY, CLASS_QUALITIES] if class_qualities else [LABEL_QUALITY]
    require_columns(df, labels=labels)
    for name in probability_names(pred_probs):
        require_columns(df, pred_probs=name)
    require_new_columns(df, added)
    table = label_set_table(
        df,
        labels=labels,
        pred_probs=pred_probs,
        classes=classes,
        n_classes=n_classes,
        fitted=fitted,
    )
    thresholds = None
    if adjust_pred_probs:
        thresholds = fitted_thresholds(df, table) if fitted is None else fitted.thresholds
    function, schema = score_function(
        Scoring(method, thresholds, aggregate), class_qualities=class_qualities
    )
    batch = usable_sets_batch(function, table.n_classes, table.classes, fail=on_invalid == "fail")
    return with_mapped(df, batch, table.inputs, schema)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    labels: str = "labels",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be scored, null if it can. Lazy.

    A row with several faults has one of them as its reason.

    Parameters
    ----------
    id : str, optional
        Column that must tell the rows apart: a null in it and a value that occurs twice are faults
        (of every row that has it).
    df, labels, pred_probs, classes, n_classes
        As for :func:`score`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    require_columns(df, labels=labels)
    for name in probability_names(pred_probs):
        require_columns(df, pred_probs=name)
    require_to_validate(df, id, "multilabel.validate")
    table = label_set_table(
        df, labels=labels, pred_probs=pred_probs, classes=classes, n_classes=n_classes
    )
    function = reason_batch(table.n_classes, table.classes)
    checked = with_mapped(df, function, table.inputs, REASON_SCHEMA)
    return with_key_reasons(checked, df, id)

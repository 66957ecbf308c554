"""Label quality of a table of multi-class labels; the mathematics is in lq_spark.core.

Passes over the table: :func:`fit_thresholds` reads it once, natively, for one number a row
(``pred_probs[label]``); :func:`score` reads it once more, in one Python pass. :func:`fit`,
:func:`summarize` and :func:`find_issues`: see :mod:`lq_spark.tasks.multiclass.issues`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.engine.inputs import require_new_columns
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import InvalidRowsError, OptionError, require_one_of
from lq_spark.tasks.multiclass.thresholds import fit_thresholds
from lq_spark.tasks.shared.batches import reason_batch, score_columns, usable_rows_batch
from lq_spark.tasks.shared.classes import (
    agreed_classes,
    require_kind,
    require_room,
    resolved_n_classes,
)
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.probabilities import PredProbs
from lq_spark.tasks.shared.reasons import REASON_SCHEMA
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.table import labelled_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def score(
    df: DataFrame,
    *,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    thresholds: Thresholds | None = None,
    predicted_label: bool = False,
    on_invalid: str = "fail",
    tolerance: float = SUM_TOLERANCE,
) -> DataFrame:
    """Return the table with its label quality: 1 clean, 0 suspect. Lazy.

    Adds ``label_quality`` (double) and, if asked, ``predicted_label`` (the class of the highest
    probability, in the label column's type). See
    :func:`lq_spark.core.multiclass.get_label_quality_scores` for the scores.

    Parameters
    ----------
    df, label, pred_probs, classes
        As for :func:`fit_thresholds`.
    n_classes : int, optional
        K. Where neither it nor classes nor thresholds say it, the first row does (a small Spark
        job now); for a stream it must be given.
    method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
        The score.
    adjust_pred_probs : bool
        Whether to correct the probabilities by the class thresholds first.
    thresholds : Thresholds, optional
        Frozen thresholds to adjust by; where not given, they are fitted on ``df``, which reads it
        once more, now.
    predicted_label : bool
        Whether to add the predicted label.
    on_invalid : {"fail", "null"}
        What to do with a row that cannot be scored: fail the query, or leave its new columns null.
    tolerance : float
        How far a row's probabilities may sum from 1, and one of them exceed 1.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong, or thresholds, classes and n_classes differ in K: before a
        Spark job starts.
    DataError
        If thresholds must be fitted and cannot be; when the query runs, for a row that cannot be
        scored.
    """
    require_method(method, adjust_pred_probs=adjust_pred_probs)
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    require_tolerance(tolerance)
    if thresholds is not None and not adjust_pred_probs:
        raise OptionError("thresholds are given but adjust_pred_probs is False; set it to True")
    if adjust_pred_probs and thresholds is None:
        refuse_stream(df, "multiclass.score that adjusts without thresholds")
    require_kind("thresholds", thresholds, Thresholds)
    classes = agreed_classes(classes, thresholds)
    table = labelled_table(df, label=label, pred_probs=pred_probs, classes=classes)
    added = [LABEL_QUALITY, PREDICTED_LABEL] if predicted_label else [LABEL_QUALITY]
    require_new_columns(df, added)
    n_classes = resolved_n_classes(df, table.probabilities, table.label_type, n_classes, thresholds)
    if predicted_label:
        require_room(table.label_type, label, n_classes)
    if adjust_pred_probs and thresholds is None:
        thresholds = fit_thresholds(
            df, label=label, pred_probs=pred_probs, classes=classes, tolerance=tolerance
        )
        if thresholds.n_classes != n_classes:
            raise InvalidRowsError(
                f"column {pred_probs!r} has rows of {thresholds.n_classes} probabilities, "
                f"n_classes is {n_classes}"
            )
    scores = score_columns(
        method, thresholds, table.label_type if predicted_label else None, table.classes
    )
    function = usable_rows_batch(
        scores.function, n_classes, fail=on_invalid == "fail", tolerance=tolerance
    )
    inputs = table.named_inputs if on_invalid == "fail" else table.inputs
    return with_mapped(df, function, inputs, scores.schema)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    tolerance: float = SUM_TOLERANCE,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be scored, null if it can. Lazy.

    A row with several faults has one of them as its reason.

    Parameters
    ----------
    id : str, optional
        Column that must tell the rows apart: a null in it and a value that occurs twice are faults
        (of every row that has it).
    df, label, pred_probs, classes, n_classes, tolerance
        As for :func:`score`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    require_tolerance(tolerance)
    table = labelled_table(df, label=label, pred_probs=pred_probs, classes=classes)
    require_to_validate(df, id, "multiclass.validate")
    n_classes = resolved_n_classes(df, table.probabilities, table.label_type, n_classes)
    checked = with_mapped(df, reason_batch(n_classes, tolerance), table.named_inputs, REASON_SCHEMA)
    return with_key_reasons(checked, df, id)

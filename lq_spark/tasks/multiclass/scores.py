"""Label quality of a table of multi-class labels; the mathematics is in lq_spark.core.

Passes over the table: :func:`fit_thresholds` reads it once, natively, for one number a row
(``pred_probs[label]``); :func:`score` reads it once more, in one Python pass. :func:`fit`,
:func:`summarize` and :func:`find_issues`: see :mod:`lq_spark.tasks.multiclass.issues`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.engine.keys import duplicate_keys
from lq_spark.engine.verbs import map_rows
from lq_spark.errors import InvalidRowsError, OptionError, require_one_of
from lq_spark.tasks.multiclass.health import summarize
from lq_spark.tasks.multiclass.issues import find_issues, fit
from lq_spark.tasks.multiclass.thresholds import fit_thresholds
from lq_spark.tasks.shared.batches import fit_rows_batch, reason_batch, score_columns
from lq_spark.tasks.shared.labels import (
    require_room,
)
from lq_spark.tasks.shared.probabilities import PredProbs
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.table import (
    DUPLICATE_ID,
    INVALID_REASON,
    LABEL_QUALITY,
    NULL_ID,
    PREDICTED_LABEL,
    agreed_classes,
    labelled_table,
    resolved_n_classes,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = [
    "NoiseModel",
    "Thresholds",
    "find_issues",
    "fit",
    "fit_thresholds",
    "score",
    "summarize",
    "validate",
]

_ADDED = "__lq_spark"


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
        job now); of a stream it must be told.
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
    classes = agreed_classes(classes, thresholds)
    table = labelled_table(df, label=label, pred_probs=pred_probs, classes=classes)
    added = [LABEL_QUALITY, PREDICTED_LABEL] if predicted_label else [LABEL_QUALITY]
    require_new_columns(df, [*added, _ADDED])
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
    function = fit_rows_batch(
        scores.function, n_classes, fail=on_invalid == "fail", tolerance=tolerance
    )
    inputs = table.named_inputs if on_invalid == "fail" else table.inputs
    new = map_rows(function, inputs, scores.schema)
    return _with_struct(df, new, added)


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
    if id is not None:
        refuse_stream(df, "multiclass.validate with id")
        require_key(df, "id", id)
    require_new_columns(df, [INVALID_REASON, _ADDED])
    n_classes = resolved_n_classes(df, table.probabilities, table.label_type, n_classes)
    schema = StructType([StructField(INVALID_REASON, StringType())])
    reason = map_rows(reason_batch(n_classes, tolerance), table.named_inputs, schema)
    checked = _with_struct(df, reason, [INVALID_REASON])
    if id is None:
        return checked
    twice = duplicate_keys(df, id).select(column(id).alias(_ADDED))
    joined = checked.join(twice, column(id) == F.col(_ADDED), "left")
    key_reason = F.when(column(id).isNull(), NULL_ID).when(F.col(_ADDED).isNotNull(), DUPLICATE_ID)
    return joined.withColumn(INVALID_REASON, F.coalesce(key_reason, F.col(INVALID_REASON))).drop(
        _ADDED
    )


def _with_struct(df: DataFrame, struct: Column, names: Sequence[str]) -> DataFrame:
    return df.withColumn(_ADDED, struct).select(
        *(column(name) for name in df.columns), *(F.col(f"{_ADDED}.{name}") for name in names)
    )

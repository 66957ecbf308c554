"""Which annotations and items cannot be scored, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import Window
from pyspark.sql import functions as F

from lq_spark.engine.inputs import column, require_new_columns
from lq_spark.engine.verbs import map_rows
from lq_spark.tasks.multiannotator.columns import ITEM, NAME, NUMBER, AnnotationTables, numbered
from lq_spark.tasks.multiannotator.reader import (
    NO_ANNOTATION,
    NULL_ANNOTATOR,
    TWICE,
    UNKNOWN_ANNOTATOR,
    UNKNOWN_ITEM,
    UNUSABLE_ITEM,
)
from lq_spark.tasks.shared.batches import reason_batch
from lq_spark.tasks.shared.keys import with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON
from lq_spark.tasks.shared.reasons import REASON_SCHEMA, label_reason, with_label_named

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NULL_ITEM, DUPLICATE_ITEM = "null item", "duplicate item"
_REASON, _IS_USABLE, _NEW, _TWICE = (
    f"__lq_{name}" for name in ("reason", "is_usable", "new", "twice")
)


class MultiannotatorChecks(NamedTuple):
    """Annotations and items with ``invalid_reason``."""

    annotations: DataFrame
    items: DataFrame

    def __repr__(self) -> str:
        return f"<MultiannotatorChecks: annotations and items with {INVALID_REASON}>"


def require_unchecked(tables: AnnotationTables) -> None:
    """Raise ColumnError unless both tables can have ``invalid_reason`` added."""
    for table in (tables.annotations, tables.items):
        require_new_columns(table, [INVALID_REASON])


def checked_annotations(
    tables: AnnotationTables,
    n_classes: int,
    tolerance: float,
    *,
    known: Sequence[Any] | None = None,
    needs_labels: bool = True,
) -> MultiannotatorChecks:
    """Return both tables with the reason why a row cannot be scored, null if it can. Lazy.

    Parameters
    ----------
    tables, n_classes, tolerance
        As checked before.
    known : sequence of int or str, optional
        The annotators that were fitted.
    needs_labels : bool
        Whether an item without a label cannot be scored.
    """
    require_unchecked(tables)
    items = _items_by_themselves(tables, n_classes, tolerance)
    annotations = _annotations(tables, items, n_classes, known)
    if needs_labels:
        usable = (
            annotations.where(F.col(_REASON).isNull()).select(F.col(ITEM).alias(_NEW)).distinct()
        )
        reason = F.when(F.col(_NEW).isNull(), NO_ANNOTATION)
        items = items.join(usable, F.col(ITEM) == F.col(_NEW), "left").withColumn(
            _REASON, F.coalesce(_REASON, reason)
        )
    return MultiannotatorChecks(
        _as_given(annotations, tables.annotations), _as_given(items, tables.items)
    )


def _items_by_themselves(tables: AnnotationTables, n_classes: int, tolerance: float) -> DataFrame:
    """Return the items with their key, and the reason that lies in the item itself."""
    function = reason_batch(n_classes, tolerance)
    checked, reasons = tables.items, []
    for m in range(len(tables.pred_probs)):
        made = f"{_NEW}_{m}"
        inputs = [F.lit(0).cast("bigint"), tables.probabilities(m)]
        checked = checked.withColumn(made, map_rows(function, inputs, REASON_SCHEMA))
        reason = F.col(f"{made}.{INVALID_REASON}")
        several = len(tables.pred_probs) > 1
        reasons.append(F.concat(F.lit(f"{tables.model_name(m)}: "), reason) if several else reason)
    checked = with_key_reasons(
        checked.withColumn(_REASON, F.coalesce(*reasons)),
        tables.items,
        tables.item,
        null=NULL_ITEM,
        duplicate=DUPLICATE_ITEM,
        reason=_REASON,
    )
    return checked.withColumn(ITEM, tables.key)


def _annotations(
    tables: AnnotationTables, items: DataFrame, n_classes: int, known: Sequence[Any] | None
) -> DataFrame:
    """Return the annotations with their item and reason."""
    there = items.groupBy(F.col(ITEM).alias(_NEW)).agg(
        F.bool_and(F.col(_REASON).isNull()).alias(_IS_USABLE)
    )
    rows = tables.annotations.withColumn(ITEM, tables.key).withColumn("__lq_index", tables.index)
    rows = rows.join(there, F.col(ITEM) == F.col(_NEW), "left")
    of_name = F.when(column(tables.annotator).isNull(), NULL_ANNOTATOR)
    if known is not None:
        rows = rows.join(numbered(tables, known), column(tables.annotator) == F.col(NAME), "left")
        of_name = of_name.when(F.col(NUMBER).isNull(), UNKNOWN_ANNOTATOR)
    same = Window.partitionBy(ITEM, column(tables.annotator))
    rows = rows.withColumn(_TWICE, F.count(F.lit(1)).over(same) > 1)
    of_item = (
        F.when(F.col(ITEM).isNull(), NULL_ITEM)
        .when(F.col(_IS_USABLE).isNull(), UNKNOWN_ITEM)
        .when(~F.col(_IS_USABLE), UNUSABLE_ITEM)
    )
    reason = F.coalesce(
        of_item,
        of_name,
        with_label_named(
            label_reason(F.col("__lq_index"), n_classes), column(tables.label).cast("string")
        ),
        F.when(F.col(_TWICE), TWICE),
    )
    return rows.withColumn(_REASON, reason)


def _as_given(checked: DataFrame, given: DataFrame) -> DataFrame:
    return checked.select(*map(column, given.columns), F.col(_REASON).alias(INVALID_REASON))

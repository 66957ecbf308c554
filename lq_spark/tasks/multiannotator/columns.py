"""Annotations and items, checked on the driver and gathered: one row an item with all its labels.

The labels of an item are one array of whole numbers, each the annotator's number above the class
index, so that sorting the array sorts them by annotator. Annotators are numbered in the order of
their names, which are few enough for the driver; nothing else here leaves Spark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import DataType, IntegralType, LongType, StructField, StructType

from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.core.shared.display import Displayed
from lq_spark.engine.inputs import (
    column,
    column_type,
    require_integer_or_string,
    require_joined_key,
)
from lq_spark.engine.small_tables import small_table
from lq_spark.errors import DataError
from lq_spark.tasks.shared.classes import (
    agreed_k,
    checked_classes,
    first_size,
    require_room,
    require_two_of_boolean,
)
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.labels import (
    FRACTIONAL_LABEL,
    NULL_LABEL,
    UNKNOWN_LABEL,
    label_of,
    require_label,
)
from lq_spark.tasks.shared.probabilities import (
    ModelProbs,
    Probabilities,
    models_of,
    probabilities,
    probability_names,
)
from lq_spark.tasks.shared.table import class_index

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MAX_ANNOTATORS = 1 << 20
"""Each pass keeps some numbers of every annotator."""

NO_ANNOTATOR = 1 << 21
"""Number of a null annotator."""

CODE_BITS = 32
OUT_OF_RANGE_CODE, UNKNOWN_CODE, NULL_CODE, FRACTIONAL_CODE = (
    (1 << CODE_BITS) - place for place in (3, 2, 1, 4)
)
"""Codes of labels that are no class index; a class index is less than half of them."""

ITEM, IS_ITEM, ITEM_ID, LABELS = "__lq_item", "__lq_is_item", "__lq_item_id", "__lq_labels"
NAME, NUMBER = "__lq_name", "__lq_number"
_PROBS = "__lq_probs"


@dataclass(frozen=True, repr=False)
class AnnotationTables(Displayed):
    """The two tables, and their columns as the caller names them.

    Attributes
    ----------
    annotations, items : DataFrame
    item, annotator, label : str
        ``item`` in both tables.
    pred_probs : tuple of M str or tuple of str
        A column a model, or its columns, one a class.
    index : Column
        Class index of the label, bigint without nulls.
    label_type, annotator_type : DataType
    classes : tuple of str or None
    """

    annotations: DataFrame
    items: DataFrame
    item: str
    annotator: str
    label: str
    pred_probs: tuple[str | tuple[str, ...], ...]
    index: Column
    label_type: DataType
    annotator_type: DataType
    classes: tuple[str, ...] | None

    @property
    def key(self) -> Column:
        """Return the item, in a type that both tables have."""
        whole = isinstance(column_type(self.items, self.item), IntegralType)
        return column(self.item).cast("bigint") if whole else column(self.item)

    def probabilities(self, model: int) -> Column:
        """Return a model's probabilities as array<float> or array<double>."""
        return self.read(model).array

    def read(self, model: int) -> Probabilities:
        """Return a model's probabilities, and what their columns say of the classes."""
        return probabilities(self.items, self.pred_probs[model], self.classes, self.label_type)

    def model_name(self, model: int) -> str:
        """Return what a model is called: its column, or columns."""
        return ", ".join(probability_names(self.pred_probs[model]))

    def as_label(self, index: Column) -> Column:
        """Return a class index as a label."""
        return label_of(index, self.label_type, self.classes)

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": None if self.classes is None else len(self.classes),
            "models": len(self.pred_probs),
            "columns": f"{self.item}, {self.annotator}, {self.label}",
        }


def annotation_tables(
    annotations: DataFrame,
    items: DataFrame,
    item: str,
    annotator: str,
    label: str,
    pred_probs: ModelProbs,
    classes: Sequence[str] | None,
) -> AnnotationTables:
    """Check the columns of annotations and items.

    Raises
    ------
    ColumnError
        If a column is missing or of another type, the two tables' items differ in type, or labels
        are strings and no classes are given.
    OptionError
        If classes has fewer than two names, or pred_probs names no column, or one twice.
    """
    models = models_of(items, pred_probs)
    names = checked_classes(classes)
    label_type = require_label(annotations, "label", label)
    require_joined_key("item", item, annotations=annotations, items=items)
    for model in models:
        names = probabilities(items, model, names, label_type).classes
    annotator_type = require_integer_or_string(annotations, "annotator", annotator)
    index = class_index(annotations, label=label, classes=names)
    return AnnotationTables(
        annotations,
        items,
        item,
        annotator,
        label,
        models,
        index,
        label_type,
        annotator_type,
        names,
    )


def annotation_n_classes(
    tables: AnnotationTables, n_classes: int | None, fitted: MultiannotatorModel | None = None
) -> int:
    """Return K: see :func:`lq_spark.tasks.shared.classes.agreed_k`; else the first item says it."""
    read = [tables.read(model) for model in range(len(tables.pred_probs))]

    def first() -> int | None:
        return first_size(tables.items, F.size(read[0].array))

    k = agreed_k(tables.items, n_classes, tables.classes, first, read=read, fitted=fitted)
    require_two_of_boolean(tables.label_type, tables.label, k)
    require_room(tables.label_type, tables.label, k)
    return k


def require_unique_items(tables: AnnotationTables, validate: str) -> None:
    """Raise InvalidRowsError unless each item is there once; reads the items' column alone."""
    require_unique(
        tables.items, tables.item, validate=validate, option="item", table=" of the items"
    )


def annotator_names(tables: AnnotationTables) -> tuple[Any, ...]:
    """Return the names of the annotators, ascending, from one native pass over their column.

    Raises
    ------
    DataError
        If there are more than 2^20.
    """
    names = tables.annotations.select(column(tables.annotator).alias(NAME))
    found = names.where(F.col(NAME).isNotNull()).distinct().limit(MAX_ANNOTATORS + 1).collect()
    if len(found) > MAX_ANNOTATORS:
        raise DataError(
            f"annotator: column {tables.annotator!r} has more than {MAX_ANNOTATORS} values; "
            "is it the one of the annotators?"
        )
    return tuple(sorted(row[NAME] for row in found))


def numbered(tables: AnnotationTables, names: Sequence[Any]) -> DataFrame:
    """Return a small table of the annotators' names and numbers, to be joined by a broadcast."""
    schema = StructType(
        [StructField(NAME, tables.annotator_type), StructField(NUMBER, LongType(), False)]
    )
    rows = [(name, number) for number, name in enumerate(names)]
    return small_table(tables.items.sparkSession, rows, schema).hint("broadcast")


def gathered(tables: AnnotationTables, names: Sequence[Any]) -> DataFrame:
    """Return one row an item with its labels and probabilities. Lazy; two shuffles.

    Columns: the item; whether it is among the items, or only in annotations; a hash of it; its
    labels, ascending; the probabilities of each model.
    """
    probs = probability_columns(tables)
    items = tables.items.select(
        tables.key.alias(ITEM),
        F.lit(True).alias(IS_ITEM),
        *(tables.probabilities(m).alias(name) for m, name in enumerate(probs)),
    )
    rows = items.join(_labels_of_items(tables, names), ITEM, "full_outer")
    none = F.array().cast("array<bigint>")
    return rows.select(
        ITEM,
        F.coalesce(IS_ITEM, F.lit(False)).alias(IS_ITEM),
        F.xxhash64(ITEM).alias(ITEM_ID),
        F.coalesce(LABELS, none).alias(LABELS),
        *probs,
    )


def probability_columns(tables: AnnotationTables) -> list[str]:
    """Return the names of the probabilities' columns among the gathered ones."""
    return [f"{_PROBS}_{m}" for m in range(len(tables.pred_probs))]


def _labels_of_items(tables: AnnotationTables, names: Sequence[Any]) -> DataFrame:
    index = F.col("index")
    code = (
        F.when(index == NULL_LABEL, NULL_CODE)
        .when(index == UNKNOWN_LABEL, UNKNOWN_CODE)
        .when(index == FRACTIONAL_LABEL, FRACTIONAL_CODE)
        .when(~index.between(0, (1 << 31) - 1), OUT_OF_RANGE_CODE)
        .otherwise(index)
    )
    rows = tables.annotations.select(
        tables.key.alias(ITEM), column(tables.annotator).alias(NAME), tables.index.alias("index")
    )
    number = F.coalesce(NUMBER, F.lit(NO_ANNOTATOR))
    label = F.shiftleft(number, CODE_BITS).bitwiseOR(code)
    return (
        rows.join(numbered(tables, names), NAME, "left")
        .groupBy(ITEM)
        .agg(F.sort_array(F.collect_list(label)).alias(LABELS))
    )

"""Tables of images with boxes, checked on the driver."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DecimalType,
    IntegralType,
    NumericType,
    StringType,
    StructType,
)

from lq_spark.core.detection.model import DetectionModel
from lq_spark.engine.arrow import field_lists
from lq_spark.engine.inputs import column, column_type, field_of_elements, require_columns
from lq_spark.engine.readings import Input, column_input
from lq_spark.engine.verbs import select_inputs
from lq_spark.errors import ColumnError, DataError, closest, listed
from lq_spark.tasks.shared.classes import agreed_k, checked_classes
from lq_spark.tasks.shared.labels import (
    LABEL_TYPES,
    is_label_type,
    is_padded,
    label_arrays,
    require_distinct,
    unpadded,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

CORNERS: Final = ("x1", "y1", "x2", "y2")
LABEL, PROB = "label", "prob"

MAX_CLASSES: Final = 1 << 20
"""How many classes a table may have where nobody says how many it has."""


@dataclass(frozen=True)
class DetectionColumns:
    """The columns of a table of images with boxes, and its classes.

    Attributes
    ----------
    labels, predictions : str
        Columns of arrays of structs.
    classes : tuple of str, or None
        Class names in the order of the class indices.
    are_names : bool
        Whether the labels of the boxes are names, and not class indices.
    box_types : mapping of str to StructType
        Of a box of each column of boxes.
    padded : bool
        Whether labels are char(n).
    spark : SparkSession
        Of the table.
    """

    labels: str
    predictions: str
    classes: tuple[str, ...] | None
    are_names: bool
    box_types: Mapping[str, StructType]
    padded: bool
    spark: SparkSession

    @property
    def names(self) -> tuple[str, ...] | None:
        """Return the class names that labels are looked up in; None where they are indices."""
        return unpadded(self.classes, self.padded) if self.are_names else None

    @property
    def label_types(self) -> dict[str, DataType]:
        """Return the type of a label of each column of boxes."""
        return {name: kind[LABEL].dataType for name, kind in self.box_types.items()}

    @property
    def inputs(self) -> list[Input]:
        """Return what the batch functions take: an array column for each field of the boxes.

        Numbers as double, of labels too: a null among them stays one on every way to Python.
        Labels of other types are class indices.
        """
        return [
            *self._numbers_of(self.labels, CORNERS),
            self._classes_of(self.labels),
            *self._numbers_of(self.predictions, (*CORNERS, PROB)),
            self._classes_of(self.predictions),
        ]

    def labels_of(self, boxes: str) -> Column:
        """Return an array of the labels of a column of boxes, as the table has them."""
        return field_of_elements(self.spark, column(boxes), LABEL)

    def classes_of(self, boxes: str) -> Column:
        """Return an array of the labels of a column of boxes, as the batch functions take them."""
        labels, kind = self.labels_of(boxes), self.label_types[boxes]
        if self.are_names or isinstance(kind, IntegralType):
            labels = label_arrays(labels, kind, padded=self.padded)
            return labels.cast("array<string>" if self.are_names else "array<double>")
        return label_arrays(labels, kind)

    def _classes_of(self, boxes: str) -> Input:
        labels, kind = self.classes_of(boxes), self.label_types[boxes]
        if self.padded or not isinstance(kind, (IntegralType, StringType)):
            return Input(labels)
        element = pa.string() if self.are_names else pa.float64()
        return Input(labels, boxes, functools.partial(field_lists, field=LABEL, element=element))

    def _numbers_of(self, boxes: str, names: Sequence[str]) -> list[Input]:
        return [self._number_of(boxes, name) for name in names]

    def _number_of(self, boxes: str, name: str) -> Input:
        numbers = field_of_elements(self.spark, column(boxes), name).cast("array<double>")
        if isinstance(self.box_types[boxes][name].dataType, DecimalType):
            return Input(numbers)
        made = functools.partial(field_lists, field=name, element=pa.float64())
        return Input(numbers, boxes, made)


def detection_columns(
    df: DataFrame, *, labels: str, predictions: str, classes: Sequence[str] | None
) -> DetectionColumns:
    """Check the columns of a table of images with boxes.

    Raises
    ------
    ColumnError
        If a column is missing or of another type, or labels are strings and no classes are given.
    OptionError
        If classes has no name, or a name twice.
    """
    names = checked_classes(classes, least=1)
    require_columns(df, labels=labels, predictions=predictions)
    boxes = {
        labels: _require_boxes(df, "labels", labels, CORNERS),
        predictions: _require_boxes(df, "predictions", predictions, (*CORNERS, PROB)),
    }
    kinds = [boxes[name][LABEL].dataType for name in (labels, predictions)]
    are_strings = [isinstance(kind, StringType) for kind in kinds]
    if any(are_strings) and not all(are_strings):
        raise ColumnError(
            f"labels of columns {labels!r} and {predictions!r} are "
            f"{kinds[0].simpleString()} and {kinds[1].simpleString()}; both must be whole numbers, "
            "or both strings"
        )
    if are_strings[0] and names is None:
        raise ColumnError(
            f"labels: the labels of column {labels!r} are strings, so classes is needed: "
            "the names of all classes"
        )
    padded = is_padded(df, labels) or is_padded(df, predictions)
    require_distinct(names, labels, padded)
    return DetectionColumns(
        labels, predictions, names, are_strings[0], boxes, padded, df.sparkSession
    )


def inputs_alone(df: DataFrame, columns: DetectionColumns, key: str | None = None) -> DataFrame:
    """Return a table of just a key, if any, and what the batch functions take, under our names."""
    inputs = {f"input_{i}": made for i, made in enumerate(columns.inputs)}
    keys = {} if key is None else {"key": column_input(key)}
    return select_inputs(df, **keys, **inputs)


def _require_boxes(df: DataFrame, option: str, name: str, numbers: Sequence[str]) -> StructType:
    """Return the type of a box of a column of boxes; raise ColumnError if it holds no boxes."""
    kind = column_type(df, name)
    box = kind.elementType if isinstance(kind, ArrayType) else None
    if not isinstance(box, StructType):
        raise ColumnError(
            f"{option}: column {name!r} is {kind.simpleString()}; allowed is an array of structs "
            f"with fields {listed((*numbers, LABEL))}; detection.from_boxes makes it of a row a box"
        )
    for field in (*numbers, LABEL):
        if field not in box.names:
            raise ColumnError(
                f"{option}: the boxes of column {name!r} have no field {field!r}; "
                f"they have {listed(box.names)}{closest(field, box.names)}"
            )
        found = box[field].dataType
        if not (is_label_type(found) if field == LABEL else isinstance(found, NumericType)):
            words = LABEL_TYPES if field == LABEL else "numbers"
            raise ColumnError(
                f"{option}: field {field!r} of column {name!r} is "
                f"{box[field].dataType.simpleString()}; allowed are {words}"
            )
    return box


def box_n_classes(
    df: DataFrame,
    columns: DetectionColumns,
    n_classes: int | None,
    fitted: DetectionModel | None = None,
) -> int:
    """Return K: what classes, the caller or what was fitted say, or else the highest label + 1.

    Only the last runs a Spark job, which reads the labels.

    Raises
    ------
    OptionError
        If they differ, or n_classes is no whole number.
    DataError
        If K is below 1, or nobody says K and a label is too large to be a class index.
    """

    def first() -> int | None:
        return _highest_label(df, columns)

    return agreed_k(df, n_classes, columns.classes, first, fitted=fitted, least=1)


def _highest_label(df: DataFrame, columns: DetectionColumns) -> int | None:
    """Return the highest label of a table, plus 1; None if there are no labels."""
    highest = [
        F.max(F.array_max(columns.classes_of(boxes))).cast("bigint")
        for boxes in (columns.labels, columns.predictions)
    ]
    [found] = df.agg(F.greatest(*highest)).first() or [None]
    n_found = None if found is None else max(int(found), 0) + 1
    if n_found is not None and n_found > MAX_CLASSES:
        raise DataError(
            f"a label is {found}, so there would be K = {n_found} classes; labels are whole "
            "numbers 0..K-1: give n_classes, and detection.validate names the images"
        )
    return n_found

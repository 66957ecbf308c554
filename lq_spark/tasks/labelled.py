"""A table of labels and predicted probabilities: its columns and classes, checked on the driver.

A label travels as its class index; two indices far below 0 say that there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DoubleType, StringType

from lq_spark.core.fitted import Thresholds
from lq_spark.engine.inputs import (
    column,
    column_type,
    float_array,
    require_integer_or_string,
)
from lq_spark.errors import ColumnError, DataError, OptionError, listed
from lq_spark.tasks.streams import require_told_n_classes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NULL_LABEL = -(1 << 63)
"""Class index of a null label."""

UNKNOWN_LABEL = NULL_LABEL + 1
"""Class index of a string label that is none of the classes."""

LABEL_QUALITY = "label_quality"
PREDICTED_LABEL = "predicted_label"
INVALID_REASON = "invalid_reason"

WRONG_LENGTH = "pred_probs of wrong length"
NULL_ID, DUPLICATE_ID = "null id", "duplicate id"
NO_LABEL, NO_CLASS = "null label", "label not in classes"


@dataclass(frozen=True)
class LabelledTable:
    """The columns of a table of labels and probabilities, and how many classes they have.

    Attributes
    ----------
    index : Column
        Class index of the given label, bigint without nulls.
    pred_probs : Column
        array<float> or array<double>.
    element_type : DataType
        Of a probability: float or double.
    label_type : DataType
        Of the label column: a whole number, or string.
    classes : tuple of str, or None
        Class names, in the order of the probabilities.
    """

    index: Column
    pred_probs: Column
    element_type: DataType
    label_type: DataType
    classes: tuple[str, ...] | None


def labelled_table(
    df: DataFrame, *, label: str, pred_probs: str, classes: Sequence[str] | None
) -> LabelledTable:
    """Check the columns of a table of labels and probabilities.

    Raises
    ------
    ColumnError
        If a column is missing or of another type, or labels are strings and no classes are given.
    OptionError
        If classes has fewer than two names, or a name twice.
    """
    index, label_type, names = class_index(df, label=label, classes=classes)
    probabilities = float_array(df, "pred_probs", pred_probs)
    kind = column_type(df, pred_probs)
    element = kind.elementType if isinstance(kind, ArrayType) else DoubleType()
    return LabelledTable(index, probabilities, element, label_type, names)


def class_index(
    df: DataFrame, *, label: str, classes: Sequence[str] | None
) -> tuple[Column, DataType, tuple[str, ...] | None]:
    """Return the class index of a label, bigint without nulls, the label's type, and the classes.

    Raises
    ------
    ColumnError, OptionError
        As :func:`labelled_table`.
    """
    label_type = require_integer_or_string(df, "label", label)
    names = checked_classes(classes)
    if isinstance(label_type, StringType):
        if names is None:
            raise ColumnError(
                f"label: column {label!r} is string, so classes is needed: "
                "the class names in the order of the probabilities"
            )
        # By its name: Spark 3.5 has F.array_position for values, not for columns. 0 is not found.
        position = F.call_function("array_position", F.lit(list(names)), column(label))
        index = F.when(position == 0, F.lit(UNKNOWN_LABEL)).otherwise(position - F.lit(1))
    else:
        index = column(label).cast("bigint")
    return F.coalesce(index, F.lit(NULL_LABEL)), label_type, names


def checked_classes(classes: Sequence[str] | None, least: int = 2) -> tuple[str, ...] | None:
    """Return class names as a tuple; raise OptionError if fewer than ``least`` or not unique."""
    if classes is None:
        return None
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise OptionError(f"classes must be a list of names, got {classes!r}")
    names = tuple(classes)
    if len(names) < least:
        raise OptionError(f"classes must have at least {least} names, got {listed(names)}")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise OptionError(f"classes must not have a name twice, got {listed(twice)} twice")
    return names


def resolved_n_classes(
    df: DataFrame,
    table: LabelledTable,
    n_classes: int | None,
    thresholds: Thresholds | None = None,
) -> int:
    """Return K: what the caller, the thresholds or the classes say, or else the first row.

    Only the last runs a (small) Spark job. A table without any probability gives 2: none of its
    rows will be scored.
    """
    require_whole_n_classes(n_classes)
    told = n_classes
    if told is None and thresholds is not None:
        told = thresholds.n_classes
    if told is None and table.classes is not None:
        told = len(table.classes)
    if told is None:
        told = first_n_classes(df, table) or 2
    require_n_classes(told, table.classes, thresholds)
    return told


def require_whole_n_classes(n_classes: object) -> None:
    """Raise OptionError unless n_classes is a whole number or None."""
    if n_classes is not None and (not isinstance(n_classes, int) or isinstance(n_classes, bool)):
        raise OptionError(f"n_classes must be a whole number of at least 2, got {n_classes!r}")


def first_n_classes(df: DataFrame, table: LabelledTable) -> int | None:
    """Return how many probabilities the first row has that has any; None if none has."""
    require_told_n_classes(df, "n_classes", "classes")
    first = df.select(F.size(table.pred_probs).alias("size")).where("size > 0").first()
    return None if first is None else int(first["size"])


def agreed_classes(
    classes: Sequence[str] | None, thresholds: Thresholds | None
) -> Sequence[str] | None:
    """Return the classes of the call or of the thresholds; raise OptionError if they differ."""
    if thresholds is not None and not isinstance(thresholds, Thresholds):
        raise OptionError(f"thresholds must be Thresholds or None, got {thresholds!r}")
    if thresholds is None or thresholds.classes is None:
        if thresholds is not None and classes is not None:
            require_n_classes(thresholds.n_classes, tuple(classes))
        return classes
    if classes is not None and tuple(classes) != thresholds.classes:
        raise OptionError(
            f"thresholds were fitted with classes {list(thresholds.classes)}, "
            f"classes is {list(classes)}"
        )
    return thresholds.classes


def require_n_classes(
    n_classes: int, classes: Sequence[str] | None, thresholds: Thresholds | None = None
) -> None:
    """Raise unless K is at least 2 and what classes and thresholds have."""
    if n_classes < 2:
        raise DataError(f"label quality needs K of at least 2 classes, got K = {n_classes}")
    if classes is not None and len(classes) != n_classes:
        raise OptionError(f"classes has {len(classes)} names, K is {n_classes}")
    if thresholds is not None and thresholds.n_classes != n_classes:
        raise OptionError(
            f"thresholds were fitted with K = {thresholds.n_classes}, K is {n_classes}"
        )


def require_room(label_type: DataType, label: str, n_classes: int) -> None:
    """Raise ColumnError if a label's type cannot hold each class index."""
    room = {"byte": 1 << 7, "short": 1 << 15}.get(label_type.typeName(), n_classes)
    if n_classes > room:
        raise ColumnError(
            f"label: column {label!r} is {label_type.simpleString()}, too small for a "
            f"predicted label of K = {n_classes} classes; cast it to int"
        )

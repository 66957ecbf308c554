"""Labels as tables have them, of any type, and the class indices that they are: there and back.

Whole numbers are labels in any type of number, booleans are the classes 0 and 1, strings are looked
up in the classes. A label that is no class travels as an index far below 0, which says why.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    StringType,
)

from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import Input
from lq_spark.errors import ColumnError, OptionError, listed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NULL_LABEL = -(1 << 63)
"""Class index of a null label."""

UNKNOWN_LABEL = NULL_LABEL + 1
"""Class index of a string label that is none of the classes."""

FRACTIONAL_LABEL = NULL_LABEL + 2
"""Class index of a number that is not whole: a fraction, NaN or an infinity."""

LABEL_TYPES = "whole numbers (in a float, double or decimal(p,0) too), booleans and strings"
"""What :func:`is_label_type` allows, for a message."""

LARGEST_WHOLE = 2.0**53
"""Beyond it every double is whole, and none a class index."""

_ARROW_TYPES = {
    "boolean": pa.bool_(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
}


def is_label_type(kind: DataType | None) -> bool:
    """Return whether values of a type can be labels."""
    if isinstance(kind, DecimalType):
        return kind.scale == 0
    return isinstance(kind, (IntegralType, StringType, BooleanType, FloatType, DoubleType))


def require_label(df: DataFrame, option: str, name: str) -> DataType:
    """Return the type of a column of labels; raise ColumnError if it is of none that can be."""
    require_columns(df, **{option: name})
    kind = column_type(df, name)
    if not is_label_type(kind):
        raise ColumnError(
            f"{option}: column {name!r} is {kind.simpleString()}; allowed are {LABEL_TYPES}"
        )
    return kind


def require_label_array(df: DataFrame, option: str, name: str, hint: str = "") -> DataType:
    """Return the type of a label in a column of arrays of them, or raise ColumnError."""
    require_columns(df, **{option: name})
    kind = column_type(df, name)
    element = kind.elementType if isinstance(kind, ArrayType) else None
    if element is None or not is_label_type(element):
        raise ColumnError(
            f"{option}: column {name!r} is {kind.simpleString()}; allowed are arrays of "
            f"{LABEL_TYPES}{hint}"
        )
    return element


def is_padded(df: DataFrame, name: str) -> bool:
    """Return whether the strings of a column are char(n), which blanks fill up to n.

    Spark shows char(n) and varchar(n) as string, and says in the column's metadata what they are.
    """
    metadata = df.schema[name].metadata or {}
    return bool(re.search(r"(?<!var)char\(", str(metadata.get("__CHAR_VARCHAR_TYPE_STRING", ""))))


def label_index(
    label: Column, kind: DataType, classes: Sequence[str] | None, *, padded: bool = False
) -> Column:
    """Return the class index of a label of a type, bigint without nulls.

    ``padded``: blanks at the end of a label or class count for nothing, as in SQL for char(n).
    """
    if isinstance(kind, StringType):
        names = [name.rstrip(" ") if padded else name for name in classes or ()]
        # By its name: Spark 3.5 has F.array_position for values, not for columns. 0 is not found.
        position = F.call_function(
            "array_position", F.lit(names), F.rtrim(label) if padded else label
        )
        index = F.when(position == 0, F.lit(UNKNOWN_LABEL)).otherwise(position - F.lit(1))
    elif isinstance(kind, (FloatType, DoubleType, DecimalType)):
        number = label.cast("double")
        clipped = F.least(F.greatest(number, F.lit(-LARGEST_WHOLE)), F.lit(LARGEST_WHOLE)).cast(
            "bigint"
        )
        # The rest of NaN and of an infinity is NaN.
        whole = F.when(number % F.lit(1.0) == 0.0, clipped).otherwise(F.lit(FRACTIONAL_LABEL))
        index = F.when(number.isNotNull(), whole)
    else:
        index = label.cast("bigint")
    return F.coalesce(index, F.lit(NULL_LABEL))


def class_indices(labels: pa.Array, classes: tuple[str, ...] | None) -> NDArray[np.int64]:
    """Return the class index of labels, NULL_LABEL or UNKNOWN_LABEL where there is none."""
    if classes is None or not (
        pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)
    ):
        index = labels.cast(pa.int64())
        return values_of(index, NULL_LABEL).astype(np.int64, copy=False)
    found = pc.index_in(labels, value_set=pa.array(classes, labels.type)).cast(pa.int64())
    known = values_of(found, UNKNOWN_LABEL)
    return np.where(values_of(labels.is_null()), NULL_LABEL, known)


def label_input(
    name: str, kind: DataType, classes: tuple[str, ...] | None, *, padded: bool = False
) -> Input:
    """Return the class index of a column of labels as a batch function takes it.

    Parameters as for :func:`label_index`.
    """
    index = label_index(column(name), kind, classes, padded=padded)
    if padded or not isinstance(kind, (IntegralType, BooleanType, StringType)):
        return Input(index)
    return Input(index, name, functools.partial(_index_array, classes=classes))


def unknown_label_input(label: Input, unknown: Column) -> Input:
    """Return the labels that are none of the classes, null for the others, as an input."""
    if label.made is None:
        return Input(unknown)
    return Input(unknown, label.source, functools.partial(_unknown_array, label.made))


def _index_array(labels: pa.Array, classes: tuple[str, ...] | None) -> pa.Array:
    return array_of(class_indices(labels, classes))


def _unknown_array(index: Callable[[pa.Array], pa.Array], labels: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(index(labels), UNKNOWN_LABEL), labels, None)


def label_arrays(labels: Column, kind: DataType, *, padded: bool = False) -> Column:
    """Return arrays of labels as the batch functions take them: of whole numbers, or of strings."""
    if isinstance(kind, StringType):
        return F.transform(labels, lambda label: F.rtrim(label)) if padded else labels
    if isinstance(kind, IntegralType):
        return labels
    return F.transform(labels, lambda label: label_index(label, kind, None))


def label_arrays_input(name: str, kind: DataType, *, padded: bool = False) -> Input:
    """Return a column of arrays of labels as the batch functions take it."""
    arrays = label_arrays(column(name), kind, padded=padded)
    as_they_are = isinstance(kind, (IntegralType, StringType)) and not padded
    return Input(arrays, name if as_they_are else None)


def unpadded(classes: tuple[str, ...] | None, padded: bool) -> tuple[str, ...] | None:
    """Return the classes as :func:`label_arrays` has the labels."""
    return tuple(name.rstrip(" ") for name in classes) if classes and padded else classes


def label_of(index: Column, kind: DataType, classes: Sequence[str] | None) -> Column:
    """Return a class index as a label of a type."""
    if classes is not None and isinstance(kind, StringType):
        return F.get(F.lit(list(classes)), index.cast("int"))
    return index.cast(kind)


def label_array(
    index: NDArray[np.int64], kind: DataType, classes: tuple[str, ...] | None
) -> pa.Array:
    """Return class indices as labels of a type.

    >>> label_array(np.array([1, 0]), DoubleType(), None).to_pylist()
    [1.0, 0.0]
    """
    if isinstance(kind, StringType):
        return pa.array(classes).take(array_of(index))
    indices = array_of(index, pa.int64())
    if isinstance(kind, DecimalType):
        # Arrow has no way from int64 to a decimal of fewer digits than int64 may have.
        return indices.cast(pa.decimal128(38, 0)).cast(pa.decimal128(kind.precision, 0))
    return indices.cast(_ARROW_TYPES[kind.typeName()])


def class_name(label: object, classes: Sequence[str] | None) -> str:
    """Return the name of the class that a label is; the label is known to be one.

    >>> class_name(1.0, None), class_name(True, ["no", "yes"]), class_name("cat  ", ["cat"])
    ('1', 'yes', 'cat')
    """
    if not isinstance(label, str):
        place = int(label)  # type: ignore[call-overload]
        return str(classes[place] if classes else place)
    if classes is None or label in classes:
        return label
    return next((name for name in classes if name.rstrip(" ") == label.rstrip(" ")), label)


def comparable(labels: pa.Array, classes: Sequence[str] | None) -> pa.Array:
    """Return labels, known to be classes, as values that are the same for all of one class.

    :func:`class_name` names it. Of strings the blanks at the end are left out, which char(n) has,
    unless they tell classes apart.

    >>> comparable(pa.array(["cat  ", "dog"]), ["cat", "dog"]).to_pylist()
    ['cat', 'dog']
    >>> comparable(pa.array([1.0, 0.0]), None).to_pylist()
    [1, 0]
    """
    if not pa.types.is_string(labels.type):
        return labels.cast(pa.int64())
    tell_apart = len({name.rstrip(" ") for name in classes or ()}) < len(classes or ())
    return labels if tell_apart else pc.utf8_rtrim(labels, " ")


def classes_of_labels(
    df: DataFrame, option: str, name: str, kind: DataType, classes: tuple[str, ...] | None
) -> tuple[tuple[str, ...] | None, bool]:
    """Return the classes as the labels of a column have them, and whether it is of char(n).

    Raises
    ------
    ColumnError
        If labels, which are of the type ``kind``, are strings and there are no classes.
    OptionError
        If labels are char(n) and classes differ by blanks at the end alone.
    """
    if isinstance(kind, StringType) and classes is None:
        holds = "is string" if column_type(df, name) == kind else "holds strings"
        raise ColumnError(
            f"{option}: column {name!r} {holds}, so classes is needed: "
            "the class names in the order of the probabilities"
        )
    padded = is_padded(df, name)
    require_distinct(classes, name, padded)
    return unpadded(classes, padded), padded


def require_distinct(classes: tuple[str, ...] | None, label: str, padded: bool) -> None:
    """Raise OptionError if classes differ by blanks at the end alone, and labels are char(n)."""
    if classes and padded and len(set(unpadded(classes, True) or ())) < len(classes):
        raise OptionError(
            f"classes {listed(classes)} differ by blanks at the end alone, which do not count in "
            f"column {label!r} of char(n); cast it to string"
        )

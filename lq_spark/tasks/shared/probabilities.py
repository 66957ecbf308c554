"""Predicted probabilities as tables have them, read as arrays in the order of the classes.

An array column is read as it is. The other forms: a column a class; a struct or a map by class
names; one number, the probability of class 1 of two; decimals in any of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    MapType,
    StringType,
    StructType,
)

from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.readings import Input
from lq_spark.engine.vectors import float_array
from lq_spark.errors import ColumnError, OptionError, listed, require_ordered

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PredProbs = str | Sequence[str]
"""A column of the probabilities, or a column a class, in the order of the classes."""

ModelProbs = str | Sequence[PredProbs]
"""A column of the probabilities; or for each model a column, or a column a class."""

FORMS = (
    "array<float>, array<double> and a Spark ML vector; also decimals, a struct or a map by class "
    "names, one number (the probability of class 1 of two), and a list of columns, one a class"
)


@dataclass(frozen=True)
class Probabilities:
    """Probabilities as arrays, and what their columns say of the classes.

    Attributes
    ----------
    array : Column
        array<float> or array<double>.
    element_type : DataType
        Of a probability: float or double.
    classes : tuple of str, or None
        Those of the call; or the names of columns or fields, where labels are strings.
    n_classes : int or None
        K, where columns or fields say it.
    source : str or None
        The column that holds the arrays as they are; None where they are made of something else.
    """

    array: Column
    element_type: DataType
    classes: tuple[str, ...] | None
    n_classes: int | None = None
    source: str | None = None

    @property
    def input(self) -> Input:
        """Return the arrays as a batch function takes them."""
        return Input(self.array, self.source)


def probability_names(pred_probs: PredProbs) -> tuple[str, ...]:
    """Return the names of the columns of the probabilities."""
    return (pred_probs,) if isinstance(pred_probs, str) else tuple(pred_probs)


def probabilities(
    df: DataFrame,
    pred_probs: PredProbs,
    classes: tuple[str, ...] | None,
    label_type: DataType | None,
    *,
    exclusive: bool = True,
) -> Probabilities:
    """Return the probabilities of a table as arrays.

    Parameters
    ----------
    df : DataFrame
    pred_probs : str or sequence of str
    classes : tuple of str, or None
        Checked before.
    label_type : DataType or None
        Of a label.
    exclusive : bool
        Whether a row has one of the classes, so that one number says the other.

    Raises
    ------
    ColumnError, OptionError
        If a column is missing or of another type, or its fields are not the classes.
    """
    if not isinstance(pred_probs, str):
        return _of_columns(df, pred_probs, classes, label_type)
    require_columns(df, pred_probs=pred_probs)
    kind = column_type(df, pred_probs)
    if kind.typeName() in ("vector", "vectorudt"):
        return Probabilities(float_array(df, "pred_probs", pred_probs), DoubleType(), classes)
    given = f"pred_probs: column {pred_probs!r} is {kind.simpleString():.200}"
    found = element_probabilities(
        column(pred_probs), kind, classes, label_type, given=given, exclusive=exclusive
    )
    as_it_is = isinstance(kind, ArrayType) and kind.elementType == found.element_type
    return replace(found, source=pred_probs if as_it_is else None)


def nested_probabilities(
    df: DataFrame, name: str, classes: tuple[str, ...] | None, label_type: DataType
) -> Probabilities:
    """Return the probabilities of the tokens of a table of sentences: an array of what a token has.

    The array is one of arrays; what it says of K is of a token.
    """
    kind = column_type(df, name)
    given = f"pred_probs: column {name!r} of a table of sentences is {kind.simpleString():.200}"
    if not isinstance(kind, ArrayType):
        raise ColumnError(
            f"{given}; allowed are arrays, of what a token has: arrays, structs and maps of float, "
            "double or decimal, or one such number, the probability of class 1 of two"
        )
    inner = kind.elementType
    is_plain = isinstance(inner, ArrayType) and isinstance(
        inner.elementType, (FloatType, DoubleType)
    )

    def of_token(value: Column) -> Probabilities:
        return element_probabilities(value, inner, classes, label_type, given=given)

    made = of_token(F.lit(None).cast(inner))
    arrays = (
        column(name) if is_plain else F.transform(column(name), lambda value: of_token(value).array)
    )
    return replace(made, array=arrays, source=name if is_plain else None)


def models_of(items: DataFrame, pred_probs: ModelProbs) -> tuple[str | tuple[str, ...], ...]:
    """Return the column, or columns, of each model; raise OptionError if they are not clear."""
    if isinstance(pred_probs, str):
        return (pred_probs,)
    require_ordered("pred_probs", pred_probs)
    for model in pred_probs:
        if not isinstance(model, str):
            require_ordered("pred_probs", model)
    models = tuple(model if isinstance(model, str) else tuple(model) for model in pred_probs)
    if not models or len(set(models)) < len(models):
        raise OptionError(
            "pred_probs must name a column, or a column for each model, each once, "
            f"got {list(models)}"
        )
    single = [model for model in models if isinstance(model, str) and model in items.columns]
    if len(single) > 1 and all(is_number(column_type(items, name)) for name in single):
        raise OptionError(
            f"pred_probs names columns of one number each, {listed(single)}: as the classes of one "
            "model give them as a list in a list, as models make an array of each"
        )
    return models


def element_probabilities(
    value: Column,
    kind: DataType,
    classes: tuple[str, ...] | None,
    label_type: DataType | None,
    *,
    given: str,
    exclusive: bool = True,
) -> Probabilities:
    """Return the probabilities that a value of a type holds; ``given`` begins an error message."""
    if isinstance(kind, ArrayType) and is_number(kind.elementType):
        if isinstance(kind.elementType, DecimalType):
            return Probabilities(value.cast("array<double>"), DoubleType(), classes)
        return Probabilities(value, kind.elementType, classes)
    if isinstance(kind, StructType) and all(is_number(field.dataType) for field in kind):
        return _of_struct(value, kind, classes, label_type, given)
    if isinstance(kind, MapType) and is_number(kind.valueType):
        return _of_map(value, kind, classes, given)
    if is_number(kind):
        return _of_one_number(value, classes, given, exclusive)
    raise ColumnError(f"{given}; allowed are {FORMS}")


def _of_columns(
    df: DataFrame,
    pred_probs: Sequence[str],
    classes: tuple[str, ...] | None,
    label_type: DataType | None,
) -> Probabilities:
    require_ordered("pred_probs", pred_probs)
    names = tuple(pred_probs)
    if len(names) < 2 or len(set(names)) < len(names):
        raise OptionError(
            "pred_probs must be a column, or a list of at least two, one a class and each once, "
            f"got {list(names)}"
        )
    for name in names:
        require_columns(df, pred_probs=name)
        if not is_number(column_type(df, name)):
            raise ColumnError(
                f"pred_probs: column {name!r} is {column_type(df, name).simpleString()}; allowed "
                "in a list of columns, one a class, are float, double and decimal"
            )
    if classes is not None and len(classes) != len(names):
        raise OptionError(
            f"classes has {len(classes)} names, pred_probs names {len(names)} columns: give the "
            "columns in the order of the classes, one each"
        )
    if classes is None and isinstance(label_type, StringType):
        classes = _names_of_columns(names)
    kinds = [column_type(df, name) for name in names]
    element = _common(kinds)
    array = F.array(*(column(name).cast(element) for name in names))
    return Probabilities(array, element, classes, len(names))


def _names_of_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns' names as classes, unless they share what is no part of a class's name."""
    words = [re.split(r"[_.\-: ]", name) for name in names]
    are_parts = all(len(parts) > 1 for parts in words)
    if are_parts and any(len({parts[end] for parts in words}) == 1 for end in (0, -1)):
        raise OptionError(
            f"pred_probs names the columns {listed(names)}, whose names do not look like labels: "
            "give classes, the class names in their order"
        )
    return names


def _of_struct(
    value: Column,
    kind: StructType,
    classes: tuple[str, ...] | None,
    label_type: DataType | None,
    given: str,
) -> Probabilities:
    fields = tuple(kind.names)
    places = sorted(fields, key=lambda name: (len(name), name))
    if classes is not None:
        order = classes
    elif isinstance(label_type, StringType):
        order = classes = fields
    else:
        order = tuple(map(str, range(len(fields))))
        if tuple(places) != order:
            raise OptionError(
                f"{given}, and labels are no strings: give classes, the names of its fields in the "
                "order of the class indices"
            )
    if len(fields) < 2 or set(order) != set(fields) or len(order) != len(fields):
        raise OptionError(
            f"{given}, whose fields {listed(fields)} are not the classes {listed(order)}; select "
            "its fields and give these columns as a list in the order of the classes"
        )
    element = _common([field.dataType for field in kind])
    array = F.array(*(value.getField(name).cast(element) for name in order))
    return Probabilities(F.when(value.isNotNull(), array), element, classes, len(fields))


def _of_map(
    value: Column, kind: MapType, classes: tuple[str, ...] | None, given: str
) -> Probabilities:
    if not isinstance(kind.keyType, StringType):
        raise ColumnError(f"{given}; allowed are maps by class names, which are strings")
    if classes is None:
        raise OptionError(f"{given}, so classes is needed: the class names, which are its keys")
    element = _common([kind.valueType])
    array = F.array(*(F.try_element_at(value, F.lit(name)).cast(element) for name in classes))
    # A map of more or fewer keys is of wrong length; one of other keys lacks some: null.
    others = F.map_values(value).cast(ArrayType(element))
    as_array = F.when(F.size(value) == len(classes), array).when(value.isNotNull(), others)
    return Probabilities(as_array, element, classes, len(classes))


def _of_one_number(
    value: Column, classes: tuple[str, ...] | None, given: str, exclusive: bool
) -> Probabilities:
    if not exclusive:
        raise ColumnError(
            f"{given}: one number; a row may have several labels, so each class needs one of its "
            "own: an array, a struct, a map, or a list of columns"
        )
    if classes is not None and len(classes) != 2:
        raise OptionError(
            f"{given}: one number, the probability of class 1 of two; classes has {len(classes)} "
            "names, which need a probability each"
        )
    one = value.cast("double")
    array = F.array(F.lit(1.0) - one, one)
    return Probabilities(F.when(value.isNotNull(), array), DoubleType(), classes, 2)


def is_number(kind: DataType) -> bool:
    """Return whether values of a type can be probabilities."""
    return isinstance(kind, (FloatType, DoubleType, DecimalType))


def _common(kinds: Sequence[DataType]) -> DataType:
    """Return the type that holds numbers of several types: float only where all are."""
    return FloatType() if all(isinstance(kind, FloatType) for kind in kinds) else DoubleType()

"""A table of labels and predicted probabilities: its columns and classes, checked on the driver.

A label travels as its class index, see :mod:`lq_spark.tasks.shared.labels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, StringType

from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.engine.inputs import column
from lq_spark.errors import ColumnError, DataError, OptionError
from lq_spark.tasks.shared.labels import (
    checked_classes,
    is_padded,
    label_index,
    require_label,
    require_told_apart,
)
from lq_spark.tasks.shared.probabilities import PredProbs, Probabilities, probabilities
from lq_spark.tasks.shared.reasons import (
    unknown_label,
)
from lq_spark.tasks.shared.streams import require_told_n_classes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

LABEL_QUALITY = "label_quality"
PREDICTED_LABEL = "predicted_label"
INVALID_REASON = "invalid_reason"

WRONG_LENGTH = "pred_probs of wrong length"
NULL_ID, DUPLICATE_ID = "null id", "duplicate id"


@dataclass(frozen=True)
class LabelledTable:
    """The columns of a table of labels and probabilities.

    Attributes
    ----------
    index : Column
        Class index of the given label, bigint without nulls.
    unknown : Column or None
        A string label that is none of the classes, null for the others; None if labels are numbers.
    label_type : DataType
        Of the label column.
    probabilities : Probabilities
        The predicted probabilities, and what their columns say of the classes.
    """

    index: Column
    unknown: Column | None
    label_type: DataType
    probabilities: Probabilities

    @property
    def pred_probs(self) -> Column:
        """Return the probabilities, array<float> or array<double>."""
        return self.probabilities.array

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Return the class names, in the order of the probabilities."""
        return self.probabilities.classes

    @property
    def inputs(self) -> list[Column]:
        """Return what the batch functions take."""
        return [self.index, self.pred_probs]

    @property
    def named_inputs(self) -> list[Column]:
        """Return it with the labels that are none of the classes, to be named."""
        return self.inputs if self.unknown is None else [*self.inputs, self.unknown]


def labelled_table(
    df: DataFrame, *, label: str, pred_probs: PredProbs, classes: Sequence[str] | None
) -> LabelledTable:
    """Check the columns of a table of labels and probabilities.

    Raises
    ------
    ColumnError
        If a column is missing or of another type, or labels are strings and no classes are given.
    OptionError
        If classes has fewer than two names, or a name twice.
    """
    label_type = require_label(df, "label", label)
    read = probabilities(df, pred_probs, checked_classes(classes), label_type)
    index, _ = class_index(df, label=label, classes=read.classes)
    is_string = isinstance(label_type, StringType)
    table = LabelledTable(
        index,
        unknown_label(index, column(label)) if is_string else None,
        label_type,
        read,
    )
    if read.n_classes is not None:
        require_two_of_boolean(label_type, label, read.n_classes)
    return table


def class_index(
    df: DataFrame, *, label: str, classes: tuple[str, ...] | None
) -> tuple[Column, DataType]:
    """Return the class index of a label, bigint without nulls, and the label's type.

    Raises
    ------
    ColumnError, OptionError
        As :func:`labelled_table`.
    """
    label_type = require_label(df, "label", label)
    if isinstance(label_type, StringType):
        if classes is None:
            raise ColumnError(
                f"label: column {label!r} is string, so classes is needed: "
                "the class names in the order of the probabilities"
            )
        padded = is_padded(df, label)
        require_told_apart(classes, label, padded)
        return label_index(column(label), label_type, classes, padded=padded), label_type
    return label_index(column(label), label_type, None), label_type


def resolved_n_classes(
    df: DataFrame,
    read: Probabilities,
    label_type: DataType,
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
    if told is None and read.classes is not None:
        told = len(read.classes)
    if told is None:
        told = first_n_classes(df, read) or 2
    require_n_classes(told, read.classes, thresholds)
    if read.n_classes not in (None, told):
        raise OptionError(f"pred_probs is of {read.n_classes} classes, K is {told}")
    require_two_of_boolean(label_type, "label", told)
    return told


def require_whole_n_classes(n_classes: object) -> None:
    """Raise OptionError unless n_classes is a whole number or None."""
    if n_classes is not None and (not isinstance(n_classes, int) or isinstance(n_classes, bool)):
        raise OptionError(f"n_classes must be a whole number of at least 2, got {n_classes!r}")


def first_n_classes(df: DataFrame, read: Probabilities) -> int | None:
    """Return how many probabilities the first row has that has any; None if none has."""
    if read.n_classes is not None:
        return read.n_classes
    require_told_n_classes(df, "n_classes", "classes")
    first = df.select(F.size(read.array).alias("size")).where("size > 0").first()
    return None if first is None else int(first["size"])


def agreed_classes(
    classes: Sequence[str] | None, thresholds: Thresholds | None
) -> Sequence[str] | None:
    """Return the classes of the call or of the thresholds; raise OptionError if they differ."""
    if thresholds is not None and not isinstance(thresholds, Thresholds):
        raise OptionError(f"thresholds must be Thresholds or None, got {thresholds!r}")
    classes = checked_classes(classes)
    if thresholds is None or thresholds.classes is None:
        if thresholds is not None and classes is not None:
            require_n_classes(thresholds.n_classes, classes)
        return classes
    if classes is not None and classes != thresholds.classes:
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


def require_two_of_boolean(label_type: DataType, label: str, n_classes: int) -> None:
    """Raise ColumnError if labels are booleans and there are not two classes."""
    if isinstance(label_type, BooleanType) and n_classes != 2:
        raise ColumnError(
            f"label: column {label!r} is boolean, which are two classes, and K is {n_classes}"
        )

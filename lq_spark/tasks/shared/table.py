"""A table of labels and predicted probabilities: its columns and classes, checked on the driver.

A label travels as its class index, see :mod:`lq_spark.tasks.shared.labels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql.types import DataType, StringType

from lq_spark.engine.inputs import column
from lq_spark.engine.readings import Input
from lq_spark.tasks.shared.classes import checked_classes, require_two_of_boolean
from lq_spark.tasks.shared.labels import (
    classes_of_labels,
    label_index,
    label_input,
    require_label,
    unknown_label_input,
)
from lq_spark.tasks.shared.probabilities import PredProbs, Probabilities, probabilities
from lq_spark.tasks.shared.reasons import unknown_label

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class LabelledTable:
    """The columns of a table of labels and probabilities.

    Attributes
    ----------
    label : Input
        Class index of the given label, bigint without nulls.
    unknown : Input or None
        A string label that is none of the classes, null for the others; None if labels are numbers.
    label_type : DataType
        Of the label column.
    probabilities : Probabilities
        The predicted probabilities, and what their columns say of the classes.
    """

    label: Input
    unknown: Input | None
    label_type: DataType
    probabilities: Probabilities

    @property
    def index(self) -> Column:
        """Return the class index of the given label."""
        return self.label.column

    @property
    def pred_probs(self) -> Column:
        """Return the probabilities, array<float> or array<double>."""
        return self.probabilities.array

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Return the class names, in the order of the probabilities."""
        return self.probabilities.classes

    @property
    def inputs(self) -> list[Input]:
        """Return what the batch functions take."""
        return [self.label, self.probabilities.input]

    @property
    def named_inputs(self) -> list[Input]:
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
    names, padded = classes_of_labels(df, "label", label, label_type, read.classes)
    given = label_input(label, label_type, names, padded=padded)
    unknown = None
    if isinstance(label_type, StringType):
        unknown = unknown_label_input(given, unknown_label(given.column, column(label)))
    table = LabelledTable(given, unknown, label_type, read)
    if read.n_classes is not None:
        require_two_of_boolean(label_type, label, read.n_classes)
    return table


def class_index(df: DataFrame, *, label: str, classes: tuple[str, ...] | None) -> Column:
    """Return the class index of a label, bigint without nulls.

    Raises
    ------
    ColumnError, OptionError
        As :func:`labelled_table`.
    """
    label_type = require_label(df, "label", label)
    names, padded = classes_of_labels(df, "label", label, label_type, classes)
    return label_index(column(label), label_type, names, padded=padded)

"""A table of label sets and predicted probabilities: its columns and classes, checked first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql.types import DataType, StringType

from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.engine.inputs import column
from lq_spark.engine.readings import Input
from lq_spark.tasks.shared.classes import (
    agreed_classes,
    agreed_n_classes,
    checked_classes,
    require_kind,
    require_room,
)
from lq_spark.tasks.shared.labels import (
    classes_of_labels,
    label_arrays_input,
    label_of,
    require_label_array,
)
from lq_spark.tasks.shared.probabilities import PredProbs, Probabilities, probabilities

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class LabelSetTable:
    """The columns of a table of label sets, and how many classes they have.

    Attributes
    ----------
    label_arrays : Input
        Arrays of whole numbers or strings, as the batch functions take them.
    given : Column
        Arrays of the labels in their own type.
    probabilities : Probabilities
        array<float> or array<double>.
    label_type : DataType
        Of one label.
    classes : tuple of str, or None
        Class names, in the order of the probabilities.
    n_classes : int
        K.
    """

    label_arrays: Input
    given: Column
    probabilities: Probabilities
    label_type: DataType
    classes: tuple[str, ...] | None
    n_classes: int

    @property
    def labels(self) -> Column:
        """Return the arrays of labels."""
        return self.label_arrays.column

    @property
    def pred_probs(self) -> Column:
        """Return the arrays of probabilities."""
        return self.probabilities.array

    @property
    def inputs(self) -> list[Input]:
        """Return what the batch functions take."""
        return [self.label_arrays, self.probabilities.input]

    def label_of(self, index: Column) -> Column:
        """Return a class index, int, as a label."""
        return label_of(index, self.label_type, self.classes)


def label_set_table(
    df: DataFrame,
    *,
    labels: str,
    pred_probs: PredProbs,
    classes: Sequence[str] | None,
    n_classes: int | None = None,
    fitted: MultilabelModel | None = None,
) -> LabelSetTable:
    """Check the columns of a table of label sets, and find its K.

    K is what the caller, the fitted model or the classes say, or else the first row: only the last
    runs a (small) Spark job.

    Raises
    ------
    ColumnError
        If a column is missing or of another type, or labels are strings and no classes are given.
    OptionError
        If classes are not names of K classes, or the fitted model is of others.
    """
    label_type = require_label_array(df, "labels", labels)
    require_kind("fitted", fitted, MultilabelModel)
    agreed = checked_classes(agreed_classes(classes, fitted))
    read = probabilities(df, pred_probs, agreed, label_type, exclusive=False)
    names, padded = classes_of_labels(df, "labels", labels, label_type, read.classes)
    arrays = label_arrays_input(labels, label_type, padded=padded)
    given = arrays.column if isinstance(label_type, StringType) else column(labels)
    found = agreed_n_classes(df, replace(read, classes=names), label_type, fitted, n_classes)
    require_room(label_type, labels, found)
    return LabelSetTable(arrays, given, read, label_type, names, found)

"""A table of label sets and predicted probabilities: its columns and classes, checked first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql.types import DataType, StringType

from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.engine.inputs import column
from lq_spark.errors import ColumnError, OptionError
from lq_spark.tasks.multiclass.issues import agreed_n_classes
from lq_spark.tasks.shared.labels import (
    checked_classes,
    is_padded,
    label_arrays,
    label_of,
    require_label_array,
    require_room,
    require_told_apart,
    unpadded,
)
from lq_spark.tasks.shared.probabilities import PredProbs, probabilities

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class LabelSetTable:
    """The columns of a table of label sets, and how many classes they have.

    Attributes
    ----------
    labels : Column
        Arrays of whole numbers or strings, as the batch functions take them.
    given : Column
        Arrays of the labels in their own type.
    pred_probs : Column
        array<float> or array<double>.
    label_type : DataType
        Of one label.
    classes : tuple of str, or None
        Class names, in the order of the probabilities.
    n_classes : int
        K.
    """

    labels: Column
    given: Column
    pred_probs: Column
    label_type: DataType
    classes: tuple[str, ...] | None
    n_classes: int

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
    agreed = _agreed_classes(checked_classes(classes), fitted)
    read = probabilities(df, pred_probs, agreed, label_type, exclusive=False)
    names = read.classes
    if isinstance(label_type, StringType) and names is None:
        raise ColumnError(
            f"labels: column {labels!r} holds strings, so classes is needed: "
            "the class names in the order of the probabilities"
        )
    padded = is_padded(df, labels)
    require_told_apart(names, labels, padded)
    arrays = label_arrays(column(labels), label_type, padded=padded)
    given = arrays if isinstance(label_type, StringType) else column(labels)
    names = unpadded(names, padded)
    found = agreed_n_classes(df, replace(read, classes=names), label_type, fitted, n_classes)
    require_room(label_type, labels, found)
    return LabelSetTable(arrays, given, read.array, label_type, names, found)


def _agreed_classes(
    classes: tuple[str, ...] | None, fitted: MultilabelModel | None
) -> tuple[str, ...] | None:
    if fitted is not None and not isinstance(fitted, MultilabelModel):
        raise OptionError(f"fitted must be a MultilabelModel or None, got {fitted!r}")
    if fitted is None or fitted.classes is None:
        return classes
    if classes is not None and classes != fitted.classes:
        raise OptionError(
            f"fitted was made with classes {list(fitted.classes)}, classes is {list(classes)}"
        )
    return fitted.classes

"""A table of label sets and predicted probabilities: its columns and classes, checked first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, IntegralType, StringType

from lq_spark.core.multilabel_model import MultilabelModel
from lq_spark.engine.inputs import column, column_type, float_array, require_columns
from lq_spark.errors import ColumnError, OptionError
from lq_spark.tasks.label_issues import agreed_n_classes
from lq_spark.tasks.labelled import checked_classes, require_room

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class LabelSetTable:
    """The columns of a table of label sets, and how many classes they have.

    Attributes
    ----------
    labels : Column
        array<label_type>.
    pred_probs : Column
        array<float> or array<double>.
    label_type : DataType
        Of one label: a whole number, or string.
    classes : tuple of str, or None
        Class names, in the order of the probabilities.
    n_classes : int
        K; 0 until it is known.
    """

    labels: Column
    pred_probs: Column
    label_type: DataType
    classes: tuple[str, ...] | None
    n_classes: int = 0

    def label_of(self, index: Column) -> Column:
        """Return a class index, int, as a label."""
        if self.classes is None or not isinstance(self.label_type, StringType):
            return index.cast(self.label_type)
        return F.element_at(F.lit(list(self.classes)), index + 1)


def label_set_table(
    df: DataFrame,
    *,
    labels: str,
    pred_probs: str,
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
    require_columns(df, labels=labels)
    kind = column_type(df, labels)
    label_type = kind.elementType if isinstance(kind, ArrayType) else None
    if not isinstance(label_type, (IntegralType, StringType)):
        raise ColumnError(
            f"labels: column {labels!r} is {kind.simpleString()}; allowed are arrays of whole "
            "numbers or strings"
        )
    probabilities = float_array(df, "pred_probs", pred_probs)
    names = _agreed_classes(checked_classes(classes), fitted)
    if isinstance(label_type, StringType) and names is None:
        raise ColumnError(
            f"labels: column {labels!r} holds strings, so classes is needed: "
            "the class names in the order of the probabilities"
        )
    table = LabelSetTable(column(labels), probabilities, label_type, names)
    found = agreed_n_classes(df, table, fitted, n_classes)
    require_room(label_type, labels, found)
    return replace(table, n_classes=found)


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

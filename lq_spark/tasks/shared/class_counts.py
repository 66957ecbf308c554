"""The labels of a table whose classes nothing else says, and the rows of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from pyspark.sql.types import BooleanType

from lq_spark.engine.inputs import column
from lq_spark.errors import DataError, InvalidRowsError
from lq_spark.tasks.shared.classes import agreed_k, checked_classes, require_two_of_boolean
from lq_spark.tasks.shared.labels import classes_of_labels, label_index, require_label
from lq_spark.tasks.shared.reasons import (
    label_reason,
    unknown_labels_text,
    with_label_named,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_MOST_CLASSES: Final = 1 << 20


@dataclass(frozen=True)
class Labels:
    """The labels of a table, checked.

    Attributes
    ----------
    name : str
        The column.
    index : Column
        Class index of the label, bigint without nulls.
    classes : tuple of str, or None
    n_classes : int or None
        K, where it is said.
    """

    name: str
    index: Column
    classes: tuple[str, ...] | None
    n_classes: int | None

    @property
    def reason(self) -> Column:
        """Return why a label is no class, null if it is one."""
        return label_reason(self.index, self.n_classes)

    @property
    def named_reason(self) -> Column:
        """Return the same, with the label where it is none of the classes."""
        return with_label_named(self.reason, column(self.name).cast("string"))


def checked_labels(
    df: DataFrame, label: str, classes: Sequence[str] | None, n_classes: int | None
) -> Labels:
    """Check the column of labels; raise ColumnError, OptionError or DataError."""
    kind = require_label(df, "label", label)
    given = checked_classes(classes)
    if n_classes is not None or given is not None:
        n_classes = agreed_k(df, n_classes, given, lambda: None)
    elif isinstance(kind, BooleanType):
        n_classes = 2
    if n_classes is not None:
        require_two_of_boolean(kind, label, n_classes)
    names, padded = classes_of_labels(df, "label", label, kind, given)
    return Labels(label, label_index(column(label), kind, names, padded=padded), given, n_classes)


def class_counts(
    df: DataFrame, labels: Labels, *, fail: bool, validate: str = "imbalance.validate"
) -> NDArray[np.int64]:
    """Return the rows of each class, shape (K,): where K is not said, up to the highest label.

    ``validate`` is the function that says which labels are no class.

    Raises
    ------
    InvalidRowsError
        If ``fail`` and a label is no class.
    DataError
        If K would be beyond some million.
    """
    index, is_class = labels.index.alias("index"), labels.reason.isNull().alias("is_class")
    few = df.select(index, is_class).groupBy("index", "is_class").count().limit(_MOST_CLASSES + 1)
    rows = [tuple(row) for row in few.collect()]
    if len(rows) > _MOST_CLASSES:
        raise DataError(f"label: column {labels.name!r} has more than {_MOST_CLASSES} values")
    n_bad = sum(n for _, good, n in rows if not good)
    if fail and n_bad:
        n_rows, named = sum(n for *_, n in rows), unknown_labels_text(df, labels.index, labels.name)
        raise InvalidRowsError(
            f"{n_bad} of {n_rows} rows cannot be scored, for want of a class{named}; "
            f"{validate} says which and why"
        )
    there = {place: n for place, good, n in rows if good}
    highest = max(there, default=-1)
    if labels.n_classes is None and highest >= _MOST_CLASSES:
        raise DataError(
            f"label: column {labels.name!r} has label {highest}; give n_classes if that is a class"
        )
    n_classes = highest + 1 if labels.n_classes is None else labels.n_classes
    counts = np.zeros(n_classes, dtype=np.int64)
    counts[list(there)] = list(there.values())
    return counts

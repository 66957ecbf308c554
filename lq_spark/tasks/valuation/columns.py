"""Labels that are compared with each other alone: which class one is does not matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from lq_spark.engine.inputs import column
from lq_spark.tasks.shared.labels import is_padded, label_index, require_label
from lq_spark.tasks.shared.names import NO_LABEL
from lq_spark.tasks.shared.reasons import LABEL_REASONS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class ComparedLabel:
    """A column of labels.

    Attributes
    ----------
    value : Column
        Equal for equal labels.
    reason : Column
        Why a label is none, null where it is one.
    """

    value: Column
    reason: Column


def compared_label(df: DataFrame, label: str) -> ComparedLabel:
    """Check a column of labels; raise ColumnError if its type is none of labels."""
    kind, given = require_label(df, "label", label), column(label)
    if isinstance(kind, StringType):
        value = F.rtrim(given) if is_padded(df, label) else given
        return ComparedLabel(value, F.when(given.isNull(), NO_LABEL))
    index = label_index(given, kind, None)
    reasons = [F.when(index == value, reason) for value, reason in LABEL_REASONS.items()]
    return ComparedLabel(index, F.coalesce(*reasons))

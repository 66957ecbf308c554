"""The rows to train with: their labels, features and groups, checked on the driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, IntegralType

from lq_spark.engine.inputs import (
    column,
    column_type,
    require_columns,
    require_key,
    require_number_column,
)
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import ColumnError, InvalidRowsError, OptionError, require_unused
from lq_spark.tasks.neighbors.batches import REASONS_SCHEMA, reasons_batch
from lq_spark.tasks.neighbors.columns import (
    Features,
    FeatureTable,
    feature_table,
    resolved_n_features,
)
from lq_spark.tasks.regression.columns import LABEL_NOT_FINITE, checked_number
from lq_spark.tasks.shared.class_counts import Labels, checked_labels
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON, IS_LABEL_ISSUE, NO_LABEL

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NO_GROUP = "null group"
_KEY = "__lq_key"


@dataclass(frozen=True)
class TrainingTable:
    """The columns of a table of rows to train with, checked.

    Attributes
    ----------
    id : str
    features : FeatureTable
    groups : str or None
    """

    id: str
    features: FeatureTable
    groups: str | None


@dataclass(frozen=True)
class ClassTable(TrainingTable):
    """Those of rows whose labels are classes, which ``labels`` are."""

    labels: Labels

    @property
    def label(self) -> Column:
        """Return the class index, without nulls."""
        return self.labels.index


@dataclass(frozen=True)
class NumberTable(TrainingTable):
    """Those of rows whose labels are numbers.

    Attributes
    ----------
    number : Column
        The label, double.
    reason : Column
        Why it cannot be used, null if it can.
    """

    number: Column
    reason: Column

    @property
    def label(self) -> Column:
        """Return the number, null if it cannot be used."""
        return F.when(self.reason.isNull(), self.number)


def training_table(
    df: DataFrame,
    *,
    id: str,
    label: str,
    features: Features,
    classes: Sequence[str] | None,
    groups: str | None,
) -> ClassTable:
    """Check the columns; raise ColumnError, OptionError or DataError if they are wrong."""
    require_key(df, "id", id)
    labels = checked_labels(df, label, classes, None)
    table = feature_table(df, features)
    if groups is not None:
        require_key(df, "groups", groups)
    return ClassTable(id, table, groups, labels)


def number_table(
    df: DataFrame, *, id: str, label: str, features: Features, groups: str | None
) -> NumberTable:
    """Check the columns; raise ColumnError or OptionError if they are wrong."""
    require_key(df, "id", id)
    number, reason = checked_number(df, "label", label, NO_LABEL, LABEL_NOT_FINITE)
    table = feature_table(df, features)
    if groups is not None:
        require_key(df, "groups", groups)
    return NumberTable(id, table, groups, number, reason)


def key_number(df: DataFrame, name: str) -> Column:
    """Return a bigint of each key, of equal ones the same: a whole number itself, or a hash."""
    if isinstance(column_type(df, name), IntegralType):
        return F.coalesce(column(name).cast("bigint"), F.lit(0))
    return F.xxhash64(column(name))


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    label: str = "label",
    features: Features = "features",
    classes: Sequence[str] | None = None,
    groups: str | None = None,
    numbers: bool = False,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be used, null if it can. Lazy.

    A row with several faults has one of them as its reason.

    Parameters
    ----------
    df, label, features, classes, groups
        As for :func:`lq_spark.training.cross_val_predict`.
    id : str, optional
        Column that must tell the rows apart: a null in it and a value that occurs twice are faults
        (of every row that has it).
    numbers : bool
        Whether the labels are numbers, as :func:`lq_spark.training.cross_val_predict_numbers` takes
        them: then they are to be finite, and ``classes`` is not given.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    if numbers:
        require_unused("numbers", classes=classes)
        _, reason = checked_number(df, "label", label, NO_LABEL, LABEL_NOT_FINITE)
    else:
        reason = checked_labels(df, label, classes, None).named_reason
    table = feature_table(df, features)
    if groups is not None:
        require_key(df, "groups", groups)
    require_to_validate(df, id, "training.validate")
    if groups is not None:
        reason = F.coalesce(reason, F.when(column(groups).isNull(), NO_GROUP))
    width = resolved_n_features(df, table, None)
    checked = with_mapped(df, reasons_batch(width), [table.input], REASONS_SCHEMA)
    checked = checked.withColumn(INVALID_REASON, F.coalesce(reason, F.col(INVALID_REASON)))
    return with_key_reasons(checked, df, id)


def require_weights(df: DataFrame, name: str) -> None:
    """Raise ColumnError if a column holds no numbers, InvalidRowsError if one is no weight."""
    require_number_column(df, "sample_weight", name)
    weight = column(name).cast("double")
    is_weight = weight.isNotNull() & (weight >= 0) & (weight < F.lit(float("inf")))
    if n_bad := df.where(~is_weight).count():
        raise InvalidRowsError(
            f"{n_bad} rows have a {name} that is no weight: it must be a finite number from 0"
        )


def with_given_issues(df: DataFrame, id: str, label_issues: str | DataFrame) -> DataFrame:
    """Return the table with ``is_label_issue``, as a column or another table says.

    Raises
    ------
    ColumnError, OptionError
        If it does not say so.
    InvalidRowsError
        If it says nothing of some row.
    """
    if isinstance(label_issues, str):
        _require_boolean(df, label_issues)
        found = df.withColumn(IS_LABEL_ISSUE, column(label_issues))
    elif hasattr(label_issues, "columns") and hasattr(label_issues, "join"):
        require_key(label_issues, "label_issues", id)
        _require_boolean(label_issues, IS_LABEL_ISSUE)
        others = [name for name in df.columns if name != IS_LABEL_ISSUE]
        given = label_issues.select(column(id).alias(_KEY), column(IS_LABEL_ISSUE))
        found = df.select(*map(column, others)).join(given, column(id) == F.col(_KEY), "left")
        found = found.drop(_KEY)
    else:
        raise OptionError(
            "label_issues must be the name of a column or a DataFrame with the ids and "
            f"{IS_LABEL_ISSUE}, got {label_issues!r}"
        )
    if n_unknown := found.where(column(IS_LABEL_ISSUE).isNull()).count():
        raise InvalidRowsError(f"label_issues does not say of {n_unknown} rows whether they are")
    return found


def _require_boolean(df: DataFrame, name: str) -> None:
    require_columns(df, label_issues=name)
    kind = column_type(df, name)
    if not isinstance(kind, BooleanType):
        raise ColumnError(
            f"label_issues: column {name!r} is {kind.simpleString()}; allowed is boolean"
        )

"""A table of labels and predictions that are numbers: its columns, and which rows can be scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import NumericType

from lq_spark.core.regression.api import LARGEST
from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.errors import ColumnError
from lq_spark.tasks.shared.names import NO_LABEL

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NO_PREDICTION, NO_UNCERTAINTY = "null prediction", "null uncertainty"
LABEL_NOT_FINITE = "label not finite"
PREDICTION_NOT_FINITE = "prediction not finite"
UNCERTAINTY_NOT_FINITE = "uncertainty not finite"
UNCERTAINTY_NEGATIVE = "uncertainty below 0"

LABEL, PREDICTION, UNCERTAINTY = "label", "prediction", "uncertainty"
"""Columns of :meth:`RegressionTable.numbers`."""


@dataclass(frozen=True)
class RegressionTable:
    """The numbers of a table, as doubles, and which rows have them.

    Attributes
    ----------
    columns : tuple of Column
        Label, prediction and, where residuals are scaled by it, uncertainty.
    reason : Column
        Why the row cannot be scored; null if it can.
    """

    columns: tuple[Column, ...]
    reason: Column

    def numbers(self, df: DataFrame) -> DataFrame:
        """Return the numbers of the rows that can be scored, and a row of nulls for each other."""
        names = (LABEL, PREDICTION, UNCERTAINTY)
        return df.select(
            *(
                F.when(self.reason.isNull(), number).alias(name)
                for number, name in zip(self.columns, names, strict=False)
            )
        )


def regression_table(
    df: DataFrame, *, label: str, prediction: str, uncertainty: str | float | None = None
) -> RegressionTable:
    """Check the columns of a table of labels and predictions.

    Raises
    ------
    ColumnError
        If a column is missing or holds no numbers.
    """
    numbers = [_number(df, "label", label), _number(df, "prediction", prediction)]
    reasons = [
        *_faults(numbers[0], NO_LABEL, LABEL_NOT_FINITE),
        *_faults(numbers[1], NO_PREDICTION, PREDICTION_NOT_FINITE),
    ]
    if isinstance(uncertainty, str):
        numbers.append(_number(df, "uncertainty", uncertainty))
        reasons += _faults(numbers[2], NO_UNCERTAINTY, UNCERTAINTY_NOT_FINITE)
        reasons.append((numbers[2] < 0.0, UNCERTAINTY_NEGATIVE))
    elif uncertainty is not None:
        numbers.append(F.lit(float(uncertainty)))
    return RegressionTable(tuple(numbers), _first_reason(reasons))


def _number(df: DataFrame, option: str, name: str) -> Column:
    require_columns(df, **{option: name})
    kind = column_type(df, name)
    if not isinstance(kind, NumericType):
        raise ColumnError(
            f"{option}: column {name!r} is {kind.simpleString()}; allowed are "
            "whole numbers, float, double and decimal"
        )
    return column(name).cast("double")


def _faults(number: Column, null: str, not_finite: str) -> list[tuple[Column, str]]:
    # Spark has NaN above all numbers.
    return [(number.isNull(), null), (F.abs(number) > LARGEST, not_finite)]


def _first_reason(reasons: Sequence[tuple[Column, str]]) -> Column:
    (condition, text), *others = reasons
    reason = F.when(condition, text)
    for condition, text in others:
        reason = reason.when(condition, text)
    return reason

"""A table of labels and predictions that are numbers: its columns, and which rows can be scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import DecimalType

from lq_spark.core.shared.constants import LARGEST
from lq_spark.engine.inputs import column, require_number_column
from lq_spark.engine.readings import Input, literal_input
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
    inputs : tuple of Input
        Label, prediction and, where residuals are scaled by it, uncertainty.
    reason : Column
        Why the row cannot be scored; null if it can.
    """

    inputs: tuple[Input, ...]
    reason: Column

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the inputs as the engine makes them."""
        return tuple(made.column for made in self.inputs)

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
    inputs = [_number(df, "label", label), _number(df, "prediction", prediction)]
    reasons = [
        *_faults(inputs[0].column, NO_LABEL, LABEL_NOT_FINITE),
        *_faults(inputs[1].column, NO_PREDICTION, PREDICTION_NOT_FINITE),
    ]
    if isinstance(uncertainty, str):
        inputs.append(_number(df, "uncertainty", uncertainty))
        number = inputs[2].column
        reasons += _faults(number, NO_UNCERTAINTY, UNCERTAINTY_NOT_FINITE)
        reasons.append((number < 0.0, UNCERTAINTY_NEGATIVE))
    elif uncertainty is not None:
        inputs.append(literal_input(float(uncertainty), beside=label))
    return RegressionTable(tuple(inputs), _first_reason(reasons))


def checked_number(
    df: DataFrame, option: str, name: str, null: str, not_finite: str
) -> tuple[Column, Column]:
    """Return a column of numbers as doubles, and why one cannot be used, null if it can.

    Raises
    ------
    ColumnError
        If the column is missing or holds no numbers.
    """
    number = _number(df, option, name).column
    return number, _first_reason(_faults(number, null, not_finite))


def doubles(numbers: pa.Array) -> pa.Array:
    """Return numbers as doubles, as Spark casts them."""
    return numbers.cast(pa.float64(), safe=False)  # whole numbers beyond 2^53 are rounded


def _number(df: DataFrame, option: str, name: str) -> Input:
    kind = require_number_column(df, option, name)
    # Arrow rounds decimals otherwise than Spark.
    source = None if isinstance(kind, DecimalType) else name
    return Input(column(name).cast("double"), source, doubles)


def _faults(number: Column, null: str, not_finite: str) -> list[tuple[Column, str]]:
    # Spark has NaN above all numbers.
    return [(number.isNull(), null), (F.abs(number) > LARGEST, not_finite)]


def _first_reason(reasons: Sequence[tuple[Column, str]]) -> Column:
    (condition, text), *others = reasons
    reason = F.when(condition, text)
    for condition, text in others:
        reason = reason.when(condition, text)
    return reason

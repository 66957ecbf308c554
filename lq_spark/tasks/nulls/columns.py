"""Which values of a table are null, as expressions of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, FloatType

from lq_spark.engine.inputs import column, column_type
from lq_spark.errors import OptionError
from lq_spark.tasks.shared.columns import n_true, require_listed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

IS_ISSUE, SCORE = "is_null_issue", "null_score"


def looked_at(df: DataFrame, id: str | None, columns: Sequence[str] | None) -> list[str]:
    """Return the names of the columns that are looked at: those given, or all but the id.

    Raises
    ------
    ColumnError, OptionError
        If there is no such column, or none is left, or one is named twice.
    """
    if columns is None:
        names = [name for name in df.columns if name != id]
        if not names:
            raise OptionError("columns is not given, and the table has none beside the id")
        return names
    return require_listed(df, "columns", columns)


def is_null(df: DataFrame, name: str) -> Column:
    """Return whether a value is null, or NaN."""
    value = column(name)
    if isinstance(column_type(df, name), (FloatType, DoubleType)):
        return value.isNull() | F.isnan(value)
    return value.isNull()


def with_null_scores(df: DataFrame, names: Sequence[str]) -> DataFrame:
    """Return a table with IS_ISSUE and SCORE. Lazy."""
    there = n_there(df, names)
    score = there.cast("double") / F.lit(float(len(names)))
    return df.select("*", (there == 0).alias(IS_ISSUE), score.alias(SCORE))


def n_there(df: DataFrame, names: Sequence[str]) -> Column:
    """Return how many values of a row are not null."""
    return n_true([~is_null(df, name) for name in names])

"""New columns beside those of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lq_spark.engine.inputs import column
from lq_spark.engine.verbs import BatchFunction, map_rows
from lq_spark.tasks.shared.names import INVALID_REASON

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NEW = "__lq_spark"
"""A struct of new columns, until it is taken apart; no column of a table may have this name."""

REASON_SCHEMA = StructType([StructField(INVALID_REASON, StringType())])


def with_mapped(
    df: DataFrame,
    function: BatchFunction,
    inputs: Sequence[Column],
    schema: StructType,
    *,
    keep: Sequence[str] | None = None,
) -> DataFrame:
    """Return a table with the columns that a batch function makes of each row. Lazy.

    Parameters
    ----------
    df : DataFrame
    function, inputs, schema
        As for :func:`lq_spark.engine.verbs.map_rows`.
    keep : sequence of str, optional
        The columns to keep before them; all of the table where not given.
    """
    kept = df.columns if keep is None else keep
    return df.withColumn(NEW, map_rows(function, inputs, schema)).select(
        *map(column, kept), *(F.col(f"{NEW}.{name}") for name in schema.names)
    )

"""A few rows that the driver knows, as a table: without a Python worker that would make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructType,
)

from lq_spark.engine.versions import arrow_schema_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_PLAIN = (
    *(BooleanType, ShortType, IntegerType, LongType, DoubleType),
    *(DecimalType, StringType, DateType),
)
"""Types whose Python values are the same whichever way they take. Not timestamps: one that was
collected has no time zone, but means one."""


def small_table(
    spark: SparkSession, rows: Sequence[Sequence[Any]], schema: StructType
) -> DataFrame:
    """Return a table of a few rows.

    Classic Spark would hand Python objects to Python workers, to be turned into its own: several
    processes and half a second for a dozen rows. An Arrow table is a part of the plan.
    """
    if spark.version >= "4" and all(_is_plain(field.dataType) for field in schema):
        return spark.createDataFrame(arrow_table(rows, schema), schema)
    return spark.createDataFrame(list(rows), schema)


def arrow_table(rows: Sequence[Sequence[Any]], schema: StructType) -> pa.Table:
    """Return rows as an Arrow table; timestamps must have a time zone."""
    kinds = arrow_schema_of(schema)
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [
        pa.array(map(_arrow_value, column), kind)
        for column, kind in zip(columns, kinds.types, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=kinds)


def _is_plain(kind: DataType) -> bool:
    if isinstance(kind, MapType):
        return _is_plain(kind.keyType) and _is_plain(kind.valueType)
    return type(kind) in _PLAIN


def _arrow_value(value: Any) -> Any:
    return list(value.items()) if isinstance(value, dict) else value

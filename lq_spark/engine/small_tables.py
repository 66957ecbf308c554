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
    TimestampType,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ARROW: dict[type[DataType], pa.DataType] = {
    BooleanType: pa.bool_(),
    ShortType: pa.int16(),
    IntegerType: pa.int32(),
    LongType: pa.int64(),
    DoubleType: pa.float64(),
    StringType: pa.string(),
    DateType: pa.date32(),
    TimestampType: pa.timestamp("us", "UTC"),
}


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
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [
        pa.array(map(_arrow_value, column), _arrow_type(field.dataType))
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(schema))


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return the schema of :func:`arrow_table`."""
    fields = [pa.field(f.name, _arrow_type(f.dataType), f.nullable) for f in schema]
    return pa.schema(fields)


def _arrow_type(kind: DataType) -> pa.DataType:
    if isinstance(kind, DecimalType):
        return pa.decimal128(kind.precision, kind.scale)
    if isinstance(kind, MapType):
        return pa.map_(_arrow_type(kind.keyType), _arrow_type(kind.valueType))
    return _ARROW[type(kind)]


def _is_plain(kind: DataType) -> bool:
    if isinstance(kind, MapType):
        return _is_plain(kind.keyType) and _is_plain(kind.valueType)
    # A timestamp that was collected has no time zone, but means one.
    is_timestamp = isinstance(kind, TimestampType)
    return isinstance(kind, DecimalType) or (type(kind) in _ARROW and not is_timestamp)


def _arrow_value(value: Any) -> Any:
    return list(value.items()) if isinstance(value, dict) else value

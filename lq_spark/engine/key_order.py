"""The order of keys as Python workers compare them: that of the engine for the same plain types.

Instants are compared as whole numbers, and strings by their bytes, whatever their collation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Row
from pyspark.sql import functions as F
from pyspark.sql.types import (
    DataType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.numbers import values_of
from lq_spark.engine.readings import Input
from lq_spark.engine.versions import arrow_type_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def plain_key_type(kind: DataType) -> DataType:
    """Return the type of :func:`plain_keys`."""
    if isinstance(kind, (TimestampType, TimestampNTZType)):
        return LongType()
    if isinstance(kind, StringType):
        return StringType()
    if isinstance(kind, StructType):
        fields = (StructField(field.name, plain_key_type(field.dataType)) for field in kind)
        return StructType(list(fields))
    return kind


def key_input(df: DataFrame, name: str) -> Input:
    """Return the key of a table as a batch function takes it, for :func:`plain_keys`.

    As the engine makes it, instants are whole numbers already: before Spark 4.1 pandas would have
    them in the time of the session.
    """
    kind = column_type(df, name)
    made = _of_engine(column(name), kind) if _has_instants(kind) else None
    return Input(made, name)


def _has_instants(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return any(_has_instants(field.dataType) for field in kind)
    return isinstance(kind, TimestampType)


def _of_engine(key: Column, kind: DataType) -> Column:
    if isinstance(kind, StructType):
        fields = (_of_engine(key.getField(f.name), f.dataType).alias(f.name) for f in kind)
        return F.struct(*fields)
    return F.unix_micros(key) if isinstance(kind, TimestampType) else key


def plain_keys(keys: pa.Array) -> pa.Array:
    """Return keys as values that have one order wherever they are compared.

    >>> plain_keys(pa.array([5], pa.timestamp("us", tz="UTC"))).to_pylist()
    [5]
    """
    if pa.types.is_timestamp(keys.type):
        return keys.cast(pa.timestamp("us", keys.type.tz)).cast(pa.int64())
    if pa.types.is_struct(keys.type):
        fields = [plain_keys(field) for field in keys.flatten()]
        return pa.StructArray.from_arrays(fields, names=[field.name for field in keys.type])
    return keys


def last_keys(found: Mapping[int, Any], n: int, kind: DataType) -> pa.Array:
    """Return an array of ``n`` plain keys of a type, those that were found at their places.

    The others are null.
    """
    values = [_plain_value(found.get(place)) for place in range(n)]
    return pa.array(values, arrow_type_of(plain_key_type(kind)))


def are_up_to(keys: pa.Array, last: pa.Array) -> NDArray[np.bool_]:
    """Return which plain keys come no later than another, each; none where that is null.

    Structs are compared field by field, in their order.

    >>> are_up_to(pa.array(["a", "c"]), pa.array(["b", "b"]))
    array([ True, False])
    """
    below, equal = np.zeros(len(keys), dtype=bool), np.ones(len(keys), dtype=bool)
    is_struct = pa.types.is_struct(keys.type)
    fields = zip(keys.flatten(), last.flatten(), strict=True) if is_struct else [(keys, last)]
    for field, limit in fields:
        values = field.cast(limit.type)
        below |= equal & _are_true(pc.less(values, limit))
        equal &= _are_true(pc.equal(values, limit))
    return below | equal


def _are_true(flags: pa.Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = values_of(flags, False)
    return found


def _plain_value(value: Any) -> Any:
    if isinstance(value, Row):
        return {name: _plain_value(inside) for name, inside in value.asDict().items()}
    return bytes(value) if isinstance(value, bytearray) else value

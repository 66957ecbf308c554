"""Types of columns, as files have them and as an engine hands them to Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lq_spark.engine.versions import arrow_type_of

if TYPE_CHECKING:
    from pyspark.sql.types import DataType


def arrow_type(kind: DataType) -> pa.DataType | None:
    """Return the type that an engine hands to Python for one of its own; None if it has none."""
    if "collate" in kind.simpleString().lower():  # whose values Spark compares in its own way
        return None
    try:
        return plain(arrow_type_of(kind))
    except Exception:  # noqa: BLE001 - each kind of type that is unknown has its own
        return None


def plain(kind: pa.DataType) -> pa.DataType:
    """Return a type without what makes no difference to its values.

    >>> plain(pa.large_list(pa.field("element", pa.dictionary(pa.int32(), pa.large_string()))))
    ListType(list<element: string>)
    """
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", plain(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(plain(kind.key_type), plain(kind.item_type))
    return kind


def has_dates(kind: pa.DataType) -> bool:
    """Return whether a type has dates or times in it."""
    if pa.types.is_nested(kind):
        return any(has_dates(kind.field(place).type) for place in range(kind.num_fields))
    return bool(pa.types.is_temporal(kind))

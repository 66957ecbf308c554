"""What a format can store: types of columns, at any depth, and characters of their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from lq_spark.engine.kinds import is_sail
from lq_spark.errors import OptionError
from lq_spark.tables.spec import TableSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_INTERVALS = {"interval", "daytimeinterval", "yearmonthinterval"}
_REFUSED = {
    ("parquet", "Spark"): {"interval"},
    ("delta", "Spark"): {*_INTERVALS, "time", "nested void"},
    ("iceberg", "Spark"): {*_INTERVALS, "time", "void", "nested void", "variant"},
    ("parquet", "Sail"): {"interval"},
    ("delta", "Sail"): {*_INTERVALS, "time", "void", "nested void"},
    ("iceberg", "Sail"): {*_INTERVALS, "nested void"},
}
"""Types for which a write fails, by format and engine."""

_NOT_IN_DELTA = " ,;{}()\n\t="
"""Characters of names that Delta on Spark allows only in tables that map their columns."""


def require_storable(spark: SparkSession, spec: TableSpec, schema: StructType) -> None:
    """Raise OptionError if a column is of a type that the format cannot store."""
    name = spec.format or "parquet"
    refused = _REFUSED[name, "Sail" if is_sail(spark) else "Spark"]
    for field in schema:
        for _, kind in _parts(field.name, field.dataType):
            name_of_kind = kind.typeName()
            if name_of_kind == "void" and kind is not field.dataType:
                name_of_kind = "nested void"
            if name_of_kind in refused:
                raise OptionError(
                    f"{spec.option}: {name.capitalize()} tables hold no {kind.simpleString()}, and "
                    f"column {field.name!r} is {field.dataType.simpleString()}; cast or drop it"
                )
        if not field.name and name == "iceberg":
            raise OptionError(f"{spec.option}: a column of an Iceberg table must have a name")


def names_to_map(schema: StructType) -> list[str]:
    """Return the columns that Delta on Spark stores only if the table maps its columns."""
    return [
        field.name
        for field in schema
        if any(set(_NOT_IN_DELTA) & set(name) for name, _ in _parts(field.name, field.dataType))
    ]


def _parts(name: str, kind: DataType) -> Iterator[tuple[str, DataType]]:
    """Yield the name and the type of a column, and of the fields and elements in it."""
    yield name, kind
    if isinstance(kind, StructType):
        for field in kind:
            yield from _parts(field.name, field.dataType)
    elif isinstance(kind, ArrayType):
        yield from _parts("", kind.elementType)
    elif isinstance(kind, MapType):
        yield from _parts("", kind.keyType)
        yield from _parts("", kind.valueType)

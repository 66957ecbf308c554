"""Whether rows match an existing table."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from lq_spark.errors import OptionError, listed
from lq_spark.tables.spec import TableSpec

if TYPE_CHECKING:
    from pyspark.sql.types import StructField, StructType


def require_same_columns(
    spec: TableSpec, there: StructType, new: StructType, *, but_of: Collection[str] = ()
) -> None:
    """Raise OptionError unless two schemas have the same columns of the same types, in any order.

    The types of the columns in ``but_of`` are not compared.
    """
    if faults := _differences(spec, there, new, but_of):
        raise OptionError(
            f"{spec.option}: the columns of {spec.name!r} are not those of the rows to be added "
            f"({'; '.join(faults)}); write to another table, or overwrite it"
        )


def accepts(spec: TableSpec, there: StructType, new: StructType) -> bool:
    """Return whether a table accepts rows of another schema unchanged, in any order of columns."""
    return not _differences(spec, there, new, ()) and all(
        field.nullable or not new[field.name].nullable for field in there
    )


def _differences(
    spec: TableSpec, there: StructType, new: StructType, but_of: Collection[str]
) -> list[str]:
    """Return how the columns of a table differ from those of rows."""
    before, after = (
        {field.name: _kind(spec, field) for field in schema} for schema in (there, new)
    )
    faults = []
    if missing := [name for name in after if name not in before]:
        faults.append(f"it has no {listed(missing)}")
    if more := [name for name in before if name not in after]:
        faults.append(f"it has also {listed(more)}")
    faults += [
        f"its {name!r} is {before[name]}, not {after[name]}"
        for name in after
        if name in before and name not in but_of and before[name] != after[name]
    ]
    return faults


def _kind(spec: TableSpec, field: StructField) -> str:
    """Return the type of a column as the format of the table has it: Iceberg has no small ints."""
    kind = field.dataType.simpleString()
    return re.sub("tinyint|smallint", "int", kind) if spec.format == "iceberg" else kind

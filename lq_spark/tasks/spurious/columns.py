"""The properties of the rows of a table: columns of finite numbers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

from lq_spark.core.spurious.moments import Scale
from lq_spark.engine.inputs import column, require_number_column
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.shared.columns import require_listed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NO_PROPERTY: Final = "null property"
NOT_FINITE: Final = "property not finite"


def checked_properties(df: DataFrame, properties: Sequence[str]) -> list[str]:
    """Return the names of the columns; raise ColumnError or OptionError if they are wrong."""
    names = require_listed(df, "properties", properties)
    for name in names:
        require_number_column(df, "properties", name)
    return names


def property_of(name: str) -> Column:
    """Return a property as a double."""
    return column(name).cast("double")


def property_reason(names: Sequence[str]) -> Column:
    """Return why properties of a row cannot be used, null if they can."""
    nulls = [column(name).isNull() for name in names]
    # Spark has NaN above all numbers.
    beyond = [F.abs(property_of(name)) > F.lit(sys.float_info.max) for name in names]
    return F.when(_any(nulls), NO_PROPERTY).when(_any(beyond), NOT_FINITE)


def _any(flags: Sequence[Column]) -> Column:
    # Of an array: many terms are too deep an expression for a client to send.
    return F.exists(F.array(*flags), lambda flag: flag)


def scales_of(df: DataFrame, names: Sequence[str]) -> list[Scale]:
    """Return between which values each property lies, of a table with a row, in one pass.

    Raises
    ------
    InvalidRowsError
        If a property is null, NaN or infinite.
    """
    reason = property_reason(names)
    faults = [F.count_if(reason == text) for text in (NO_PROPERTY, NOT_FINITE)]
    ends = [made(property_of(name)) for name in names for made in (F.min, F.max)]
    [(n_rows, n_null, n_beyond, *found)] = df.agg(F.count(F.lit(1)), *faults, *ends).collect()
    if n_null or n_beyond:
        counts = ((n_null, NO_PROPERTY), (n_beyond, NOT_FINITE))
        texts = [f"{n} with {text}" for n, text in counts if n]
        raise InvalidRowsError(
            f"{n_null + n_beyond} of {n_rows} rows cannot be scored, {' and '.join(texts)}; "
            "spurious.validate says which"
        )
    return [Scale(low, high) for low, high in zip(found[::2], found[1::2], strict=True)]

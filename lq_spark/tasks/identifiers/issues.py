"""Columns of a table that number its rows: found by the engine alone, without Python.

A first pass finds the lowest and the highest value of each column, which says of most that they are
none: they have more room than rows. The values of the others are marked in bits, one each, in a
second pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    IntegralType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from lq_spark.core.identifiers.columns import Extent, is_identifier
from lq_spark.core.shared.display import N_SHOWN, Displayed, SmallTable
from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.small_tables import small_table
from lq_spark.errors import ColumnError
from lq_spark.tasks.shared.columns import require_listed
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SCHEMA = StructType(
    [
        StructField("column", StringType()),
        StructField("is_identifier", BooleanType()),
        *(StructField(name, LongType()) for name in ("low", "high", "n_distinct")),
    ]
)


@dataclass(frozen=True, slots=True, repr=False)
class IdentifierHealth(Displayed):
    """Which columns of a table number its rows.

    Attributes
    ----------
    n_rows : int
    columns : tuple of str
        Those that were looked at.
    identifiers : tuple of str
        Those of them that number the rows.
    """

    n_rows: int
    columns: tuple[str, ...]
    identifiers: tuple[str, ...]

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "columns": len(self.columns),
            "identifiers": len(self.identifiers),
        }

    def _tables(self) -> list[SmallTable]:
        return [SmallTable("identifiers", {"column": self.identifiers[:N_SHOWN]})]


def find_issues(df: DataFrame, *, columns: Sequence[str] | None = None) -> DataFrame:
    """Return which columns number the rows: a small table, a row each column looked at.

    Its columns are ``column``, ``is_identifier``, ``low``, ``high`` and ``n_distinct``. A column is
    an identifier if its different values are consecutive and more than one, as cleanlab's Datalab
    has it: also one of a few codes, 0 to 9 say. ``n_distinct`` is exact; it is null where there is
    more room between ``low`` and ``high`` than there are values, which therefore are not counted.
    Two passes over the table at most, now.

    Parameters
    ----------
    df : DataFrame
    columns : sequence of str, optional
        Columns of whole numbers; by default all of the table that are of tinyint, smallint, int or
        bigint. Nulls in them are left out.

    Raises
    ------
    ColumnError, OptionError
        If a column is missing or of another type: before a Spark job starts.
    """
    refuse_stream(df, "identifiers.find_issues")
    names = _whole_numbers(df, columns)
    _, extents = _extents(df, names)
    rows = _rows(df, names, extents)
    return small_table(df.sparkSession, rows, _SCHEMA)


def summarize(df: DataFrame, *, columns: Sequence[str] | None = None) -> IdentifierHealth:
    """Return the names of the columns that number the rows.

    Parameters
    ----------
    df, columns
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError
        As :func:`find_issues`.
    """
    refuse_stream(df, "identifiers.summarize")
    names = _whole_numbers(df, columns)
    n_rows, extents = _extents(df, names)
    found = [name for name, is_one, *_ in _rows(df, names, extents) if is_one]
    return IdentifierHealth(n_rows, tuple(names), tuple(found))


def _whole_numbers(df: DataFrame, columns: Sequence[str] | None) -> list[str]:
    """Return the columns that are looked at; raise ColumnError or OptionError if they are wrong."""
    if columns is None:
        names = [field.name for field in df.schema if isinstance(field.dataType, IntegralType)]
        for name in names:
            require_columns(df, columns=name)
        return names
    names = require_listed(df, "columns", columns)
    for name in names:
        kind = column_type(df, name)
        if not isinstance(kind, IntegralType):
            raise ColumnError(
                f"columns: column {name!r} is {kind.simpleString()}; allowed are "
                "tinyint, smallint, int and bigint"
            )
    return names


def _extents(df: DataFrame, names: Sequence[str]) -> tuple[int, dict[str, Extent]]:
    """Return how many rows there are, and between which values each column with one lies."""
    ends = [made(column(name)) for name in names for made in (F.count, F.min, F.max)]
    [(n_rows, *found)] = df.agg(F.count(F.lit(1)), *ends).collect()
    each = zip(names, found[::3], found[1::3], found[2::3], strict=True)
    return n_rows, {name: Extent(n, low, high) for name, n, low, high in each if n}


def _rows(
    df: DataFrame, names: Sequence[str], extents: Mapping[str, Extent]
) -> list[tuple[str, bool, int | None, int | None, int | None]]:
    """Return the rows of :func:`find_issues`."""
    candidates = [name for name in extents if extents[name].may_be_identifier]
    counted = _counts(df, candidates) if candidates else {}
    rows: list[tuple[str, bool, int | None, int | None, int | None]] = []
    for name in names:
        if (extent := extents.get(name)) is None:
            rows.append((name, False, None, None, 0))
            continue
        n_distinct = counted.get(name, 1 if extent.room == 1 else None)
        is_one = n_distinct is not None and is_identifier(extent, n_distinct)
        rows.append((name, is_one, extent.low, extent.high, n_distinct))
    return rows


def _counts(df: DataFrame, names: Sequence[str]) -> dict[str, int]:
    """Return how many different values columns have, which have no more room than rows."""
    values = F.array(
        *(
            F.struct(F.lit(place).alias("place"), column(name).cast("bigint").alias("number"))
            for place, name in enumerate(names)
        )
    )
    numbers = df.select(F.explode(values).alias("value")).select("value.place", "value.number")
    number = F.col("number")
    # 64 values a group, as the bits of a number: Spark sums those up by hashes, its bitmaps by
    # sorting all rows.
    bit = F.call_function(
        "shiftleft", F.lit(1).cast("bigint"), number.bitwiseAND(F.lit(63)).cast("int")
    )
    bits = (
        numbers.where(number.isNotNull())
        .groupBy("place", F.shiftright(number, 6).alias("group"))
        .agg(F.bit_or(bit).alias("bits"))
    )
    counts = bits.groupBy("place").agg(F.sum(F.bit_count("bits").cast("bigint")).alias("n"))
    return {names[row["place"]]: row["n"] for row in counts.collect()}

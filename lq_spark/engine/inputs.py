"""Checks of a table's columns on the driver, before a Spark job starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql.types import (
    AtomicType,
    DataType,
    DoubleType,
    FloatType,
    IntegralType,
    NumericType,
    StringType,
)

from lq_spark.engine.kinds import is_sail
from lq_spark.engine.pipelines import is_refused
from lq_spark.errors import ColumnError, closest, listed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


_NO_KEYS = ("variant", "geometry", "geography")
"""Atomic types that cannot be grouped by, or compared with values read back from a file."""


def column(name: str) -> Column:
    """Return a top-level column by its name, which may hold dots."""
    return F.col("`" + name.replace("`", "``") + "`")


def require_columns(df: DataFrame, **names: str) -> None:
    """Raise ColumnError unless the table has each column, and it is the only one of its name.

    ``option=name``: the option that named the column, for the message.
    """
    there = _names(df)
    for option, name in names.items():
        if name not in there:
            raise ColumnError(
                f"{option}: no column {name!r} in the table; "
                f"it has {listed(there)}{closest(name, there)}"
            )
        if same := _namesakes(df, name):
            raise ColumnError(
                f"{option}: column {name!r} is ambiguous, the table has {listed(same)}; "
                "rename or drop all but one"
            )


def require_new_columns(df: DataFrame, names: Iterable[str]) -> None:
    """Raise ColumnError unless columns can be added to the table as it is.

    It must have none of them yet, and its own names must be unique: all columns are returned.
    """
    if same := _namesakes(df):
        raise ColumnError(
            f"the table, all of which is returned, has columns of the same name: {listed(same)}; "
            "rename or drop them but one, or select those that are needed"
        )
    columns = {name.lower() for name in _names(df)}  # Spark ignores the case of names
    there = [name for name in names if name.lower() in columns]
    if there:
        raise ColumnError(
            f"the table already has {listed(there)}, which would be added; rename or drop it first"
        )


def columns_alone(df: DataFrame, names: Iterable[str]) -> DataFrame:
    """Return a table with these columns alone: the others may have any names.

    If a column is missing or ambiguous, the table is returned unchanged: the check of the option
    that named the column raises, with the reason.
    """
    named = list(dict.fromkeys(names))
    there = _names(df)
    if any(name not in there or _namesakes(df, name) for name in named):
        return df
    return df.select(*map(column, named))


def _names(df: DataFrame) -> list[str]:
    """Return the names of the columns; raise ColumnError where Spark may not be asked for them."""
    try:
        return df.columns
    except PySparkException as error:
        if not is_refused(error):
            raise
        raise ColumnError(
            "a query function of a pipeline cannot ask which columns a table has: say it by "
            "lq_spark.declared(df, schema), of a schema that is made outside the function"
        ) from error


def _namesakes(df: DataFrame, name: str | None = None) -> list[str]:
    """Return the columns whose names are ambiguous: all of them, or those of this name."""
    names = _names(df)
    compared: Callable[[str], str] = str.lower
    if len(set(map(compared, names))) == len(names):
        return []
    spark = df.sparkSession
    if not is_sail(spark) and spark.conf.get("spark.sql.caseSensitive", "false") == "true":
        compared = str
    counts = Counter(map(compared, names))
    ambiguous = [other for other in names if counts[compared(other)] > 1]
    return [other for other in ambiguous if name is None or compared(other) == compared(name)]


def column_type(df: DataFrame, name: str) -> DataType:
    """Return the type of a column that is there."""
    return df.schema[name].dataType


def require_integer_or_string(df: DataFrame, option: str, name: str) -> DataType:
    """Return the type of a column of whole numbers or strings; raise ColumnError if not."""
    require_columns(df, **{option: name})
    kind = column_type(df, name)
    if not isinstance(kind, (IntegralType, StringType)):
        raise ColumnError(
            f"{option}: column {name!r} is {kind.simpleString()}; allowed are "
            "tinyint, smallint, int, bigint and string"
        )
    return kind


def require_key(df: DataFrame, option: str, name: str) -> DataType:
    """Return the type of a column that can identify rows; raise ColumnError for another type."""
    require_columns(df, **{option: name})
    kind = column_type(df, name)
    fit = isinstance(kind, AtomicType) and not isinstance(kind, (FloatType, DoubleType))
    if not fit or kind.typeName() in _NO_KEYS or "interval" in kind.simpleString():
        raise ColumnError(
            f"{option}: column {name!r} is {kind.simpleString()}; allowed are "
            "whole numbers, strings, dates and timestamps"
        )
    return kind


def require_number_column(df: DataFrame, option: str, name: str) -> DataType:
    """Return the type of a column of numbers; raise ColumnError if it is none."""
    require_columns(df, **{option: name})
    kind = column_type(df, name)
    if not isinstance(kind, NumericType):
        raise ColumnError(
            f"{option}: column {name!r} is {kind.simpleString()}; allowed are "
            "whole numbers, float, double and decimal"
        )
    return kind


def are_joined(kind: DataType, other: DataType) -> bool:
    """Return whether keys of two types are compared alike by all engines.

    They differ in which whole numbers and strings they compare as equal.
    """
    both_whole = isinstance(kind, IntegralType) and isinstance(other, IntegralType)
    return kind == other or both_whole


def require_joined_key(option: str, name: str, **tables: DataFrame) -> None:
    """Raise ColumnError unless a column is a key of the same kind in all tables that it joins."""
    kinds = {table: require_key(df, option, name) for table, df in tables.items()}
    (first, kind), *others = kinds.items()
    for table, other in others:
        if not are_joined(kind, other):
            raise ColumnError(
                f"{option}: column {name!r} is {kind.simpleString()} in the {first} and "
                f"{other.simpleString()} in the {table}; cast one of them"
            )


def field_of_elements(spark: SparkSession, array: Column, field: str) -> Column:
    """Return an array of one field of the structs of an array; null where a struct is null."""
    if not is_sail(spark):
        return array.getField(field)
    # Sail reads the name as an index into the array, and the fields of a null struct as zeros.
    return F.transform(array, lambda item: F.when(item.isNotNull(), item.getField(field)))

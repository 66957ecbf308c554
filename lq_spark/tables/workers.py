"""Whether Python workers can read a table's Parquet files themselves: decided before any pass."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from lq_spark.engine.parquet_files import FileOfRows, parquet_rows
from lq_spark.engine.readings import with_files
from lq_spark.errors import OptionError
from lq_spark.tables.data_files import data_files
from lq_spark.tables.formats import Source, read_table
from lq_spark.tables.spec import TableSpec, one_line

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def read_by_workers(
    spec: TableSpec, source: Source, columns: Collection[str] | None = None
) -> str | None:
    """Have the workers read columns of an opened table, all that they can where none are named.

    Return why they cannot, or None.
    The table's ``df`` has the reading of its files afterwards, see :mod:`lq_spark.engine.readings`.
    """
    df = source.df
    found = data_files(df.sparkSession, spec, source)
    if isinstance(found, str):
        return found
    files = [FileOfRows(file.uri, file.partition) for file in found.files]
    try:
        rows = parquet_rows(df.sparkSession, files, df.schema, found.field_ids)
    except (OSError, pa.ArrowException) as error:
        return f"a file cannot be opened from here ({one_line(error)})"
    if columns is not None:
        if unreadable := [rows.unreadable[name] for name in columns if name in rows.unreadable]:
            return unreadable[0]
        rows = replace(rows, types={name: rows.types[name] for name in columns})
    with_files(df, rows)
    return None


def files(
    spark: SparkSession,
    table: str,
    *,
    format: str | None = None,
    version: int | None = None,
    timestamp: str | None = None,
) -> DataFrame:
    """Return a table whose Parquet files the Python workers read themselves.

    It can be given to every function that takes a table, with the same results. Where a function
    hands a wide column such as the predicted probabilities to Python and nothing else is done with
    it, the column does not pass through the JVM. A DataFrame that is made from this one, as by
    ``where``, is read by the engine again.

    Parameters
    ----------
    spark : SparkSession
    table : str
        A path (with a slash) or a catalog name.
    format : {"parquet", "delta", "iceberg"}, optional
        By default what the folder or the catalog says.
    version : int, optional
        Delta version or Iceberg snapshot; by default the newest.
    timestamp : str, optional
        Read what was the newest at this time.

    Raises
    ------
    OptionError
        If there is no such table or version, or the workers cannot read its files.
    """
    spec = TableSpec(table, "table", format, version=version, timestamp=timestamp)
    source = read_table(spark, spec)
    why_not = read_by_workers(spec, source)
    if why_not:
        raise OptionError(f"table: {table!r} is read by the engine alone: {why_not}")
    return source.df

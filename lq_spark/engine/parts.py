"""Rows written to a Parquet folder by the workers that make them: a file a split."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pyspark.sql.pandas.types import to_arrow_schema

from lq_spark.engine.files import files_of
from lq_spark.engine.parquet_files import FileOfRows, parquet_rows
from lq_spark.engine.readings import Reading, with_files
from lq_spark.engine.verbs import map_splits

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

ROW_METADATA = b"org.apache.spark.sql.parquet.row.metadata"
"""Under which Spark looks in a file for the schema of its rows."""

_MAX_GROUP_ROWS = 1 << 20
_MAX_GROUP_BYTES = 64 << 20
"""A row group is held in memory until it is whole."""


def write_parts(df: DataFrame, reading: Reading, uri: str, schema: StructType) -> DataFrame:
    """Write the rows that workers make to a new folder; return them as read from there.

    Parameters
    ----------
    df : DataFrame
        The rows, with the comments of their columns.
    reading : Reading
        How workers make them.
    uri : str
    schema : StructType
        With which they are read.
    """
    spark = df.sparkSession
    files, folder = files_of(uri)
    files.create_dir(folder)
    write = _writer_of_parts(uri, arrow_schema(df.schema))
    written = map_splits(spark, reading, write, "path string").collect()  # a row a split
    wanted = {row["path"] for row in written}
    # An attempt of a task that was killed, or overtaken by another one, may leave a file too.
    for file in files.get_file_info(fs.FileSelector(folder)):
        if file.base_name not in wanted:
            files.delete_file(file.path)
    if not wanted:
        wanted = {_name(0)}
        with pq.ParquetWriter(f"{folder}/{min(wanted)}", arrow_schema(df.schema), filesystem=files):
            pass  # a table without rows has a schema too
    parts = [FileOfRows(f"{uri}/{name}") for name in sorted(wanted)]
    return with_files(spark.read.schema(schema).parquet(uri), parquet_rows(spark, parts, schema))


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return the schema of a file that Spark reads as it would its own, with its comments."""
    fields = [field.with_nullable(True) for field in to_arrow_schema(schema)]
    return pa.schema(fields, {ROW_METADATA: schema.json()})


def _name(split: int) -> str:
    return f"part-{split:05}-{uuid.uuid4().hex}.snappy.parquet"


def _writer_of_parts(
    uri: str, schema: pa.Schema
) -> Callable[[int, Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    # A dictionary of values that hardly occur twice costs more than all else.
    repeated = [field.name for field in schema if not _is_varied(field.type)]

    def write(split: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        first = next(batches, None)
        if first is None:
            return
        name = _name(split)
        files, folder = files_of(uri)
        width = max(first.nbytes / max(first.num_rows, 1), 1.0)
        group = max(1, min(_MAX_GROUP_ROWS, int(_MAX_GROUP_BYTES / width)))
        with pq.ParquetWriter(
            f"{folder}/{name}", schema, filesystem=files, use_dictionary=repeated
        ) as writer:
            writer.write_batch(_conformed(first, schema), group)
            for batch in batches:
                writer.write_batch(_conformed(batch, schema), group)
        yield pa.RecordBatch.from_pydict({"path": [name]})

    return write


def _is_varied(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_is_varied(kind.field(place).type) for place in range(kind.num_fields))
    is_varied = (pa.types.is_floating, pa.types.is_int64, pa.types.is_timestamp)
    return any(is_of(kind) for is_of in is_varied)


def _conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column if column.type == kind else column.cast(kind)
        for column, kind in zip(batch.columns, schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)

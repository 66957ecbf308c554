"""Rows written to a Parquet folder by the workers that make them: a file a split."""

from __future__ import annotations

import itertools
import pickle
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lq_spark.engine.arrow import conformed
from lq_spark.engine.files import files_of
from lq_spark.engine.numbers import bytes_of
from lq_spark.engine.parquet_files import FileOfRows, parquet_rows
from lq_spark.engine.readings import Reading, with_files
from lq_spark.engine.reductions import (
    Reduced,
    Reductions,
    States,
    merged_states,
    merging,
    partial_by_workers,
    reduce_all,
)
from lq_spark.engine.verbs import map_splits
from lq_spark.engine.versions import arrow_schema_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

ROW_METADATA = b"org.apache.spark.sql.parquet.row.metadata"
"""Under which Spark looks in a file for the schema of its rows."""

_MAX_GROUP_ROWS = 1 << 20
_MAX_GROUP_BYTES = 64 << 20
"""A row group is held in memory until it is whole."""


def write_parts(
    df: DataFrame,
    reading: Reading,
    uri: str,
    schema: StructType,
    reductions: Reductions,
) -> Reduced:
    """Write the rows that workers make to a new folder, and reduce them as they are made.

    Parameters
    ----------
    df : DataFrame
        The rows, with the comments of their columns.
    reading : Reading
        How workers make them.
    uri : str
    schema : StructType
        With which they are read.
    reductions : mapping of str to Reduction
        Of the rows that are written, whose columns they take.
    """
    partial = partial_by_workers(reductions)
    if partial is None:
        rows, _ = write_parts(df, reading, uri, schema, {})
        return Reduced(rows, reduce_all(rows, reductions))
    spark = df.sparkSession
    files, folder = files_of(uri)
    files.delete_dir_contents(folder, missing_dir_ok=True)  # what an attempt that failed has left
    # An attempt of a task that was killed, or overtaken by another one, may leave a file, or still
    # be writing it: only what the others wrote is moved to where the table is.
    attempts = f"{folder}/.attempts"
    files.create_dir(attempts)
    write = _writer_of_parts(f"{uri}/.attempts", arrow_schema(df.schema), reductions, partial)
    written = map_splits(spark, reading, write, "name string, states binary").collect()  # by split
    names = sorted(row["name"] for row in written)
    for name in names:
        files.move(f"{attempts}/{name}", f"{folder}/{name}")
    files.delete_dir(attempts)
    if not names:
        names = [_name(0)]
        with pq.ParquetWriter(f"{folder}/{names[0]}", arrow_schema(df.schema), filesystem=files):
            pass  # a table without rows has a schema too
    parts = [FileOfRows(f"{uri}/{name}") for name in names]
    rows = with_files(spark.read.schema(schema).parquet(uri), parquet_rows(spark, parts, schema))
    return Reduced(rows, merged_states((row["states"] for row in written), reductions))


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return the schema of a file that Spark reads as it would its own, with its comments."""
    fields = [field.with_nullable(True) for field in arrow_schema_of(schema)]
    return pa.schema(fields, {ROW_METADATA: schema.json()})


def _name(split: int) -> str:
    return f"part-{split:05}-{uuid.uuid4().hex}.snappy.parquet"


def _writer_of_parts(
    uri: str,
    schema: pa.Schema,
    reductions: Reductions,
    partial: Callable[[pa.RecordBatch], States],
) -> Callable[[int, Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    # A dictionary of values that hardly occur twice costs more than all else.
    repeated = [field.name for field in schema if not _is_varied(field.type)]
    merge = merging(reductions)
    sources = {made.source for each in reductions.values() for made in each.inputs.values()}
    needed = [field.name for field in schema if field.name in sources]

    def write(split: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        groups = _grouped(conformed(batch, schema) for batch in batches)
        first = next(groups, None)
        if first is None:
            return
        name = _name(split)
        files, folder = files_of(uri)
        states: States | None = None
        with pq.ParquetWriter(
            f"{folder}/{name}", schema, filesystem=files, use_dictionary=repeated
        ) as writer:
            for group in itertools.chain([first], groups):
                rows = pa.Table.from_batches(group)
                writer.write_table(rows, _MAX_GROUP_ROWS)
                if needed:
                    [whole] = rows.select(needed).combine_chunks().to_batches()
                    states = partial(whole) if states is None else merge(states, partial(whole))
        written = [bytes_of([name.encode()]).cast(pa.string()), bytes_of([pickle.dumps(states)])]
        yield pa.RecordBatch.from_arrays(written, names=["name", "states"])

    return write


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Yield batches that make a row group together."""
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        n_rows, n_bytes = sum(b.num_rows for b in group), sum(b.nbytes for b in group)
        if n_rows >= _MAX_GROUP_ROWS or n_bytes >= _MAX_GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


def _is_varied(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_is_varied(kind.field(place).type) for place in range(kind.num_fields))
    is_varied = (pa.types.is_floating, pa.types.is_int64, pa.types.is_timestamp)
    return any(is_of(kind) for is_of in is_varied)

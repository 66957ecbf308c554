"""Parquet files as Python workers read them themselves: their wide columns never enter the JVM.

A table is a set of files, cut into splits: runs of row groups, one split a task. Each task opens
its files, and reads only the columns that it needs, in batches of bounded bytes.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lq_spark.engine.arrow import conformed
from lq_spark.engine.file_systems import FileAccess, accesses_of, place_of
from lq_spark.engine.file_types import arrow_type, has_dates, plain
from lq_spark.engine.kinds import is_sail
from lq_spark.errors import TableError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

BATCH_BYTES = 4 << 20
"""About how many bytes a batch has: little enough to stay in a processor's cache for a while."""

MAX_BATCH_ROWS = 1 << 16

_READ_BYTES = 1 << 20
"""How much of a column of a row group is read at once: not all, however large it is."""

_RUN_BYTES = 16 << 20
"""So many bytes of row groups, or one of them, are read by one reader."""

_SPLIT_BYTES = 64 << 20
"""About how many bytes of its files a task of Spark reads, as they are stored."""

_MAX_SPLITS = 1024
"""Each split gives the driver a state: more bytes make larger splits, not more."""

_CANNOT_READ = "a Python worker cannot read"

_INSTANT = pa.timestamp("us", tz="UTC")
"""What Spark's timestamps are; those of 96 bits do not say so in the file."""

_N_FOOTERS = 16
"""So many files are opened at the same time to read what is in them."""


@dataclass(frozen=True, slots=True)
class FileOfRows:
    """A Parquet file of a table.

    Attributes
    ----------
    uri : str
    partition : mapping of str to str or None
        The values, as text, of the columns that are in the file's path or the table's log alone.
    """

    uri: str
    partition: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Row groups of a file, from ``first`` up to ``stop``."""

    file: FileOfRows
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """The rows of Parquet files.

    Attributes
    ----------
    splits : tuple of tuple of RowGroups
        What each task reads.
    accesses : mapping of str to FileAccess
        To the place of each file, by :func:`place_of` its URI.
    n_rows : int
    types : mapping of str to pyarrow DataType
        The columns that can be read, as they are handed out.
    unreadable : mapping of str to str
        Why the other columns cannot be.
    row_bytes : mapping of str to float
        About how many bytes a row of a column has in memory.
    n_nulls : mapping of str to int
        Nulls in a column, where the files say it.
    """

    splits: tuple[tuple[RowGroups, ...], ...]
    accesses: Mapping[str, FileAccess]
    n_rows: int
    types: Mapping[str, pa.DataType]
    unreadable: Mapping[str, str]
    row_bytes: Mapping[str, float]
    n_nulls: Mapping[str, int]

    def batches(self, split: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a split, of these columns, in the order of the files.

        Raises TableError if a file cannot be read, or has changed.
        """
        width = sum(self.row_bytes.get(name, 1.0) for name in columns)
        n_rows = max(1, min(MAX_BATCH_ROWS, int(BATCH_BYTES / max(width, 1.0))))
        schema = pa.schema([(name, self.types[name]) for name in columns])
        for groups in self.splits[split]:
            try:
                yield from _batches(self.accesses, groups, schema, n_rows)
            except Exception as error:  # of pyarrow, or of a file system that this worker lacks
                raise TableError(
                    f"{_CANNOT_READ} {groups.file.uri!r} ({error}); did the table change meanwhile?"
                ) from error


def parquet_rows(
    spark: SparkSession,
    files: Sequence[FileOfRows],
    schema: StructType,
    field_ids: Mapping[str, int] | None = None,
) -> ParquetRows:
    """Return the rows of Parquet files, whose footers are read now, on the driver.

    Parameters
    ----------
    spark : SparkSession
    files : sequence of FileOfRows
    schema : StructType
        The columns as the session reads them: a column is readable if each file has it, of the same
        type.
    field_ids : mapping of str to int, optional
        The id that a column must have in each file, where columns are known by ids.

    Raises
    ------
    OSError
        If a file cannot be opened, or is no Parquet file that can be read.
    """
    access_to = accesses_of(spark)
    accesses = {place_of(file.uri): access_to(file.uri) for file in files}
    read = functools.partial(_footer, accesses, rebases=_rebases(spark))
    with ThreadPoolExecutor(_N_FOOTERS) as pool:
        footers = list(pool.map(read, files))
    types: dict[str, pa.DataType] = {}
    unreadable: dict[str, str] = {}
    for column in schema:
        kind = arrow_type(column.dataType)
        field_id = None if field_ids is None else field_ids.get(column.name)
        why = _why_unreadable(column.name, kind, field_id, files, footers)
        if kind is None or why:
            unreadable[column.name] = why
        else:
            types[column.name] = kind
    n_rows = sum(footer.n_rows for footer in footers)
    sizes: dict[str, int] = {}
    for footer in footers:
        for name, size in footer.column_bytes.items():
            sizes[name] = sizes.get(name, 0) + size
    row_bytes = {name: size / max(n_rows, 1) for name, size in sizes.items()}
    n_nulls = {
        name: sum(footer.n_nulls[name] for footer in footers)
        for name in types
        if all(name in footer.n_nulls for footer in footers)
    }
    splits = _splits(spark, files, footers)
    return ParquetRows(splits, accesses, n_rows, types, unreadable, row_bytes, n_nulls)


def failed_reading(error: BaseException) -> str | None:
    """Return what workers could not read, if this is why a query failed; else None."""
    found = re.search(rf"{_CANNOT_READ} [^\n]*", str(error))
    return None if found is None else found[0]


@dataclass(frozen=True, slots=True)
class _Footer:
    """What a file says of itself.

    Attributes
    ----------
    types : dict of str to pyarrow DataType
        Of its columns; without those that occur twice, or whose dates are of the old calendar.
    field_ids : dict of str to int
        Of those that have one.
    n_rows : int
    stored : list of int
        Bytes of each row group, as it is stored.
    column_bytes : dict of str to int
        Of each column in memory.
    n_nulls : dict of str to int
        In each column of which it is said.
    """

    types: dict[str, pa.DataType]
    field_ids: dict[str, int]
    n_rows: int
    stored: list[int]
    column_bytes: dict[str, int]
    n_nulls: dict[str, int]


def _rebases(spark: SparkSession) -> bool:
    """Return whether Spark takes dates for those of the old calendar where a file does not say."""
    if is_sail(spark):
        return False
    modes = (f"spark.sql.parquet.{kind}RebaseModeInRead" for kind in ("datetime", "int96"))
    return any(spark.conf.get(mode, "CORRECTED") == "LEGACY" for mode in modes)


def _has_old_dates(written_by: Mapping[bytes, bytes], rebases: bool) -> bool:
    """Return whether a file's dates may be of the calendar before Spark 3.1, by its metadata."""
    if (
        b"org.apache.spark.legacyDateTime" in written_by
        or b"org.apache.spark.legacyINT96" in written_by
    ):
        return True
    version = written_by.get(b"org.apache.spark.version", b"").decode()
    if not version:
        return rebases
    return tuple(map(int, re.findall(r"\d+", version)[:2])) < (3, 1)


def _footer(
    accesses: Mapping[str, FileAccess], file_of_rows: FileOfRows, *, rebases: bool
) -> _Footer:
    with _opened(accesses, file_of_rows) as file:
        metadata, schema = file.metadata, file.schema_arrow
    types: dict[str, list[pa.DataType]] = {}
    for column in schema:
        types.setdefault(column.name, []).append(column.type)
    leaves = [metadata.schema.column(place) for place in range(metadata.num_columns)]
    for leaf in leaves:
        if leaf.physical_type == "INT96" and leaf.path in types:  # not in a struct or list
            types[leaf.path] = [_INSTANT]
    if _has_old_dates(metadata.metadata or {}, rebases):
        for name, kinds in types.items():
            types[name] = [kind for kind in kinds if not has_dates(kind)]
    stored, column_bytes = [], dict.fromkeys(types, 0)
    n_nulls = dict.fromkeys(types, 0)
    for place in range(metadata.num_row_groups):
        group = metadata.row_group(place)
        chunks = [group.column(leaf) for leaf in range(group.num_columns)]
        stored.append(sum(chunk.total_compressed_size for chunk in chunks))
        for chunk in chunks:
            name = chunk.path_in_schema.partition(".")[0]
            if name in column_bytes:  # not one with a dot in its name, which is not read here
                column_bytes[name] += chunk.total_uncompressed_size
            found = chunk.statistics
            if name != chunk.path_in_schema or found is None or not found.has_null_count:
                n_nulls.pop(name, None)
            elif name in n_nulls:
                n_nulls[name] += found.null_count
    known = {name: kinds[0] for name, kinds in types.items() if len(kinds) == 1}
    field_ids = {
        column.name: int(column.metadata[b"PARQUET:field_id"])
        for column in schema
        if b"PARQUET:field_id" in (column.metadata or {})
    }
    return _Footer(known, field_ids, metadata.num_rows, stored, column_bytes, n_nulls)


def _opened(accesses: Mapping[str, FileAccess], file: FileOfRows) -> pq.ParquetFile:
    files, path = accesses[place_of(file.uri)].open(file.uri)
    return pq.ParquetFile(
        path,
        filesystem=files,
        # Not mapped into memory: a file cut short meanwhile would end the process.
        memory_map=False,
        buffer_size=_READ_BYTES,
        coerce_int96_timestamp_unit="us",
    )


def _batches(
    accesses: Mapping[str, FileAccess], groups: RowGroups, schema: pa.Schema, n_rows: int
) -> Iterator[pa.RecordBatch]:
    partition = groups.file.partition
    stored = [name for name in schema.names if name not in partition]
    with _opened(accesses, groups.file) as file:
        for batch in _stored_batches(file, groups, stored, n_rows):
            columns = [
                _constant(partition[column.name], column.type, batch.num_rows)
                if column.name in partition
                else batch.column(column.name)
                for column in schema
            ]
            yield conformed(pa.RecordBatch.from_arrays(columns, names=schema.names), schema)


def _stored_batches(
    file: pq.ParquetFile, groups: RowGroups, columns: Sequence[str], n_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of row groups, a few at a time: the reader keeps all that it is asked for."""
    first, n_bytes = groups.first, 0
    for group in range(groups.first, groups.stop):
        n_bytes += file.metadata.row_group(group).total_byte_size
        if n_bytes >= _RUN_BYTES or group + 1 == groups.stop:
            run = range(first, group + 1)
            yield from file.iter_batches(n_rows, row_groups=run, columns=columns, use_threads=False)
            first, n_bytes = group + 1, 0


def _constant(text: str | None, kind: pa.DataType, n_rows: int) -> pa.Array:
    value = pa.scalar(text, pa.string()).cast(kind)
    return pa.repeat(value, n_rows)


def _why_unreadable(
    name: str,
    kind: pa.DataType | None,
    field_id: int | None,
    files: Sequence[FileOfRows],
    footers: Sequence[_Footer],
) -> str:
    """Return why a column cannot be read from the files, or nothing if it can."""
    if kind is None or "." in name:
        return f"column {name!r} is of a type or name that only Spark reads"
    for file, footer in zip(files, footers, strict=True):
        if name in file.partition:
            text = file.partition[name]
            is_number = pa.types.is_integer(kind) and re.fullmatch(r"-?\d{1,18}", text or "0")
            if not (pa.types.is_string(kind) or is_number):
                return f"column {name!r} partitions the table by {kind}, as in {text!r}"
            continue
        found = footer.types.get(name)
        if found is None:
            return f"column {name!r} is not in {file.uri!r}, or not as Python reads it"
        if field_id not in (None, footer.field_ids.get(name)):
            return f"column {name!r} was another one when {file.uri!r} was written"
        if plain(found) != kind:
            return f"column {name!r} is {found} in {file.uri!r}"
    return ""


def split_bytes(spark: SparkSession, total: int) -> float:
    """Return how many of some bytes, as they are stored, a task is to read."""
    if is_sail(spark):  # all tasks at once, in one process, which has one interpreter
        return total / len(os.sched_getaffinity(0))
    return total / min(_MAX_SPLITS, max(1, round(total / _SPLIT_BYTES)))


def _splits(
    spark: SparkSession, files: Sequence[FileOfRows], footers: Sequence[_Footer]
) -> tuple[tuple[RowGroups, ...], ...]:
    """Return runs of row groups of about as many bytes each."""
    wanted = split_bytes(spark, sum(sum(footer.stored) for footer in footers))
    splits: list[list[Any]] = []
    done = 0
    for file, footer in zip(files, footers, strict=True):
        for place, size in enumerate(footer.stored):
            # A row group is in the split in which its middle lies.
            number = int((done + size / 2) / max(wanted, 1.0))
            done += size
            if not splits or number != splits[-1][0]:
                splits.append([number, []])
            runs = splits[-1][1]
            if runs and runs[-1].file is file:
                runs[-1] = RowGroups(file, runs[-1].first, place + 1)
            else:
                runs.append(RowGroups(file, place, place + 1))
    return tuple(tuple(runs) for _, runs in splits)

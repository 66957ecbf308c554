"""Rows that several passes read: computed once, not once in each pass."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from pyarrow import fs
from pyspark import StorageLevel
from pyspark.sql.types import StructType

from lq_spark.engine.files import files_of
from lq_spark.engine.kinds import is_on_one_machine, is_sail
from lq_spark.engine.parquet_files import FileOfRows, parquet_rows
from lq_spark.engine.parts import write_parts
from lq_spark.engine.readings import reading_of, with_files
from lq_spark.engine.reductions import Reduced, Reduction, reduce_all
from lq_spark.engine.verbs import by_workers
from lq_spark.engine.versions import checkpointed
from lq_spark.errors import LqError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@contextmanager
def kept(df: DataFrame) -> Iterator[DataFrame]:
    """Yield a table whose rows are kept until the context ends, once they are computed.

    Spark persists them. Sail cannot, so there they are written to a file on this machine.
    """
    if is_sail(df.sparkSession):
        with TemporaryDirectory(prefix="lq_spark_") as folder:
            yield written(df, f"file://{folder}/rows")
        return
    rows = by_workers(df).persist()
    try:
        yield rows
    finally:
        rows.unpersist()


@contextmanager
def frozen(df: DataFrame) -> Iterator[DataFrame]:
    """Yield a table whose rows are computed now, without their lineage, until the context ends.

    Spark keeps them as a local checkpoint, which ends with the session: without their lineage they
    cannot be made again where an executor is lost, so on a cluster two executors have them.

    Raises
    ------
    LqError
        If both have been lost when the rows are read.
    """
    if is_sail(df.sparkSession):
        with kept(df) as rows:
            yield rows
        return
    rows = by_workers(df)
    try:
        yield checkpointed(rows, None if is_on_one_machine(df.sparkSession) else _TWICE)
    except Exception as error:
        if not _LOST.search(str(error)):
            raise
        raise LqError(
            "rows of an earlier pass were lost with the executors that kept them; run it again"
        ) from error


_TWICE = StorageLevel(True, True, False, True, 2)
"""As a local checkpoint is kept, in memory or else on disk, but by two executors."""

_LOST = re.compile(r"Checkpoint block \S+ not found")


def written(df: DataFrame, uri: str, *partition_by: str) -> DataFrame:
    """Write rows to a Parquet folder, and return them as read from there."""
    return written_and_reduced(df, uri, *partition_by).rows


def written_and_reduced(
    df: DataFrame, uri: str, *partition_by: str, reductions: Mapping[str, Reduction[Any]] = {}
) -> Reduced:
    """Write rows to a Parquet folder, and reduce them: in the same pass, if workers make them."""
    schema = _nullable(df.schema)
    if (reading := reading_of(df)) and not partition_by:
        return write_parts(df, reading, uri, schema, reductions)
    rows = _written_by_engine(df, uri, schema, *partition_by)
    return Reduced(rows, reduce_all(rows, reductions))


def _written_by_engine(
    df: DataFrame, uri: str, schema: StructType, *partition_by: str
) -> DataFrame:
    # Static: under the session's mode, partitions without new rows might stay.
    writer = by_workers(df).write.mode("overwrite").option("partitionOverwriteMode", "static")
    writer.partitionBy(*partition_by).parquet(uri)
    if is_sail(df.sparkSession):
        _make_if_empty(df, uri, bool(partition_by))
    # With the schema: the types of partition columns would be guessed from the folders' names.
    rows = df.sparkSession.read.schema(schema).parquet(uri)
    # On Spark only workers that have read the source are known to reach such a place.
    if partition_by or not is_sail(df.sparkSession):
        return rows
    return with_files(rows, parquet_rows(df.sparkSession, _parts_in(uri), schema))


def _parts_in(uri: str) -> list[FileOfRows]:
    files, folder = files_of(uri)
    names = (file.base_name for file in files.get_file_info(fs.FileSelector(folder)))
    return [FileOfRows(f"{uri}/{name}") for name in sorted(names) if name.endswith(".parquet")]


def _nullable(schema: StructType) -> StructType:
    """Return a schema that allows nulls everywhere, as Spark reads any file."""
    text = json.dumps(schema.jsonValue())
    for key in ("nullable", "containsNull", "valueContainsNull"):
        text = text.replace(f'"{key}": false', f'"{key}": true')
    return StructType.fromJson(json.loads(text))


def _make_if_empty(df: DataFrame, uri: str, is_partitioned: bool) -> None:
    """Write an empty table as Spark does: Sail writes nothing for it."""
    files, folder = files_of(uri)
    if files.get_file_info(folder).type == fs.FileType.NotFound:
        files.create_dir(folder)
        if not is_partitioned:
            rows = df.sparkSession.createDataFrame([], df.schema).toArrow()
            pq.write_table(rows, f"{folder}/part-{uuid.uuid4().hex}.parquet", filesystem=files)

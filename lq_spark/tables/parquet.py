"""Parquet tables: written beside their place and swapped in; see :mod:`lq_spark.tables.staged`.

To append or to merge, the rows that are there and the new ones are written beside the table
together, so that the table is again replaced as a whole or not at all. There are no versions: a
reader sees the files that are there when it opens the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from glob import glob
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from lq_spark.engine.files import as_uri, files_of
from lq_spark.engine.kept import written, written_and_reduced
from lq_spark.engine.kinds import is_sail
from lq_spark.engine.reductions import Reduced, Reduction
from lq_spark.errors import OptionError, TableError
from lq_spark.tables.schemas import require_same_columns
from lq_spark.tables.spec import TableSpec, one_line, quoted
from lq_spark.tables.staged import GLOB, StagedTable, require_writable
from lq_spark.tables.storable import require_storable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


def read(spark: SparkSession, spec: TableSpec) -> DataFrame:
    """Return the table at a path.

    Raises
    ------
    OptionError
        If there is none.
    """
    name = spec.name
    if ":/" not in name and not GLOB & set(name) and not Path(name).exists():
        raise OptionError(f"{spec.option}: there is no {name!r}")
    try:
        if is_sail(spark):
            return _pinned(spark, as_uri(name))
        df = spark.read.parquet(as_uri(name))
        df.schema  # noqa: B018 - over Spark Connect nothing is looked up before
    except Exception as error:
        if "Fail to merge schema" in str(error) and (files := _files_that_differ(as_uri(name))):
            raise OptionError(f"{spec.option}: {files}") from error
        raise OptionError(
            f"{spec.option}: no table {name!r} to read ({one_line(error)})"
        ) from error
    return df


def _files_that_differ(uri: str) -> str | None:
    """Return which file of a folder has a column of another type than an earlier file."""
    files, folder = files_of(uri)
    seen: dict[str, tuple[pa.DataType, str]] = {}
    for info in sorted(
        files.get_file_info(fs.FileSelector(folder, recursive=True)), key=lambda info: info.path
    ):
        if not info.is_file or info.base_name.startswith(("_", ".")):
            continue
        for field in pq.read_schema(info.path, filesystem=files):
            kind, first = seen.setdefault(field.name, (field.type, info.path))
            if kind != field.type:
                return (
                    f"column {field.name!r} is {kind} in {first!r} and {field.type} in "
                    f"{info.path!r}; write the files with one type"
                )
    return None


def _pinned(spark: SparkSession, uri: str) -> DataFrame:
    """Return a table of the files that are there now: Sail would list them in each pass."""
    places = [uri]
    if uri.startswith("file://"):
        path = uri.removeprefix("file://")
        found = sorted(glob(path)) if GLOB & set(uri) else [path]  # noqa: PTH207 - of an absolute pattern
        places = [f"file://{quote(place)}" for place in found]  # Sail wants it escaped
    df = spark.read.parquet(*places) if places else None
    if df is None or not df.columns:
        raise FileNotFoundError("there is no Parquet file")
    files = df.inputFiles()
    is_partitioned = any("=" in unquote(file).removeprefix(uri) for file in files)
    return df if is_partitioned else spark.read.parquet(*files)


def existing(spark: SparkSession, spec: TableSpec) -> DataFrame | None:
    """Return the table at a path if there is one with rows or at least a schema."""
    try:
        df = spark.read.parquet(as_uri(spec.name))
        df.schema  # noqa: B018
    except Exception as error:
        if "[PATH_NOT_FOUND]" in str(error) or "[UNABLE_TO_INFER_SCHEMA]" in str(error):
            return None
        raise TableError(f"{spec.option}: cannot read {spec.name!r} ({one_line(error)})") from error
    return df if df.columns else None  # Sail reads a missing table as one without columns


def check_rows(spark: SparkSession, spec: TableSpec, schema: StructType) -> None:
    """Raise if rows of this schema cannot be added to a table."""
    require_storable(spark, spec, schema)
    require_writable(spec.option, spec.name, folder=True)
    if there := existing(spark, spec):
        require_same_columns(spec, there.schema, schema, but_of=spec.partition_by)


class ParquetOutput:
    """A Parquet table about to be written; see :class:`lq_spark.tables.formats.Output`."""

    def __init__(self, spark: SparkSession, spec: TableSpec) -> None:
        self._spark, self._spec = spark, spec
        self._place = StagedTable(spec.option, spec.name)
        self._n_scratch = 0
        self._removed: DataFrame | None = None

    def check(self, schema: StructType) -> None:
        """Raise if the table cannot be written, or rows of this schema do not match its rows."""
        require_storable(self._spark, self._spec, schema)
        self._place.require_replaceable()
        if self._spec.mode == "overwrite":
            require_writable(self._spec.option, self._spec.name, folder=True)
        else:
            check_rows(self._spark, self._spec, schema)

    def __enter__(self) -> ParquetOutput:
        self._place.__enter__()
        return self

    def stage(self, df: DataFrame, reductions: Mapping[str, Reduction[Any]] = {}) -> Reduced:
        """Write rows beside the table, and return them as read from there, and reduced."""
        self._schema = df.schema
        by = self._spec.partition_by
        return written_and_reduced(df, self._place.staging, *by, reductions=reductions)

    def scratch(self, df: DataFrame, reductions: Mapping[str, Reduction[Any]] = {}) -> Reduced:
        """Do the same with intermediate rows."""
        self._n_scratch += 1  # each in its own folder, all deleted at the end
        place = f"{self._place.scratch}/{self._n_scratch}"
        return written_and_reduced(df, place, reductions=reductions)

    def remove(self, keys: DataFrame) -> None:
        """Have the commit remove the rows of these keys that are not staged."""
        self._removed = keys

    def commit(self, properties: Mapping[str, str]) -> None:
        """Put the staged rows in place, and the properties in a file beside them."""
        spec = self._spec
        if spec.mode == "overwrite" or not self._place.exists:
            return self._place.commit(properties)
        # Once more: a table may have been restored, or created, since the first check.
        check_rows(self._spark, spec, self._schema)
        new = self._spark.read.schema(self._schema).parquet(self._place.staging)
        there = self._spark.read.schema(self._schema).parquet(self._place.uri)
        if spec.mode == "merge":
            keys = list(spec.groups or spec.keys)
            replaced = new.select(*map(quoted, keys))
            if self._removed is not None:
                replaced = replaced.unionByName(self._removed.select(*map(quoted, keys)))
            replaced = replaced.distinct()
            there = there.join(replaced, keys, "left_anti")
        # Beside the intermediate rows, which are not the table's.
        written(there.unionByName(new), f"{self._place.scratch}/table", *spec.partition_by)
        return self._place.commit(properties, scratch="table")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._place.__exit__(kind, error, trace)

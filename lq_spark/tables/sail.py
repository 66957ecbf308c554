"""Delta and Iceberg tables by path, as Sail reads and writes them.

Sail has no SQL for a table's history or properties, and no place for tables between sessions. So
tables are paths, a version is looked up in the table's own files, and what only Spark can do is
refused before anything is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pyarrow import fs

from lq_spark.engine.files import files_of
from lq_spark.engine.kinds import engine_of, is_sail
from lq_spark.errors import EngineError, OptionError
from lq_spark.tables.schemas import require_same_columns
from lq_spark.tables.spec import TableSpec, quoted, said
from lq_spark.tables.staged import as_uri, require_writable
from lq_spark.tables.transactions import TableFormat, TransactionalOutput

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


def require_engine(spark: SparkSession, spec: TableSpec) -> None:
    """Raise unless the session's engine can read or write such a table.

    Raises
    ------
    EngineError
        If the other engine can.
    OptionError
        If neither can.
    """
    if spec.format not in ("delta", "iceberg"):
        return
    name, place = spec.format.capitalize(), f"{spec.option}: {spec.name!r}"
    if not is_sail(spark):
        if spec.format == "iceberg" and spec.is_path:
            raise OptionError(
                f"{spec.option}: on Spark Iceberg tables have catalog names (catalog.db.table), "
                f"got the path {spec.name!r}"
            )
        return
    lacks = None
    if not spec.is_path:
        lacks = f"knows {name} tables by path alone; give the path"
    elif quote(as_uri(spec.name), safe="/:") != as_uri(spec.name):
        lacks = (
            f"puts {name} tables elsewhere whose path has more than letters, digits and -._~; "
            "rename it"
        )
    elif spec.timestamp is not None:
        lacks = f"reads {name} tables by version, not by time; give the version"
    elif spec.format == "iceberg" and spec.mode == "merge":
        lacks = "cannot merge into Iceberg tables; write to a Delta table"
    if lacks:
        raise EngineError(
            f"{place}: {engine_of(spark)} {lacks}, or run this on Spark (spark-submit, "
            "--engine spark)"
        )


def pin(spec: TableSpec) -> int | None:
    """Return the version or snapshot to read: the newest, or the one that is asked for.

    None of a table into which nothing was ever written.

    Raises
    ------
    OptionError
        If there is no such table.
    """
    if spec.version is not None:
        return spec.version
    try:
        return _newest(spec)
    except OSError as error:
        raise _no_table(spec, error) from error


def read(spark: SparkSession, spec: TableSpec, version: int | None) -> DataFrame:
    """Return the table at a version; raise OptionError if there is none."""
    reader = spark.read.format(str(spec.format))
    if version is not None:
        reader = reader.option("versionAsOf", version)
    try:
        df = reader.load(as_uri(spec.name))
        df.schema  # noqa: B018 - nothing is looked up before
    except Exception as error:
        raise _no_table(spec, error) from error
    return df


def existing(spark: SparkSession, spec: TableSpec) -> DataFrame | None:
    """Return the table, or None if there is none; raise OptionError if it cannot be read."""
    try:
        if _newest(spec) is None:
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    return read(spark, spec, None)


class SailOutput(TransactionalOutput):
    """A Delta or Iceberg table at a path; see :class:`lq_spark.tables.formats.Output`.

    A commit of Delta carries the properties, but for a merge.
    """

    def __init__(self, spark: SparkSession, spec: TableSpec) -> None:
        super().__init__(spark, spec, _FORMATS[str(spec.format)])

    def check(self, schema: StructType) -> None:
        """Raise if the table cannot be written, or rows of this schema do not fit to its rows."""
        there = existing(self._spark, self._spec)
        require_writable(self._spec.option, self._spec.name, folder=True)
        if there is not None and self._spec.mode != "overwrite":
            require_same_columns(self._spec, there.schema, schema)

    def _replace(self, properties: Mapping[str, str]) -> None:
        self._save("overwrite", properties)

    def _created(self, properties: Mapping[str, str]) -> bool:
        is_there = existing(self._spark, self._spec) is not None
        if not is_there:
            self._append(properties)
        return not is_there

    def _append(self, properties: Mapping[str, str]) -> None:
        self._save("append", properties)

    def _save(self, mode: str, properties: Mapping[str, str]) -> None:
        writer = self._staged.write.format(self._format.name).mode(mode)
        if mode == "overwrite":
            writer = writer.option("overwriteSchema", "true")
        writer = writer.option("userMetadata", json.dumps(dict(properties)))
        if self._spec.partition_by:
            writer = writer.partitionBy(*self._spec.partition_by)
        writer.save(as_uri(self._spec.name))


def _newest(spec: TableSpec) -> int | None:
    return _newest_commit(spec) if spec.format == "delta" else _newest_snapshot(spec)


def _newest_commit(spec: TableSpec) -> int | None:
    files, path = files_of(as_uri(spec.name))
    log = files.get_file_info(fs.FileSelector(f"{path.rstrip('/')}/_delta_log"))
    commits = (re.fullmatch(r"(\d{20})\.json", entry.base_name) for entry in log)
    return max((int(commit[1]) for commit in commits if commit), default=None)


def _newest_snapshot(spec: TableSpec) -> int | None:
    files, path = files_of(as_uri(spec.name))
    folder = f"{path.rstrip('/')}/metadata"

    def content(name: str) -> bytes:
        with files.open_input_stream(f"{folder}/{name}") as stream:
            return bytes(stream.read())

    version = int(content("version-hint.text"))
    metadata: dict[str, Any] = json.loads(content(f"v{version}.metadata.json"))
    snapshot = metadata.get("current-snapshot-id")
    return None if snapshot in (None, -1) else int(snapshot)


def _no_table(spec: TableSpec, error: Exception) -> OptionError:
    name = str(spec.format).capitalize()
    return OptionError(f"{spec.option}: no {name} table {spec.name!r} ({said(error)})")


def _identifier(spec: TableSpec) -> str:
    return f"{spec.format}.{quoted(as_uri(spec.name).rstrip('/'))}"


_FORMATS = {
    name: TableFormat(name, _identifier, existing, lambda _: {}, lambda *_: {})
    for name in ("delta", "iceberg")
}

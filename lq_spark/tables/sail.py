"""Delta and Iceberg tables by path, as Sail reads and writes them.

Sail has no SQL for a table's history or properties, and no catalog that outlives a session. So
tables are paths, a version is looked up in the table's own files, and what only Spark can do is
refused before anything is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pyarrow import fs

from lq_spark.engine.files import as_uri, files_of, local_path
from lq_spark.engine.kinds import engine_of, is_sail
from lq_spark.errors import EngineError, OptionError
from lq_spark.tables import delta
from lq_spark.tables.schemas import accepts, require_same_columns
from lq_spark.tables.spec import TableSpec, no_table, quoted
from lq_spark.tables.staged import real_uri, require_writable
from lq_spark.tables.storable import require_storable
from lq_spark.tables.transactions import TableFormat, TransactionalOutput

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

_LOG = {"delta": "_delta_log", "iceberg": "metadata"}
"""The folder of a table that records which files are its rows."""


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
    elif "~" in as_uri(spec.name) or quote(as_uri(spec.name), safe="/:") != as_uri(spec.name):
        lacks = (
            f"puts {name} tables elsewhere whose path has more than letters, digits and -._; "
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
    """Return the version or snapshot to read: the requested one, or the newest.

    None for a table that was never written to.

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
        raise no_table(spec, str(spec.format), error) from error


def read(spark: SparkSession, spec: TableSpec, version: int | None) -> DataFrame:
    """Return the table at a version; raise OptionError if there is none."""
    reader = spark.read.format(str(spec.format))
    if version is not None:
        reader = reader.option("versionAsOf", version)
    try:
        df = reader.load(as_uri(spec.name))
        df.schema  # noqa: B018 - nothing is looked up before
    except Exception as error:
        raise no_table(spec, str(spec.format), error) from error
    return df


def existing(spark: SparkSession, spec: TableSpec) -> DataFrame | None:
    """Return the table, or None if there is none; raise OptionError if it cannot be read."""
    try:
        if _newest(spec) is None:
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise no_table(spec, str(spec.format), error) from error
    return read(spark, spec, None)


class SailOutput(TransactionalOutput):
    """A Delta or Iceberg table at a path; see :class:`lq_spark.tables.formats.Output`.

    A Delta commit carries the properties, except for a merge.
    """

    _chooses_files = False

    def __init__(self, spark: SparkSession, spec: TableSpec) -> None:
        super().__init__(spark, spec, _FORMATS[str(spec.format)])

    def check(self, schema: StructType) -> None:
        """Raise if the table cannot be written, or rows of this schema do not match its rows."""
        require_storable(self._spark, self._spec, schema)
        there = existing(self._spark, self._spec)
        require_writable(self._spec.option, self._spec.name, folder=True)
        if there is None:
            _require_nothing_else(self._spec)
        if there is not None and self._spec.mode != "overwrite":
            require_same_columns(self._spec, there.schema, schema)

    def _created(self, properties: Mapping[str, str]) -> bool:
        is_there = existing(self._spark, self._spec) is not None
        if not is_there:
            _mark(self._spec)
            self._append(properties)
        return not is_there

    def _append(self, properties: Mapping[str, str]) -> None:
        self._save("append", properties, {})

    def _overwrite(self, properties: Mapping[str, str]) -> None:
        spec, there = self._spec, existing(self._spark, self._spec)
        fits = there is not None and accepts(spec, there.schema, self._staged.schema)
        if spec.partition_by and fits:
            fits = _partition_columns(spec) == spec.partition_by
        self._save("overwrite", properties, {} if fits else {"overwriteSchema": "true"})

    def _save(self, mode: str, properties: Mapping[str, str], options: Mapping[str, str]) -> None:
        writer = self._staged.write.format(self._format.name).mode(mode)
        writer = writer.options(**options, **self._format.commit_options(properties))
        if self._spec.partition_by:
            writer = writer.partitionBy(*self._spec.partition_by)
        writer.save(as_uri(self._spec.name))


def _require_nothing_else(spec: TableSpec) -> None:
    """Raise OptionError if a local folder has files, and no write of a table began there."""
    place = Path(local_path(as_uri(spec.name)))
    name = str(spec.format)
    if place.is_dir() and any(place.iterdir()) and not (place / _LOG[name]).is_dir():
        raise OptionError(
            f"{spec.option}: {spec.name!r} is there already and is no {name.capitalize()} table, "
            "so it is not written"
        )


def _mark(spec: TableSpec) -> None:
    """Create the log's folder first: it identifies the files that a killed write leaves."""
    uri = real_uri(spec.name)
    if uri.startswith("file:"):
        (Path(local_path(uri)) / _LOG[str(spec.format)]).mkdir(parents=True, exist_ok=True)


def _partition_columns(spec: TableSpec) -> tuple[str, ...] | None:
    """Return the columns by which a Delta table is partitioned, from its log; else None."""
    if spec.format != "delta":
        return None
    files, path = files_of(as_uri(spec.name))
    for number in sorted(_commits(spec), reverse=True):
        with files.open_input_stream(f"{path.rstrip('/')}/_delta_log/{number:020}.json") as stream:
            actions = [json.loads(line) for line in stream.read().splitlines()]
        for action in actions:
            if "metaData" in action:
                return tuple(action["metaData"]["partitionColumns"])
    return None


def _newest(spec: TableSpec) -> int | None:
    if spec.format == "delta":
        return max(_commits(spec), default=None)
    return _newest_snapshot(spec)


def _commits(spec: TableSpec) -> list[int]:
    files, path = files_of(as_uri(spec.name))
    log = files.get_file_info(fs.FileSelector(f"{path.rstrip('/')}/_delta_log"))
    commits = (re.fullmatch(r"(\d{20})\.json", entry.base_name) for entry in log)
    return [int(commit[1]) for commit in commits if commit]


def _newest_snapshot(spec: TableSpec) -> int | None:
    snapshot = iceberg_metadata(spec).get("current-snapshot-id")
    return None if snapshot in (None, -1) else int(snapshot)


def iceberg_metadata(spec: TableSpec) -> dict[str, Any]:
    """Return the newest metadata of an Iceberg table; raise OSError if no file tells."""
    files, path = files_of(as_uri(spec.name))
    folder = f"{path.rstrip('/')}/metadata"

    def content(name: str) -> bytes:
        with files.open_input_stream(f"{folder}/{name}") as stream:
            return bytes(stream.read())

    try:
        version = int(content("version-hint.text"))
    except FileNotFoundError as error:
        inside = files.get_file_info(fs.FileSelector(folder))
        if not any(entry.base_name.endswith(".metadata.json") for entry in inside):
            raise
        raise OSError(
            f"{folder!r} has no version-hint.text: its newest version is known to a catalog alone"
        ) from error
    metadata: dict[str, Any] = json.loads(content(f"v{version}.metadata.json"))
    return metadata


def _identifier(spec: TableSpec) -> str:
    return f"{spec.format}.{quoted(as_uri(spec.name).rstrip('/'))}"


_FORMATS = {
    name: TableFormat(
        name,
        _identifier,
        existing,
        commit_settings=lambda _: {},
        commit_options=options,
        kept_properties=lambda *_: {},
    )
    for name, options in (("delta", delta.commit_options), ("iceberg", lambda _: {}))
}

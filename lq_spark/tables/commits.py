"""What the last run has left with the rows of a table: the properties of its commit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pyarrow import fs

from lq_spark.engine.files import files_of
from lq_spark.tables import delta, iceberg
from lq_spark.tables.changes import NoChangesError
from lq_spark.tables.formats import existing
from lq_spark.tables.spec import TableSpec
from lq_spark.tables.staged import PROPERTIES, real_uri

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Properties = Mapping[str, str]

_KEEP_ROWS = {
    *("OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "COMPUTE STATS", "UPGRADE PROTOCOL"),
    *("SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "ADD CONSTRAINT", "DROP CONSTRAINT"),
    *("CHANGE COLUMN", "CLUSTER BY", "REFRESH", "replace"),
}
"""Operations of Delta and Iceberg tables that change no row."""

_PREFIX = "lq_spark."


def last_properties(spark: SparkSession, spec: TableSpec) -> Properties | None:
    """Return the properties of the last commit of a run; None if there is no table, or no run.

    Raises
    ------
    NoChangesError
        If others have changed rows since.
    """
    for operation, properties in _commits(spark, spec):
        if any(name.startswith(_PREFIX) for name in properties):
            return properties
        if operation not in _KEEP_ROWS:
            raise NoChangesError(f"rows of {spec.name!r} were changed since, by {operation}")
    return None


def _commits(spark: SparkSession, spec: TableSpec) -> Iterator[tuple[str, Properties]]:
    """Yield operations and properties of the commits of a table, the newest first."""
    if existing(spark, spec) is None:
        return
    if spec.format == "delta":
        history = spark.sql(f"DESCRIBE HISTORY {delta.identifier(spec)}")
        for operation, text in history.select("operation", "userMetadata").toLocalIterator():
            yield operation, _object_of(text or "")
    elif spec.format == "iceberg":
        newest = iceberg.pin(spark, replace(spec, version=None, timestamp=None))
        for _, operation, summary in iceberg.lineage(spark, spec.name, newest):
            yield operation, summary
    else:
        files, folder = files_of(real_uri(spec.name))
        place = f"{folder}/{PROPERTIES}"
        if files.get_file_info(place).type == fs.FileType.File:
            with files.open_input_stream(place) as stream:
                yield "WRITE", _object_of(stream.read().decode())


def _object_of(text: str) -> Properties:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}

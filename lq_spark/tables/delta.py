"""Delta Lake tables, by path or by catalog name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.engine.files import as_uri, local_path
from lq_spark.errors import OptionError, listed
from lq_spark.tables.folders import lines_at
from lq_spark.tables.spec import TableSpec, no_table, quoted
from lq_spark.tables.storable import names_to_map
from lq_spark.tables.transactions import TableFormat

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameReader, SparkSession
    from pyspark.sql.types import StructType

_MAPPING = "delta.columnMapping.mode"

_OF_THE_PROTOCOL = (
    "delta.minReaderVersion",
    "delta.minWriterVersion",
    "delta.feature.",
    "delta.columnMapping.maxColumnId",
    "delta.rowTracking.",
)
"""Properties that Delta sets itself."""


def identifier(spec: TableSpec) -> str:
    """Return the table's name in SQL."""
    return f"delta.{quoted(as_uri(spec.name).rstrip('/'))}" if spec.is_path else spec.name


def pin(spark: SparkSession, spec: TableSpec) -> int:
    """Return the version to read.

    Raises
    ------
    OptionError
        If there is no such table, or no version that early.
    """
    if spec.version is not None:
        return spec.version
    try:
        newest_alone = " LIMIT 1" if spec.timestamp is None else ""
        history = spark.sql(f"DESCRIBE HISTORY {identifier(spec)}{newest_alone}")
        if spec.timestamp is not None:
            history = history.where(F.col("timestamp") <= F.lit(spec.timestamp).cast("timestamp"))
        newest = history.agg(F.max("version")).first()
    except Exception as error:
        raise no_table(spec, "delta", error) from error
    if newest is None or newest[0] is None:
        raise OptionError(f"{spec.option}: {spec.name!r} has no version as old as {spec.timestamp}")
    return int(newest[0])


def read(spark: SparkSession, spec: TableSpec, version: int) -> DataFrame:
    """Return the table at a version.

    Raises
    ------
    OptionError
        If there is none.
    """
    reader = spark.read.option("versionAsOf", version)
    try:
        df = loaded(reader, spec)
        df.schema  # noqa: B018 - over Spark Connect nothing is looked up before
    except Exception as error:
        raise no_table(spec, "delta", error) from error
    return df


def loaded(reader: DataFrameReader, spec: TableSpec) -> DataFrame:
    """Return the table of a path or a name, as a reader with its options has it."""
    if spec.is_path:
        return reader.format("delta").load(as_uri(spec.name))
    return reader.table(spec.name)


def existing(spark: SparkSession, spec: TableSpec) -> DataFrame | None:
    """Return the table, or None if there is none.

    Raises
    ------
    OptionError
        If something else is in its place.
    """
    try:
        df = loaded(spark.read, spec)
        df.schema  # noqa: B018
    except Exception as error:
        if "[PATH_NOT_FOUND]" in str(error) or "[TABLE_OR_VIEW_NOT_FOUND]" in str(error):
            return None
        if spec.is_path and (_is_empty(spec) or _never_committed(spark, spec)):
            return None
        raise no_table(spec, "delta", error) from error
    return df


def _is_empty(spec: TableSpec) -> bool:
    """Return whether there is a local folder with nothing in it."""
    uri = as_uri(spec.name)
    place = Path(local_path(uri))
    return uri.startswith("file:") and place.is_dir() and not any(place.iterdir())


def _never_committed(spark: SparkSession, spec: TableSpec) -> bool:
    """Return whether there is a log without a commit, left by a first write that was killed."""
    try:
        return lines_at(spark, f"{as_uri(spec.name).rstrip('/')}/_delta_log").isEmpty()
    except Exception:  # noqa: BLE001 - there is none
        return False


def _commit_settings(properties: Mapping[str, str]) -> dict[str, str]:
    named = commit_options(properties)
    return {f"spark.databricks.delta.commitInfo.{key}": value for key, value in named.items()}


def commit_options(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the writer options with which its commit carries the properties."""
    return {"userMetadata": json.dumps(dict(properties))} if properties else {}


def _kept_properties(spark: SparkSession, name: str) -> dict[str, str]:
    found = _properties(spark, name)
    return {key: value for key, value in found.items() if not key.startswith(_OF_THE_PROTOCOL)}


def _properties(spark: SparkSession, name: str) -> dict[str, str]:
    return dict(map(tuple, spark.sql(f"SHOW TBLPROPERTIES {name}").collect()))  # a handful


def _new_properties(schema: StructType) -> dict[str, str]:
    """Return the property that maps columns, if a name needs it."""
    return {_MAPPING: "name"} if names_to_map(schema) else {}


def _require_names(spark: SparkSession, spec: TableSpec, schema: StructType) -> None:
    """Raise OptionError if an existing table does not map columns that need it."""
    names, table = names_to_map(schema), identifier(spec)
    if names and _properties(spark, table).get(_MAPPING, "none") == "none":
        raise OptionError(
            f"{spec.option}: the Delta table {spec.name!r} cannot hold {listed(names)}, for a "
            f"character in the name; have it map its columns (ALTER TABLE {table} SET "
            f"TBLPROPERTIES ('{_MAPPING}' = 'name', 'delta.minReaderVersion' = '2', "
            "'delta.minWriterVersion' = '5')), or rename them"
        )


DELTA = TableFormat(
    "delta",
    identifier,
    existing,
    commit_settings=_commit_settings,
    commit_options=commit_options,
    kept_properties=_kept_properties,
    # Otherwise the session's mode may replace only the partitions of the new rows.
    overwriting={"partitionOverwriteMode": "static"},
    new_columns={"overwriteSchema": "true"},
    new_properties=_new_properties,
    require_names=_require_names,
)

"""Apache Iceberg tables, by catalog name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.errors import OptionError
from lq_spark.tables.spec import TableSpec, no_table
from lq_spark.tables.transactions import TableFormat

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def pin(spark: SparkSession, spec: TableSpec) -> int | None:
    """Return the snapshot to read, or None for a table that was never written to.

    Raises
    ------
    OptionError
        If there is no such table, or no snapshot that early.
    """
    if spec.version is not None:
        return spec.version
    try:
        spark.catalog.refreshTable(spec.name)  # catalogs cache tables for a while
        if spec.timestamp is None:
            main = spark.read.table(f"{spec.name}.refs").where(F.col("name") == "main")
            found = main.select("snapshot_id").first()
            return None if found is None else int(found[0])
        before = F.col("made_current_at") <= F.lit(spec.timestamp).cast("timestamp")
        history = spark.read.table(f"{spec.name}.history").where(before)
        found = history.agg(F.max_by("snapshot_id", "made_current_at")).first()
    except Exception as error:
        raise no_table(spec, "iceberg", error) from error
    if found is None or found[0] is None:
        raise OptionError(
            f"{spec.option}: {spec.name!r} has no snapshot as old as {spec.timestamp}"
        )
    return int(found[0])


def read(spark: SparkSession, spec: TableSpec, snapshot: int | None) -> DataFrame:
    """Return the table at a snapshot.

    Raises
    ------
    OptionError
        If there is none.
    """
    reader = spark.read if snapshot is None else spark.read.option("versionAsOf", snapshot)
    try:
        df = reader.table(spec.name)
        df.schema  # noqa: B018 - over Spark Connect nothing is looked up before
    except Exception as error:
        raise no_table(spec, "iceberg", error) from error
    return df


def lineage(
    spark: SparkSession, name: str, snapshot: int | None
) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Yield a snapshot and those that it was made from: ids, operations and summaries.

    It ends where they have expired.
    """
    snapshots = spark.read.table(f"{name}.snapshots")
    found = snapshots.select("snapshot_id", "parent_id", "operation", "summary").collect()
    by_id = {row[0]: row for row in found}  # a row a commit
    while snapshot in by_id:
        at, snapshot, operation, summary = by_id[snapshot]
        yield at, operation, dict(summary)


def existing(spark: SparkSession, spec: TableSpec) -> DataFrame | None:
    """Return the table, or None if there is none."""
    try:
        df = spark.read.table(spec.name)
        df.schema  # noqa: B018
    except Exception as error:
        if "[TABLE_OR_VIEW_NOT_FOUND]" in str(error):
            return None
        raise no_table(spec, "iceberg", error) from error
    return df


def _identifier(spec: TableSpec) -> str:
    return spec.name


def _commit_settings(properties: Mapping[str, str]) -> dict[str, str]:
    return {f"spark.sql.iceberg.{key}": value for key, value in _commit_options(properties).items()}


def _commit_options(properties: Mapping[str, str]) -> dict[str, str]:
    return {f"snapshot-property.{key}": properties[key] for key in properties}


ICEBERG = TableFormat(
    "iceberg",
    _identifier,
    existing,
    commit_settings=_commit_settings,
    commit_options=_commit_options,
    kept_properties=lambda *_: {},  # it keeps them itself
)

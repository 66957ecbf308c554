"""Which Parquet files are the rows of a table that was opened, so that workers can read them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from lq_spark.engine.file_systems import accesses_of
from lq_spark.engine.files import as_uri, local_path
from lq_spark.engine.kinds import is_sail
from lq_spark.tables import catalog, delta_log, iceberg_files, sail
from lq_spark.tables.partition_folders import folders_of, values_of
from lq_spark.tables.spec import TableSpec, one_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lq_spark.tables.formats import Source

_READER_FEATURES = frozenset(
    {
        *("columnMapping", "deletionVectors", "timestampNtz", "typeWidening"),
        *("typeWidening-preview", "v2Checkpoint", "vacuumProtocolCheck"),
    }
)
"""What a Delta table may demand of its readers, and is looked at here."""

_HAS_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:/")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file with rows of a table.

    Attributes
    ----------
    uri : str
        Where it is; its characters are not escaped.
    size : int or None
        Its bytes; None if nobody said.
    partition : Mapping of str to (str or None)
        The values of the partition columns that the file is to be read with, as text; None for
        null. Empty if all columns are in the file.
    """

    uri: str
    size: int | None
    partition: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class DataFiles:
    """The files with the rows of a table.

    Attributes
    ----------
    files : tuple of DataFile
        They hold the rows of the opened version, and no others.
    field_ids : Mapping of str to int, or None
        For Iceberg the id of each column: a file's column has another name if it was renamed, and
        is another column if its id is another. Else None: columns have the same name in all files.
    """

    files: tuple[DataFile, ...]
    field_ids: Mapping[str, int] | None


def data_files(spark: SparkSession, spec: TableSpec, source: Source) -> DataFiles | str:
    """Return the files of a table that was opened, or why the engine has to read it.

    Parameters
    ----------
    spec : TableSpec
        The table.
    source : Source
        What :func:`lq_spark.tables.formats.read_table` returned for it.

    Returns
    -------
    DataFiles or str
        A reason is lower-case, to end a sentence: ``the Delta table has deletion vectors``.
    """
    if source.format == "view":
        return "a view has no files of its own"
    listing = {"parquet": _parquet, "delta": _delta, "iceberg": _iceberg}.get(source.format)
    if listing is None:
        return f"the format of the table is {source.format}"
    if reason := _filled_in(source):
        return reason
    try:
        return listing(spark, spec, source)
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        return f"the files of the table cannot be looked up here ({one_line(error)})"


def _filled_in(source: Source) -> str | None:
    """Return which column has values that are not in the files; None if none has."""
    for field in source.df.schema:
        kind = str(field.metadata.get("__CHAR_VARCHAR_TYPE_STRING", ""))
        if kind.startswith("char"):
            return f"column {field.name!r} is {kind}, which is filled with spaces"
        if field.metadata.get("EXISTS_DEFAULT", "NULL").upper() != "NULL":
            return f"column {field.name!r} has a default value for older rows"
    return None


def _opener(spark: SparkSession) -> iceberg_files.Opener:
    """Return what opens files with the settings of a session, which are asked for once a place."""
    access_to = accesses_of(spark)
    return lambda uri: access_to(uri).open(uri)


def _delta(spark: SparkSession, spec: TableSpec, source: Source) -> DataFiles | str:
    place = spec.name if spec.is_path else catalog.location(spark, spec.name)
    table = as_uri(place).rstrip("/")
    snapshot = delta_log.snapshot(*_opener(spark)(table), int(source.version or 0))
    if reason := _obstacle_of_delta(snapshot):
        return reason
    columns = snapshot.metadata["partitionColumns"]
    # To the protocol an empty text is null; Spark keeps it in a column of texts.
    texts = (
        set()
        if is_sail(spark)
        else {field.name for field in source.df.schema if field.dataType.simpleString() == "string"}
    )
    found = []
    for path, added in snapshot.added.items():
        if path.startswith("/"):
            return "a file of the Delta table is outside it, on a file system that has no name"
        uri = as_uri(path) if _HAS_SCHEME.match(path) else f"{table}/{path}"
        values = {name: added.partition[name] for name in columns}
        partition = {n: text if text or n in texts else None for n, text in values.items()}
        found.append(DataFile(uri, added.size, partition))
    return DataFiles(tuple(found), None)


def _obstacle_of_delta(snapshot: delta_log.Snapshot) -> str | None:
    protocol, metadata = snapshot.protocol, snapshot.metadata
    demanded = set(protocol.get("readerFeatures") or ())
    if unknown := demanded - _READER_FEATURES or int(protocol["minReaderVersion"]) > 3:
        named = min(unknown) if isinstance(unknown, set) else "a newer protocol"
        return f"the Delta table demands {named} of its readers"
    if metadata["configuration"].get("delta.columnMapping.mode", "none") != "none":
        return "the Delta table maps its columns"
    if '"delta.typeChanges"' in metadata["schemaString"]:
        return "the Delta table has columns whose type was changed"
    if any(added.has_deletion_vector for added in snapshot.added.values()):
        return "the Delta table has deletion vectors"
    return None


def _iceberg(spark: SparkSession, spec: TableSpec, source: Source) -> DataFiles | str:
    metadata: Mapping[str, Any]
    if is_sail(spark):
        metadata = sail.iceberg_metadata(spec)
        entries = iceberg_files.of_manifests(_opener(spark), metadata, source.version)
    else:
        entries, metadata = iceberg_files.of_spark(spark, _opener(spark), spec.name, source.version)
    schema = iceberg_files.schema_of(metadata, source.version)
    if reason := iceberg_files.obstacle_of_files(entries):
        return reason
    if reason := iceberg_files.obstacle_of_columns(metadata, schema):
        return reason
    ids = {field["name"]: int(field["id"]) for field in schema["fields"]}
    if list(ids) != source.df.columns:
        return "the Iceberg table is read with another schema than its snapshot's"
    files = (DataFile(as_uri(entry.path), entry.size, {}) for entry in entries)
    return DataFiles(tuple(files), ids)


def _parquet(spark: SparkSession, spec: TableSpec, source: Source) -> DataFiles | str:
    by_sail = is_sail(spark)
    sizes = {uri: _size(uri) for uri in map(unquote, source.df.inputFiles())}
    # Neither engine reads a file of such a name, or without a byte.
    uris = [uri for uri in sizes if sizes[uri] != 0 and uri.rpartition("/")[2][0] not in "_."]
    if spec.is_path:
        folders = [folders_of(uri, under=as_uri(spec.name)) for uri in uris]
        if None in folders and any("=" in uri for uri in uris):
            return "the files of the table are not below its path"
        partitions = [values_of(names or (), by_sail=by_sail) for names in folders]
    else:
        columns = catalog.partition_columns(spark, spec.name)
        partitions = [values_of(folders_of(uri) or (), by_sail=by_sail) for uri in uris]
        if columns:  # of those folders, some may be above the table
            partitions = [dict(list(found.items())[-len(columns) :]) for found in partitions]
            if not by_sail and not _are_registered(spark, spec, partitions):
                return "a partition of the table is in a folder of another name"
        elif not any(set(found) & set(source.df.columns) for found in partitions):
            partitions = [{} for _ in uris]
    names = {tuple(found) for found in partitions}
    if len(names) > 1 or not set().union(*names) <= set(source.df.columns):
        return "the folders of the table's files are not those of its partition columns"
    files = zip(uris, partitions, strict=True)
    return DataFiles(tuple(DataFile(uri, sizes[uri], found) for uri, found in files), None)


def _are_registered(
    spark: SparkSession, spec: TableSpec, partitions: Sequence[Mapping[str, str | None]]
) -> bool:
    """Return whether the catalog has these partitions: it may have one in any folder."""
    rows = spark.sql(f"SHOW PARTITIONS {spec.name}").collect()  # a row a partition
    known = [values_of(row[0].split("/"), by_sail=False) for row in rows]
    return {tuple(p.items()) for p in partitions} <= {tuple(p.items()) for p in known}


def _size(uri: str) -> int | None:
    """Return the bytes of a local file; None for another, of which it would be one more request."""
    return Path(local_path(uri)).stat().st_size if uri.startswith("file:") else None

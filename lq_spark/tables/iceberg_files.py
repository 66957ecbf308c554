"""The files and the schema of an Iceberg table at a snapshot.

On Spark its metadata tables say which files there are; Sail has none, so the manifests that they
are made of are read.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pyarrow import fs
from pyspark.sql import functions as F

from lq_spark.engine.files import as_uri

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Opener = Callable[[str], tuple[fs.FileSystem, str]]
"""Returns the file system of a URI and the path there, or raises OSError."""

_NAME_MAPPING = "schema.name-mapping.default"

_DELETED = 2
"""Status of an entry of a manifest: a file that the snapshot does not have any more."""


class Entry(NamedTuple):
    """A file of a snapshot; its content is 0 for rows, another number for deletions of rows."""

    content: int
    path: str
    format: str
    size: int
    is_encrypted: bool


def of_spark(
    spark: SparkSession, opener: Opener, name: str, snapshot: int | None
) -> tuple[list[Entry], dict[str, Any]]:
    """Return the files of a table of a catalog, and its metadata.

    Raises
    ------
    OSError, ValueError
        If the metadata cannot be read here.
    """
    log = spark.read.table(f"{name}.metadata_log_entries")
    rows = log.select(
        F.lit(True), F.lit(0), "file", F.lit(""), F.lit(0).cast("bigint"), F.lit(False)
    )
    if snapshot is not None:  # in one query: each costs some 0.1 s
        files = spark.read.option("versionAsOf", snapshot).table(f"{name}.files")
        columns = ["content", "file_path", "file_format", "file_size_in_bytes"]
        is_encrypted = F.col("key_metadata").isNotNull()
        rows = rows.unionAll(files.select(F.lit(False), *columns, is_encrypted))
    found = [tuple(row) for row in rows.collect()]  # a row a file
    metadata = [path for is_metadata, _, path, *_ in found if is_metadata]
    return [Entry(*row[1:]) for row in found if not row[0]], _metadata(opener, metadata[-1])


def of_manifests(opener: Opener, metadata: Mapping[str, Any], snapshot: int | None) -> list[Entry]:
    """Return the files of a table of which the metadata is known.

    Raises
    ------
    OSError, ValueError
        If the manifests cannot be read here.
    """
    if snapshot is None:
        return []
    [found] = [each for each in metadata["snapshots"] if each["snapshot-id"] == snapshot]
    manifests = _records(_content(opener, found["manifest-list"]))
    entries = [
        entry
        for manifest in manifests
        for entry in _records(_content(opener, manifest["manifest_path"]))
    ]
    files = [entry["data_file"] for entry in entries if entry["status"] != _DELETED]
    return [
        Entry(
            file.get("content", 0),  # format version 1 has no deletions
            file["file_path"],
            file["file_format"],
            file["file_size_in_bytes"],
            file.get("key_metadata") is not None,
        )
        for file in files
    ]


def _records(content: bytes) -> Iterator[Any]:
    """Yield the records of an Avro file; raise ValueError where no package reads them."""
    try:
        import fastavro
    except ImportError as error:
        raise ValueError("the package fastavro is not installed") from error
    return iter(fastavro.reader(io.BytesIO(content)))


def _content(opener: Opener, place: str) -> bytes:
    files, path = opener(as_uri(place))
    with files.open_input_stream(path, compression=None) as stream:
        return bytes(stream.read())


def _metadata(opener: Opener, place: str) -> dict[str, Any]:
    content = _content(opener, place)
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    found: dict[str, Any] = json.loads(content)
    return found


def schema_of(metadata: Mapping[str, Any], snapshot: int | None) -> dict[str, Any]:
    """Return the schema that a snapshot is read with, as the metadata has it."""
    number = metadata["current-schema-id"]
    for each in metadata.get("snapshots", ()):
        if each["snapshot-id"] == snapshot:
            number = each.get("schema-id", number)
    [schema] = [each for each in metadata["schemas"] if each["schema-id"] == number]
    return dict(schema)


def obstacle_of_files(entries: Iterable[Entry]) -> str | None:
    """Return why the files alone do not say what the rows are; else None."""
    for entry in entries:
        if entry.content != 0:
            return "the Iceberg snapshot has delete files"
        if entry.format.upper() != "PARQUET":
            return f"the Iceberg snapshot has {entry.format} files"
        if entry.is_encrypted:
            return "the files of the Iceberg snapshot are encrypted"
    return None


def obstacle_of_columns(metadata: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    """Return why the columns of files may be others than the schema's of the same id; else None."""
    if _NAME_MAPPING in metadata.get("properties", {}):
        return "the Iceberg table may have files whose columns have no ids"
    if any("initial-default" in field for field in _fields(schema)):
        return "the Iceberg table has columns with an initial value"
    ids = dict(_nested(schema))
    for other in metadata["schemas"]:
        for place, number in _nested(other):
            if ids.get(place, number) != number:
                return "a field inside a column of the Iceberg table was replaced by another"
    return None


def _fields(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the fields of a schema at any depth."""
    for child in schema.values():
        if isinstance(child, Mapping):
            yield from _fields(child)
    for field in schema.get("fields", ()):
        yield field
        yield from _fields(field)


def _nested(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[int | str, ...], int]]:
    """Yield where each field inside a column is, by the column's id and its own name, and its id.

    Files are compared with the schema by the ids of columns; inside a column, by names.
    """
    for column in schema["fields"]:
        if isinstance(column["type"], Mapping):
            yield from _inside(column["type"], (column["id"],))


def _inside(
    kind: Mapping[str, Any], place: tuple[int | str, ...]
) -> Iterator[tuple[tuple[int | str, ...], int]]:
    for field in kind.get("fields", ()):
        here = (*place, field["name"])
        yield here, field["id"]
        if isinstance(field["type"], Mapping):
            yield from _inside(field["type"], here)
    for part in ("element", "key", "value"):
        if isinstance(inner := kind.get(part), Mapping):
            yield from _inside(inner, (*place, part))

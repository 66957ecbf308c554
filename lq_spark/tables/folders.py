"""What a folder holds: not all Parquet files of a Delta, Iceberg or Hudi table are its rows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from glob import glob
from typing import TYPE_CHECKING

from pyarrow import fs

from lq_spark.engine.files import as_uri, files_of, local_path
from lq_spark.engine.kinds import is_sail
from lq_spark.errors import OptionError, listed
from lq_spark.tables.spec import FORMATS, TableSpec
from lq_spark.tables.staged import GLOB

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NAMES = {"delta": "a Delta", "iceberg": "an Iceberg", "hudi": "a Hudi"}

_SIGNS = {"delta": "_delta_log", "iceberg": "metadata/*.metadata.json", "hudi": ".hoodie"}
"""What only a folder with a table of this format contains."""


def format_to_read(spark: SparkSession, spec: TableSpec) -> str:
    """Return the format of the table at a path: Delta or Iceberg if the folder is such a table.

    Raises
    ------
    OptionError
        If it is a part of such a table, of another format than requested, or of one that cannot
        be read.
    """
    found, around = _table_at(spark, spec)
    if found and around:
        raise OptionError(
            f"{spec.option}: {spec.name!r} is of the {found.capitalize()} table {around!r}, "
            "not all files of which hold its rows; give that folder"
        )
    if found == "hudi":
        raise OptionError(
            f"{spec.option}: {spec.name!r} is a Hudi table, which cannot be read; allowed "
            f"are {listed(FORMATS)}"
        )
    if found and spec.format not in (None, found):
        raise OptionError(
            f"{spec.option}: {spec.name!r} is {_NAMES[found]} table, so its format "
            f"(input_format) must be {found!r} or left out, got {spec.format!r}"
        )
    return found or spec.format or "parquet"


def require_format(spark: SparkSession, spec: TableSpec) -> None:
    """Raise OptionError if there is a table of another format at a path, or around it."""
    wanted = spec.format or "parquet"
    found, around = _table_at(spark, spec)
    if found and around:
        raise OptionError(
            f"{spec.option}: {spec.name!r} is inside the {found.capitalize()} table {around!r}; "
            "write to another place"
        )
    if found and found != wanted:
        raise OptionError(
            f"{spec.option}: {spec.name!r} is there already and is {_NAMES[found]} "
            f"table, not {wanted} (output_format), so it is not written"
        )


def _table_at(spark: SparkSession, spec: TableSpec) -> tuple[str | None, str | None]:
    """Return the format of the table at a path, and the table's folder if that is another.

    A Delta table may also be readable as Iceberg: it counts as the requested format, or Delta.
    """
    if not spec.is_path:
        return None, None
    kinds = sorted(_SIGNS, key=lambda kind: kind != spec.format)
    uri = as_uri(spec.name).rstrip("/")
    is_pattern = bool(GLOB & set(uri))
    try:
        places = _places(uri, is_pattern)
    except OSError as error:  # links that end nowhere do not raise
        raise OptionError(f"{spec.option}: cannot follow {spec.name!r} ({error})") from error
    for place in places:
        for folder in _around(place):
            found = next((kind for kind in kinds if _has(spark, folder, _SIGNS[kind])), None)
            if found:
                other = is_pattern or folder != place
                return found, folder.removeprefix("file://") if other else None
    return None, None


def _places(uri: str, is_pattern: bool) -> list[str]:
    """Return the local places that a URI stands for, links followed; any other URI unchanged."""
    if not uri.startswith("file:"):
        return [uri]
    path = local_path(uri)
    if is_pattern:
        found = {place for words in _alternatives(path) for place in glob(words)}  # noqa: PTH207
        return [f"file://{os.path.realpath(place)}" for place in sorted(found)]
    with suppress(FileNotFoundError, NotADirectoryError):
        os.path.realpath(path, strict=True)
    return [f"file://{os.path.realpath(path)}"]


def _alternatives(pattern: str) -> list[str]:
    """Return the patterns without braces that a pattern with braces (``{a,b}``) stands for.

    >>> _alternatives("{a,b}/c")
    ['a/c', 'b/c']
    """
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    words = found[1].split(",")
    return [one for word in words for one in _alternatives(f"{before}{word}{after}")]


def _around(uri: str) -> Iterator[str]:
    """Yield a place and the folders around it; in an object store only those around a part."""
    yield uri
    scheme, _, path = uri.partition("://")
    while "/" in path:
        path, _, name = path.rpartition("/")
        if scheme != "file" and "=" not in name and not name.endswith(".parquet"):
            return
        yield f"{scheme}://{path}"


def _has(spark: SparkSession, folder: str, sign: str) -> bool:
    if not folder.startswith("file:") and not is_sail(spark):
        try:  # through Spark, with its credentials
            lines_at(spark, f"{folder}/{sign}").schema  # noqa: B018
        except Exception:  # noqa: BLE001 - what cannot be listed is read, or fails, later
            return False
        return True
    name, _, pattern = sign.partition("/")
    try:
        files, path = files_of(folder)
        info = files.get_file_info(f"{path.rstrip('/')}/{name}")
        if info.type != fs.FileType.Directory or not pattern:
            return bool(info.type == fs.FileType.Directory)
        inside = files.get_file_info(fs.FileSelector(info.path))
    except (OSError, ValueError):
        return False
    return any(entry.base_name.endswith(pattern[1:]) for entry in inside)


def lines_at(spark: SparkSession, uri: str) -> DataFrame:
    """Return the lines of the files at a URI; Spark raises if nothing is there."""
    return spark.read.text([uri, uri])  # for a single missing path it logs a stack trace

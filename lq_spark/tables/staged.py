"""A folder of Parquet files, replaced as a whole or not at all.

A table is written beside its place and moved there when it is complete:

1. the rows go to ``<name>.staging``, if necessary through ``<name>.scratch``; a run that fails or
   is killed here changes nothing;
2. the earlier table is moved to ``<name>.previous`` and the new one to ``<name>``: two renames;
3. the earlier table is deleted.

A run that is killed between the two renames of step 2 leaves both tables complete but none in
place; the next run puts the earlier one back first. On a local disk a lock keeps two runs
from writing one table at once; the operating system releases it with the process.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO

from pyarrow import fs

from lq_spark.engine.files import as_uri, files_of, local_path
from lq_spark.errors import OptionError, TableError

GLOB = frozenset("{}[]*?")
"""Characters that Spark reads as a pattern of names."""

PROPERTIES = "_lq_spark.json"
"""The file beside the rows that says which run has written them; no reader takes it for rows."""

_BESIDE_ROWS = re.compile(
    rf"\..*|_SUCCESS|_(common_)?metadata|_(started|committed)_\w+|{re.escape(PROPERTIES)}"
)
"""Files that a run, Spark, or the committer of its jobs writes beside the rows."""


class StagedTable:
    """A Parquet table about to be written. A context manager: without ``commit``, nothing changes.

    Parameters
    ----------
    option : str
        The option that named the path, for messages.
    path : str
        Local path, or a ``file:`` or ``hdfs:`` URI. Other file systems have no rename that
        replaces a whole table.

    Raises
    ------
    OptionError
        If the path is on another file system, or something else than a Parquet table is there.
    TableError
        If it cannot be written to, or another run is writing it.
    """

    def __init__(self, option: str, path: str) -> None:
        self.option, self.path = option, path
        self._uri = real_uri(path)
        self._scheme = self._uri[: self._uri.index(":")]
        if self._scheme not in ("file", "hdfs") or GLOB & set(path):
            raise OptionError(
                f"{option}: {path!r} must be a local path or a file: or hdfs: URI, where a table "
                f"can be replaced whole by renaming it, without any of {' '.join(sorted(GLOB))}"
            )
        try:
            self._files, self._target = files_of(self._uri)
        except OSError as error:
            raise TableError(f"{option}: cannot reach {path!r} ({error})") from error
        folder, _, name = self._target.rpartition("/")
        self._folder, self._lock_path = folder, f"{folder}/.{name}.lock"
        self._staging, self._previous = f"{folder}/{name}.staging", f"{folder}/{name}.previous"
        self._scratch = f"{folder}/{name}.scratch"
        self._lock: IO[str] | None = None

    @property
    def staging(self) -> str:
        """Return the URI that the rows are to be written to."""
        return f"{self._uri}.staging"

    @property
    def scratch(self) -> str:
        """Return the URI of a place for intermediate rows, deleted at the end."""
        return f"{self._uri}.scratch"

    @property
    def uri(self) -> str:
        """Return the URI of the table's place."""
        return self._uri

    @property
    def exists(self) -> bool:
        """Return whether there is anything in the table's place."""
        return self._exists(self._target)

    def __enter__(self) -> StagedTable:
        try:
            self._files.create_dir(self._folder)
            self._take_lock()
            self._repair()
            self.require_replaceable()
            self._files.create_dir(self._staging)
            self._delete(self._staging)
        except OSError as error:
            self._drop_lock()
            if isinstance(error, TableError):
                raise
            raise TableError(f"{self.option}: cannot write {self.path!r} ({error})") from error
        except OptionError:
            self._drop_lock()
            raise
        return self

    def commit(self, properties: Mapping[str, str] = {}, *, scratch: str | None = None) -> None:
        """Put what was written to ``staging``, or to a folder in ``scratch``, in its place.

        With the properties, in a file beside the rows.
        """
        try:
            made = self._staging if scratch is None else f"{self._scratch}/{scratch}"
            if properties:
                with self._files.open_output_stream(f"{made}/{PROPERTIES}") as stream:
                    stream.write(json.dumps(dict(properties)).encode())
            with self._files.open_output_stream(f"{made}/_SUCCESS"):
                pass  # marks a complete table for the next run
            if self.exists:
                self._files.move(self._target, self._previous)
            self._files.move(made, self._target)
            self._delete(self._previous)
        except OSError as error:
            raise TableError(f"{self.option}: cannot replace {self.path!r} ({error})") from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._delete(self._staging)
        self._delete(self._scratch)
        self._drop_lock()

    def _take_lock(self) -> None:
        if self._scheme != "file":
            return
        self._lock = Path(self._lock_path).open("w")  # noqa: SIM115 - held until the end
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TableError(f"{self.option}: another run is writing {self.path!r}") from error

    def _drop_lock(self) -> None:
        # The lock file stays: if it were deleted, a third run could lock a new one meanwhile.
        if self._lock is not None:
            self._lock.close()

    def _repair(self) -> None:
        """Remove what a killed run left behind."""
        if self._exists(self._previous):
            if self._exists(self._target):
                self._delete(self._previous)
            else:
                self._files.move(self._previous, self._target)
        self._delete(self._staging)
        self._delete(self._scratch)

    def require_replaceable(self) -> None:
        """Raise OptionError if something that Spark did not write is in the table's place."""
        info = self._files.get_file_info(self._target)
        if info.type == fs.FileType.NotFound:
            return
        if info.type == fs.FileType.Directory and self._holds_parquet(self._target):
            return
        raise OptionError(
            f"{self.option}: {self.path!r} is there already and is no Parquet table written by a "
            "job, so it is not replaced"
        )

    def _holds_parquet(self, folder: str) -> bool:
        """Return whether a folder is empty or Spark's, at any depth of partitions."""
        inside = self._files.get_file_info(fs.FileSelector(folder))
        entries = [entry for entry in inside if not entry.base_name.startswith(".")]
        marked = any(entry.base_name == "_SUCCESS" for entry in entries)
        return not entries or (marked and all(map(self._is_part, entries)))

    def _is_part(self, entry: fs.FileInfo) -> bool:
        if entry.type == fs.FileType.Directory:
            inside = self._files.get_file_info(fs.FileSelector(entry.path))
            return "=" in entry.base_name and all(map(self._is_part, inside))
        name = entry.base_name
        return bool(_BESIDE_ROWS.fullmatch(name) or name.endswith(".parquet"))

    def _exists(self, path: str) -> bool:
        return bool(self._files.get_file_info(path).type != fs.FileType.NotFound)

    def _delete(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._files.delete_dir(path)


def require_writable(option: str, path: str, *, folder: bool) -> None:
    """Raise if a local path cannot become a file, or a folder, or is a pattern of paths."""
    if GLOB & set(path):
        raise OptionError(f"{option}: {path!r} must not hold any of {' '.join(sorted(GLOB))}")
    uri = as_uri(path)
    if uri.startswith("file:"):
        place = Path(local_path(uri))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=place.parent):
                pass
            if place.exists() and place.is_dir() != folder:
                raise OSError(f"it is {'no' if folder else 'a'} folder")
        except OSError as error:
            raise TableError(f"{option}: cannot write {path!r} ({error})") from error


def real_uri(path: str) -> str:
    """Return the URI of a place without a slash at its end, links of a local one followed."""
    uri = as_uri(path).rstrip("/")
    return f"file://{os.path.realpath(local_path(uri))}" if uri.startswith("file:") else uri

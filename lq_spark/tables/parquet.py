"""Parquet tables: read by path or catalog name, replaced whole or not at all.

A table is written beside its place and moved there when it is complete:

1. the rows go to ``<name>.staging``; a run that fails or is killed here changes nothing;
2. the earlier table is moved to ``<name>.previous`` and the new one to ``<name>``: two renames;
3. the earlier table is deleted.

A run that is killed between the two renames of step 2 leaves both tables whole but none in place;
the next run puts the earlier one back first. On a local disk a lock keeps two runs from writing one
table at once; the operating system drops it with the process.
"""

from __future__ import annotations

import fcntl
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from pyarrow import fs
from pyspark.errors import AnalysisException

from lq_spark.errors import OptionError, TableError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def read_table(spark: SparkSession, name: str) -> DataFrame:
    """Return a Parquet table by its path (with a slash in it), or any table by its catalog name.

    Raises
    ------
    OptionError
        If there is none.
    """
    if "/" in name and ":/" not in name and not Path(name).exists():
        raise OptionError(f"input: there is no {name!r}")
    try:
        if "/" in name:
            return spark.read.parquet(as_uri(name))
        return spark.read.table(name)
    except AnalysisException as error:
        hint = f"; the path is './{name}'" if "/" not in name and Path(name).exists() else ""
        reason = str(error).splitlines()[0]
        raise OptionError(f"input: no table {name!r} to read{hint} ({reason})") from error


class StagedTable:
    """A Parquet table about to be written. A context manager: without ``commit``, nothing changes.

    Parameters
    ----------
    option : str
        The option that named the path, for messages.
    path : str
        Local path, or a ``file:`` or ``hdfs:`` URI. Other file systems have no rename that
        replaces a table whole.

    Raises
    ------
    OptionError
        If the path is on another file system, or what is there is no Parquet table.
    TableError
        If it cannot be written to, or another run is writing it.
    """

    def __init__(self, option: str, path: str) -> None:
        self.option, self.path = option, path
        uri = as_uri(path).rstrip("/")
        if not uri.startswith(("file:", "hdfs:")):
            raise OptionError(
                f"{option}: {path!r} must be a local path or a file: or hdfs: URI, where a table "
                "can be replaced whole by renaming it"
            )
        self._scheme = uri[: uri.index(":")]
        try:
            self._files, self._target = fs.FileSystem.from_uri(uri)
        except OSError as error:
            raise TableError(f"{option}: cannot reach {path!r} ({error})") from error
        folder, _, name = self._target.rpartition("/")
        self._folder, self._lock_path = folder, f"{folder}/.{name}.lock"
        self._staging, self._previous = f"{folder}/{name}.staging", f"{folder}/{name}.previous"
        self._lock: IO[str] | None = None

    @property
    def staging(self) -> str:
        """Return the URI that the rows are to be written to."""
        root = as_uri(self.path).rstrip("/")
        return f"{root[: root.rindex('/')]}/{self._staging.rpartition('/')[2]}"

    def __enter__(self) -> StagedTable:
        try:
            self._files.create_dir(self._folder)
            self._take_lock()
            self._repair()
            self._require_replaceable()
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

    def commit(self) -> None:
        """Put what was written to ``staging`` in the table's place."""
        if self._exists(self._target):
            self._files.move(self._target, self._previous)
        self._files.move(self._staging, self._target)
        self._delete(self._previous)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._delete(self._staging)
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
        # The lock file stays: deleting it would let a third run lock a file that nobody sees.
        if self._lock is not None:
            self._lock.close()

    def _repair(self) -> None:
        """Clear away what a killed run left."""
        if self._exists(self._previous):
            if self._exists(self._target):
                self._delete(self._previous)
            else:
                self._files.move(self._previous, self._target)
        self._delete(self._staging)

    def _require_replaceable(self) -> None:
        info = self._files.get_file_info(self._target)
        if info.type == fs.FileType.NotFound:
            return
        if info.type == fs.FileType.Directory:
            inside = self._files.get_file_info(fs.FileSelector(self._target))
            strange = [
                entry.base_name
                for entry in inside
                if not entry.base_name.startswith(("_", "."))
                and not entry.base_name.endswith(".parquet")
            ]
            if not strange:
                return
        raise OptionError(
            f"{self.option}: {self.path!r} is there already and is no Parquet table written by a "
            "job, so it is not replaced"
        )

    def _exists(self, path: str) -> bool:
        return bool(self._files.get_file_info(path).type != fs.FileType.NotFound)

    def _delete(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._files.delete_dir(path)


def as_uri(path: str) -> str:
    """Return a path with its scheme; without one it is local, whatever Spark's default is."""
    return path if ":/" in path else Path(path).absolute().as_uri()

"""Rows that are computed once and kept as long as the result that is read from them."""

from __future__ import annotations

import atexit
import shutil
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from lq_spark.engine.kept import written
from lq_spark.engine.kinds import is_sail
from lq_spark.engine.verbs import by_workers

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LET_GO = (
    "these rows were let go of with the DataFrame of the result that they belong to - keep it, or "
    "write it to a table"
)
"""Name of what lies where rows of Sail were: its error has it, and it has no ``:``, no ``/``."""


class Held:
    """Keeps rows for results that are looked at more than once.

    Spark persists them once they are computed. Sail cannot: there they are computed now and written
    to a file on this machine.

    They are let go of as the context ends, or with a result (:meth:`until_gone`). Over Spark
    Connect, and on Sail, a table that was derived from the result keeps them too; on classic Spark
    one is computed again from the source when the result itself is gone.

    A view by name lives in the engine, where nothing says that it still needs them. A query of a
    view whose DataFrame is gone fails on Sail, by an error that holds :data:`LET_GO`; Spark
    computes the rows again.

    Parameters
    ----------
    wanted : bool
        Whether rows are to be kept; if not, results are as lazy as without.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self.wanted = wanted
        self._held: list[_Release] = []

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        for held in self._held:
            held.now()
        self._held.clear()

    def hold(self, df: DataFrame) -> DataFrame:
        """Return a table whose rows are kept."""
        if is_sail(df.sparkSession):
            files = _Files()
            self._held.append(files)  # first: rows that fail leave nothing behind
            return written(df, f"file://{files.rows}")
        kept = by_workers(df).persist()
        self._held.append(_Persisted(kept))
        return kept.select("*")  # a plan to which what lets go of the rows does not refer

    def hold_lazily(self, df: DataFrame) -> DataFrame:
        """Return a table, made of kept rows, whose rows are kept once they are computed."""
        return self.hold(df) if self.wanted and not is_sail(df.sparkSession) else df

    def until_gone(self, result: DataFrame) -> DataFrame:
        """Return a result with which the rows are let go of."""
        # Of a client: the plan of a table that is derived from the result refers to it.
        last = getattr(result, "_plan", result)
        for held in self._held:
            # What a session has persisted ends with it; files have an exit handler of their own.
            weakref.finalize(last, held.with_result).atexit = False
        self._held.clear()
        return result


class _Release(Protocol):
    def now(self) -> None:
        """Let go of rows that nothing refers to."""

    def with_result(self) -> None:
        """Let go of rows to which a view of the result may refer."""


class _Files:
    """Rows in a folder that is deleted at the latest as the process ends."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="lq_spark_")
        self.rows = Path(self._folder.name) / "rows"
        atexit.register(self._folder.cleanup)

    def now(self) -> None:
        self._folder.cleanup()
        atexit.unregister(self._folder.cleanup)

    def with_result(self) -> None:
        # Sail takes a folder that is missing or empty for a table without rows. A link to itself
        # cannot be listed, and the error has its name; of a broken file the error has none.
        with suppress(OSError):  # without the link the rows stay
            (self.rows / LET_GO).symlink_to(LET_GO)
            for path in self.rows.iterdir():
                if path.is_symlink():
                    continue
                shutil.rmtree(path) if path.is_dir() else path.unlink()


class _Persisted:
    """Rows that Spark keeps."""

    def __init__(self, rows: DataFrame) -> None:
        self._rows = rows

    def now(self) -> None:
        # In a thread of its own: garbage may be collected in the midst of another call to the JVM
        # or the server.
        threading.Thread(target=self._unpersist, daemon=True).start()

    with_result = now

    def _unpersist(self) -> None:
        with suppress(Exception):  # the session may have been stopped
            self._rows.unpersist()

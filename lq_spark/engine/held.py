"""Rows that are computed once and kept as long as the result that is read from them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lq_spark.engine.kept import written
from lq_spark.engine.kinds import is_sail
from lq_spark.engine.verbs import by_workers

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Held:
    """Keeps rows for results that are looked at more than once.

    Spark persists them once they are computed. Sail cannot: there they are computed now and written
    to a file on this machine.

    They are let go of as the context ends, or with a result (:meth:`until_gone`). Over Spark
    Connect, and on Sail, a table that was derived from the result keeps them too; on classic Spark
    one is computed again from the source when the result itself is gone.

    Parameters
    ----------
    wanted : bool
        Whether rows are to be kept; if not, results are as lazy as without.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self.wanted = wanted
        self._held: list[Callable[[], None]] = []

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        for release in self._held:
            release()
        self._held.clear()

    def hold(self, df: DataFrame) -> DataFrame:
        """Return a table whose rows are kept."""
        if is_sail(df.sparkSession):
            folder = TemporaryDirectory(prefix="lq_spark_")
            self._held.append(folder.cleanup)  # first: rows that fail leave nothing behind
            return written(df, f"file://{folder.name}/rows")
        kept = by_workers(df).persist()
        self._held.append(_unpersisting(kept))
        return kept.select("*")  # a plan to which what lets go of the rows does not refer

    def hold_lazily(self, df: DataFrame) -> DataFrame:
        """Return a table, made of kept rows, whose rows are kept once they are computed."""
        return self.hold(df) if self.wanted and not is_sail(df.sparkSession) else df

    def until_gone(self, result: DataFrame) -> DataFrame:
        """Return a result with which the rows are let go of."""
        # Of a client: the plan of a table that is derived from the result refers to it.
        last = getattr(result, "_plan", result)
        for release in self._held:
            finalizer = weakref.finalize(last, release)
            # What a session has persisted ends with it, and at exit it may be gone already.
            finalizer.atexit = is_sail(result.sparkSession)
        self._held.clear()
        return result


def _unpersisting(rows: DataFrame) -> Callable[[], None]:
    def release() -> None:
        with suppress(Exception):  # the session may have been stopped
            rows.unpersist()

    # In a thread of its own: garbage may be collected in the midst of another call to the JVM or
    # the server.
    return lambda: threading.Thread(target=release, daemon=True).start()

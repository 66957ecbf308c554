"""Rows that are computed once and kept as long as the result that is read from them."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
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
    one is computed again from the source when the result itself is gone. A view keeps nothing: of
    rows that are gone, on Sail, it says so when it is read.

    Parameters
    ----------
    wanted : bool
        Whether rows are to be kept; if not, results are as lazy as without.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self.wanted = wanted
        self._held: list[_Rows | _Persisted] = []

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        for rows in self._held:
            rows.release()
        self._held.clear()

    def hold(self, df: DataFrame) -> DataFrame:
        """Return a table whose rows are kept."""
        if is_sail(df.sparkSession):
            rows = _Rows()
            self._held.append(rows)  # first: rows that fail leave nothing behind
            return written(df, f"file://{rows.place}")
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
        for rows in self._held:
            # At exit what a session has persisted ends with it, and so do temporary folders.
            weakref.finalize(last, rows.let_go).atexit = False
        self._held.clear()
        return result


_GONE = "these_rows_were_let_go_of_with_the_result_they_belong_to_which_is_to_be_kept_or_written"
_LET_GO: list[TemporaryDirectory[str]] = []
"""Folders without their rows, until the process ends."""


class _Rows:
    """Rows in a folder on this machine."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="lq_spark_")
        self.place = Path(self._folder.name) / "rows"

    def release(self) -> None:
        """Delete them: no result was made of them."""
        self._folder.cleanup()

    def let_go(self) -> None:
        """Delete them, and leave a file in their place that cannot be read and says so by its name.

        Sail takes a folder that is gone for a table without rows, and a view may still read it.
        """
        rmtree(self.place, ignore_errors=True)
        with suppress(OSError):
            self.place.mkdir()
            (self.place / f"{_GONE}.parquet").write_text(_GONE)
        _LET_GO.append(self._folder)


class _Persisted:
    """Rows that Spark keeps."""

    def __init__(self, rows: DataFrame) -> None:
        self._rows = rows

    def release(self) -> None:
        """Have Spark let go of them.

        In a thread of its own: garbage may be collected in the midst of another call to the JVM or
        the server.
        """
        threading.Thread(target=self._unpersist, daemon=True).start()

    let_go = release

    def _unpersist(self) -> None:
        with suppress(Exception):  # the session may have been stopped
            self._rows.unpersist()

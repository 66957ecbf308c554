"""Many tables in one session: a run for each configuration of a folder, one after the other.

A run that fails takes no other with it, and nothing of a run is kept for the next but a line.
"""

from __future__ import annotations

import gc
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from lq_spark import progress
from lq_spark.errors import LqError
from lq_spark.job.exits import (
    BAD_ARGUMENTS,
    GATE_FAILED,
    RUN_TIME_ERROR,
    exit_code_of,
    sentence_of,
    tell,
    worst_of,
)
from lq_spark.job.folder import ConfigFile
from lq_spark.job.results import Failure, ManyResults, RunId, TableResults
from lq_spark.job.single import done, noted_failure, planned
from lq_spark.job.tasks.registry import TASKS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lq_spark.job.config import JobConfig

Start = Callable[[], AbstractContextManager["SparkSession"]]

_HEADER = ("file", "task", "status", "rows", "issues", "seconds", "")


@dataclass
class ManyRuns:
    """The runs of a folder's configurations, and how they went.

    Attributes
    ----------
    files : sequence of ConfigFile
    dry_run : bool
        Check all but the scoring.
    max_seconds : float or None
        When so much time has passed no further run is started.
    run_results : str or None
        A JSON file for how all of them ended; without it less of that is kept.
    clock : callable
        Seconds that pass.
    """

    files: Sequence[ConfigFile]
    dry_run: bool = False
    max_seconds: float | None = None
    run_results: str | None = None
    clock: Callable[[], float] = time.monotonic
    tables: list[TableResults] = field(default_factory=list)
    _interruption: KeyboardInterrupt | None = None

    def run(self, start: Start) -> int:
        """Run them on a session, which the first run starts; print what was done.

        Returns the exit code: the worst of the tables'.
        """
        started_at, begin = datetime.now(timezone.utc), self.clock()
        for file in self.files:
            if file.error is not None:
                tell(file.error, f"{file.name}: ")
        with ExitStack() as stack:
            session = _Session(stack, start)
            for number, file in enumerate(self.files, 1):
                with progress.step(file.name, number, len(self.files)):
                    self.tables.append(self._table(file, session, self.clock() - begin))
                session.let_go()
            code = worst_of(table.exit_code for table in self.tables)
            print(self.text(code), flush=True)
            if self.run_results is not None and not self.dry_run:
                ManyResults(
                    exit_code=code,
                    started_at=started_at,
                    finished_at=datetime.now(timezone.utc),
                    tables=self.tables,
                ).save(self.run_results)
        if self._interruption is not None:
            raise self._interruption
        return code

    def _table(self, file: ConfigFile, session: _Session, passed: float) -> TableResults:
        if file.config is None:
            return _without_run(file, "bad_config", BAD_ARGUMENTS, file.error)
        why = None
        if self._interruption is not None:
            why = "the command was interrupted before"
        elif self.max_seconds is not None and passed >= self.max_seconds:
            why = f"{passed:.0f} s had passed, and no run starts after {self.max_seconds:g} s"
        if why is not None:
            return _without_run(file, "not_started", RUN_TIME_ERROR, LqError(why))
        return self._run(file.name, file.config, session)

    def _run(self, name: str, config: JobConfig, session: _Session) -> TableResults:
        which, begin = RunId(), self.clock()
        known: dict[str, Any] = {"file": name, "task": config.task}
        try:
            spark = session.opened()
            begin = self.clock()  # a start of the session is no time of the table
            with progress.step(title := TASKS[config.task].title):
                if self.dry_run:
                    ended = planned(spark, config, which)
                else:
                    ended = done(spark, config, which, with_results=True)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the others still run
            if isinstance(error, KeyboardInterrupt):
                self._interruption = error.with_traceback(None)
            else:
                tell(error, f"{name}: ")
                session.look_after(name, error)
            results = None if self.dry_run else noted_failure(config, which, error)
            known |= {"status": "failed", "exit_code": exit_code_of(error), "error": _why(error)}
        else:
            print(f"== {name}: {title} ==\n{ended.text}\n", flush=True)
            results = ended.results
            status = "gate_failed" if ended.code == GATE_FAILED else "succeeded"
            known |= {"status": status, "exit_code": ended.code}
        if results is not None and results.rows is not None:
            counts = {metric.metric: metric.value for metric in results.metrics if not metric.of}
            known |= {"rows": results.rows.read, "issues": counts.get(config.issue_count or "")}
        if self.run_results is not None:
            known["run"] = results
        return TableResults(seconds=self.clock() - begin, **known)

    def text(self, code: int) -> str:
        """Return what is printed at the end: a line for each file, and the exit code."""
        rows = [_HEADER, *(self._cells(table) for table in self.tables)]
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [
                cell.rjust(width) if 3 <= place <= 5 else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        counts = Counter(row[2] for row in rows[1:])
        said = ", ".join(f"{n} {status}" for status, n in counts.items())
        return "\n".join([*lines, f"{said}; exit code {code}"])

    def _cells(self, table: TableResults) -> tuple[str, ...]:
        status = table.status.replace("_", " ")
        if table.status == "succeeded":
            status = "checked" if self.dry_run else "done"
        numbers = [
            "-" if number is None else f"{number:{form}}"
            for number, form in ((table.rows, ","), (table.issues, ","), (table.seconds, ".1f"))
        ]
        said = "" if table.error is None else re.split(r"(?<=[.!?])\s|\n", table.error.message)[0]
        return (table.file, table.task or "-", status, *numbers, said)


class _Session:
    """The session of all runs: started for the first, and whether it is still there."""

    def __init__(self, stack: ExitStack, start: Start) -> None:
        self._stack, self._start = stack, start
        self._spark: SparkSession | None = None
        self._lost: LqError | None = None

    def opened(self) -> SparkSession:
        """Return the session.

        Raises LqError if it has ended, or could not be started before.
        """
        if self._lost is not None:
            raise self._lost.with_traceback(None)
        if self._spark is None:
            with progress.step("session"):
                self._spark = self._stack.enter_context(self._start())
        return self._spark

    def let_go(self) -> None:
        """Let go of the tables of a run that has ended, and of what the engine keeps for them."""
        if self._spark is not None:
            from lq_spark.engine.kinds import forget_answers  # imports pyspark

            forget_answers(self._spark)
            gc.collect()  # some refer to themselves

    def look_after(self, name: str, error: Exception) -> None:
        """See whether the session is still there, after a run that an error has ended."""
        if self._lost is not None:
            return
        if self._spark is None:
            why = f"the session could not be started ({sentence_of(error)})"
            self._lost = error if isinstance(error, LqError) else LqError(why)
        elif not isinstance(error, LqError):
            try:
                self._spark.sql("SELECT 1").collect()
            except Exception:  # noqa: BLE001 - whatever it is, it answers no more
                self._lost = LqError(f"the session ended while {name} was run")


def _without_run(
    file: ConfigFile, status: Any, exit_code: int, error: Exception | None
) -> TableResults:
    task = None if file.config is None else file.config.task
    why = None if error is None else _why(error)
    return TableResults(file=file.name, status=status, exit_code=exit_code, task=task, error=why)


def _why(error: BaseException) -> Failure:
    return Failure(type=type(error).__name__, message=sentence_of(error))

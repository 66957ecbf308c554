"""One run, of whatever task: read, score beside the outputs, check, put in place, record.

Passes over the source: its keys, alone or with more; those of the task itself. A clean table is not
validated row by row: only if its keys do not tell the rows apart, or a row could not be scored, the
rows are looked at one by one, set aside or named, and the others scored anew.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.engine.inputs import column, require_columns
from lq_spark.engine.kinds import engine_of
from lq_spark.engine.parquet_files import failed_reading
from lq_spark.engine.readings import without_reading
from lq_spark.engine.sums import count_values
from lq_spark.errors import (
    DataError,
    InvalidRowsError,
    LqError,
    OptionError,
    TableError,
    listed,
)
from lq_spark.job.clock import Clock
from lq_spark.job.comments import commented
from lq_spark.job.mlflow import require_mlflow
from lq_spark.job.reasons import count_reasons, reasons_text
from lq_spark.job.record.record import run_properties
from lq_spark.job.report import histogram_reductions, require_shown, shown_parts
from lq_spark.job.results import RunId
from lq_spark.job.since import Part, Since
from lq_spark.job.summary import Reader, Report, SetAside
from lq_spark.job.task import ARROW_BATCHES, READER_BATCHES
from lq_spark.job.tasks.registry import TASKS
from lq_spark.report.page import require_extra
from lq_spark.tables.formats import Output, Source, existing, output_table, read_table
from lq_spark.tables.staged import require_writable
from lq_spark.tables.workers import read_by_workers
from lq_spark.tasks.shared.names import DUPLICATE_ID, INVALID_REASON

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from lq_spark.engine.reductions import Reduced, Reductions
    from lq_spark.job.config import JobConfig
    from lq_spark.job.summary import Summary
    from lq_spark.job.task import Task
    from lq_spark.report.parts import Section
    from lq_spark.tables.spec import TableSpec

Tables = Mapping[str, "DataFrame"]
Places = dict[str, Output]
StateOf = Callable[["Task[Any]", int], dict[str, str]]
"""(a task that has scored rows, how many were set aside that share an id) -> properties."""


def no_state(task: Task[Any], n_duplicates: int) -> dict[str, str]:
    """Return nothing for a later run to go on from."""
    return {}


class JobRun:
    """A run: its configuration, and its source, opened at one version and checked.

    Raises
    ------
    OptionError, ColumnError, DataError
        If there is no such table or version, a column is missing or of another type, or options do
        not go with the table.
    """

    def __init__(
        self,
        spark: SparkSession,
        config: JobConfig,
        which: RunId | None = None,
        batch: DataFrame | None = None,
    ) -> None:
        self.spark, self.config, self.which = spark, config, which or RunId()
        self.clock = Clock()
        self.changed: Part | None = None
        with self.clock.timed("open"):
            table = None if batch is None else Source(batch, "stream", None)
            self.opened = table or read_table(spark, config.input_spec)
            for kept in config.keep_columns:
                require_columns(self.opened.df, keep_columns=kept)
            self.reader = Reader(self._engine, "a stream") if table else self._reader()
            self.task = self._task(config, self.opened.df)

    def _task(self, config: JobConfig, source: DataFrame) -> Task[Any]:
        return TASKS[config.task].load()(self.spark, config, source, self.clock.timed)

    def part(self, changed: Part) -> JobRun:
        """Return the run of a part of the rows, which it merges into the outputs."""
        run, config = copy.copy(self), self.config
        run.changed, run.reader = changed, Reader(self._engine, "rows that have changed")
        if self.task.n_classes and getattr(config, "n_classes", self) is None:
            # Of all rows the first may have said it; of a part there may be none.
            config = config.model_copy(update={"n_classes": self.task.n_classes})
        run.task = run._task(config, changed.rows)
        return run

    @property
    def _outputs(self) -> dict[str, TableSpec]:
        outputs = self.config.outputs
        if self.changed is None:
            return outputs
        return {option: replace(spec, mode="merge") for option, spec in outputs.items()}

    def _reader(self) -> Reader:
        """Have the workers read the source if they are to and can; return who reads it."""
        if self.config.reader == "spark":
            return Reader(self._engine, "as configured")
        named = self.config.columns_named(self.opened.df.columns)
        why_not = read_by_workers(self.config.input_spec, self.opened, named)
        if why_not and self.config.reader == "files":
            raise OptionError(f"reader: the workers cannot read {self.config.input!r}: {why_not}")
        return Reader(self._engine, why_not)

    @property
    def _engine(self) -> str:
        return engine_of(self.spark).name

    def check_outputs(self) -> list[tuple[TableSpec, StructType]]:
        """Return the tables that the run writes, with the columns of their rows.

        Raises
        ------
        OptionError, TableError
            If a table or a file of the run cannot be written.
        """
        tables, specs = self.task.no_rows(), self._outputs
        if self.config.on_invalid == "quarantine":
            specs |= self.config.quarantines
            tables |= self.task.checked()
        outputs = [(spec, self._commented(tables[option]).schema) for option, spec in specs.items()]
        for spec, schema in outputs:
            if missing := [name for name in spec.partition_by if name not in schema.names]:
                raise OptionError(
                    f"partition_by: {spec.option} has no {listed(missing)}; "
                    f"it has {listed(schema.names)}"
                )
            output_table(self.spark, spec).check(schema)
        for option, path in self.config.files.items():
            require_writable(option, path, folder=False)
        for option, path in self.config.folders.items():
            require_writable(option, path, folder=True)
        for option, path in self.config.reports.items():
            require_writable(option, path, folder=False)
        if self.config.mlflow:
            require_mlflow()
        if self.config.report is not None:
            require_extra("report")
            require_shown(self.task)
        return outputs

    def run(self, state_of: StateOf = no_state, since: Since | None = None) -> Report:
        """Score the table and put the scores in place; return what was done.

        ``state_of`` says what a later run goes on from, and ``since`` from where this one does.
        Where a worker turns out unable to read a file, all is done anew with Spark as the reader.

        Raises
        ------
        InvalidRowsError
            If rows cannot be scored and are to stop the run: nothing is put in place.
        OptionError, TableError
            If an output cannot be written.
        LqError
            If rows were lost or added while the table was read.
        """
        self.check_outputs()
        try:
            return self._run(state_of, since)
        except Exception as error:
            why_not = failed_reading(error)
            if why_not is None:
                raise
            if self.config.reader == "files":
                raise TableError(f"reader: {why_not}") from error
            without_reading(self.opened.df)
            self.reader = Reader(self._engine, why_not)
        try:
            return self._run(state_of, since)
        except LqError:
            raise
        except Exception as error:  # the engine could not either, and says less
            raise TableError(f"input: {why_not}") from error

    def _run(self, state_of: StateOf, since: Since | None) -> Report:
        config, timed = self.config, self.clock.timed
        with ExitStack() as stack:
            outputs = _opened(stack, self.spark, self._outputs)
            quarantines: Places = {}
            if config.on_invalid == "quarantine":
                quarantines = _opened(stack, self.spark, config.quarantines)
            with timed("keys"):
                keys = self.task.keys(outputs["output"].scratch)
            attempt = _Attempt(self, keys.n_rows, outputs)
            rows = {"quarantine": self.task.rows, **self.task.further_rows}
            set_aside = {option: SetAside(name, {}) for option, name in rows.items()}
            if not keys.is_unique or not attempt.score(self.task.source):
                checked = {o: self._commented(table) for o, table in self.task.checked().items()}
                with timed("invalid rows"):
                    faults = {
                        option: self._written(option, table, quarantines, outputs["output"])
                        for option, table in checked.items()
                    }
                    for option, table in faults.items():
                        set_aside[option] = replace(set_aside[option], reasons=count_reasons(table))
                    self._require_usable(keys.n_rows, set_aside, faults, attempt.why)
                usable = checked["quarantine"].where(column(INVALID_REASON).isNull())
                attempt = _Attempt(self, keys.n_rows - set_aside["quarantine"].n, outputs)
                attempt.score(usable.drop(INVALID_REASON))
            elif quarantines:
                for option, table in self.task.checked().items():
                    none = self._commented(table.where(F.lit(False)))
                    quarantines[option].stage(self._with_earlier(option, none))
            n_bad = set_aside["quarantine"].n
            if attempt.n_unscored or keys.n_rows != attempt.n_scored + n_bad:
                raise LqError(
                    f"{keys.n_rows} {self.task.rows} read, but {attempt.n_scored} scored and "
                    f"{n_bad} set aside; did the table change during the run?{attempt.why}"
                )
            with timed("summary"):
                found = attempt.task.summarize(attempt.staged)
            shown = self._shown(attempt, found)
            self._save(attempt.task)
            n_duplicates = set_aside["quarantine"].reasons.get(DUPLICATE_ID, 0)
            state = state_of(attempt.task, n_duplicates)
            with timed("write"):
                if self.changed is not None:
                    for place in outputs.values():
                        place.remove(self.changed.keys)
                # The output last: whatever cannot be written leaves the earlier one as it was.
                for place in (*quarantines.values(), *reversed(outputs.values())):
                    is_last = place is outputs["output"]
                    place.commit(run_properties(config, self.which) | (state if is_last else {}))
        return Report(
            self.which.run_id,
            self.reader,
            keys.n_rows,
            attempt.n_scored,
            set_aside,
            found,
            self.clock.seconds,
            shown,
            since,
        )

    def _shown(self, attempt: _Attempt, found: Summary) -> Sequence[Section]:
        """Return what a report shows of the rows that an attempt has scored, if one is wanted."""
        if self.config.report is None or not attempt.n_scored or attempt.rows is None:
            return ()
        states, parts = attempt.staged["output"].states, found.parts(self.config)
        with self.clock.timed("report"):
            return shown_parts(attempt.task, parts, states, attempt.rows)

    def _with_earlier(self, option: str, invalid: DataFrame) -> DataFrame:
        """Return rows that cannot be scored, with those that could not be and have not changed."""
        spec = self.config.quarantines[option]
        if self.changed is None or (earlier := existing(self.spark, spec)) is None:
            return invalid
        rest = earlier.join(self.changed.keys, self.config.row_id, "left_anti")
        return rest.select(*map(column, invalid.columns)).unionByName(invalid)

    def _written(
        self, option: str, checked: DataFrame, quarantines: Places, output: Output
    ) -> DataFrame:
        """Write the rows that cannot be scored; return their keys and reasons."""
        key, task = self.config.row_id, self.task
        invalid = checked.where(column(INVALID_REASON).isNotNull())
        if option in quarantines:
            invalid = quarantines[option].stage(self._with_earlier(option, invalid)).rows
            if self.changed is not None:
                invalid = invalid.join(self.changed.keys, key, "left_semi")
        else:  # to be counted and named, not kept
            invalid = output.scratch(invalid.select(column(key), INVALID_REASON)).rows
        reason = F.regexp_replace(column(INVALID_REASON), *task.place_in_reason)
        invalid = invalid.select(column(key), reason.alias(INVALID_REASON))
        return invalid.distinct() if task.shares_key else invalid

    def _require_usable(
        self, n_rows: int, set_aside: Mapping[str, SetAside], faults: Tables, why: str
    ) -> None:
        """Raise if rows that cannot be scored are to stop the run, or none was found."""
        unclear = self.task.unclear(set_aside["quarantine"].reasons)
        if not any(found.reasons for found in set_aside.values()):
            raise LqError(
                f"some {self.task.rows} could not be scored, but no one has a fault; "
                f"did the table change during the run?{why}"
            )
        if not unclear and self.config.on_invalid == "quarantine":
            return
        messages = []
        for option, found in set_aside.items():
            if found.reasons:
                n = f"{found.n} of {n_rows}" if option == "quarantine" else f"{found.n}"
                text = reasons_text(faults[option], self.config.row_id, found.reasons)
                messages.append(f"{n} {found.rows} cannot be scored: {text}")
        raise InvalidRowsError("; ".join(messages) + unclear)

    def _save(self, task: Task[Any]) -> None:
        for option, path in {**self.config.files, **self.config.folders}.items():
            fitted = task.fitted()[option]
            if fitted is None:
                raise DataError(
                    f"{option}: the table is empty, or has nothing that can be fitted, "
                    "so there is nothing to save"
                )
            fitted.save(path)

    def _commented(self, table: DataFrame) -> DataFrame:
        return commented(table, self.task.comments)


class _Attempt:
    """An attempt to score rows, and how far it has come."""

    def __init__(self, run: JobRun, n_rows: int, outputs: Places) -> None:
        self.run, self.n_rows, self.outputs = run, n_rows, outputs
        self.task = copy.copy(run.task)
        self.rows: DataFrame | None = None
        self.staged: dict[str, Reduced] = {}
        self.n_scored = self.n_unscored = 0
        self.why = ""

    def score(self, rows: DataFrame) -> bool:
        """Stage the tables of these rows; return whether all of them could be scored."""
        self.rows = rows
        with self.run.clock.timed("scores", f" of {self.n_rows:,} {self.task.rows}"):
            try:
                for option, table in self._tables(rows):
                    table = commented(table, self.task.comments)
                    staged = self.outputs[option].stage(table, self._reductions(option))
                    self.staged[option] = staged
                    if option == "output":
                        n_rows, self.n_scored = count_values(staged.rows, self.task.score_column)
                        self.n_unscored = n_rows - self.n_scored
                    if self.n_unscored:
                        return False
            except InvalidRowsError as error:
                self.n_scored, self.n_unscored = 0, self.n_rows
                self.why = f" ({error})"
        return not self.n_unscored

    def _reductions(self, option: str) -> Reductions:
        reductions = self.task.reductions(option)
        if option != "output" or self.run.config.report is None:
            return reductions
        return {**reductions, **histogram_reductions(self.task)}

    def _tables(self, rows: DataFrame) -> Iterator[tuple[str, DataFrame]]:
        if self.n_rows:
            yield from self.task.score(rows, self.outputs["output"].scratch)
        else:
            yield from self.task.no_rows().items()


def _opened(stack: ExitStack, spark: SparkSession, specs: Mapping[str, TableSpec]) -> Places:
    return {o: stack.enter_context(output_table(spark, spec)) for o, spec in specs.items()}


@contextmanager
def opened_run(
    spark: SparkSession,
    config: JobConfig,
    which: RunId | None = None,
    batch: DataFrame | None = None,
) -> Iterator[JobRun]:
    """Yield a run; then put the session's sizes of batches back, which it makes small for its rows.

    Raises
    ------
    OptionError, ColumnError, DataError
        As :class:`JobRun`.
    """
    before = {name: spark.conf.get(name, None) for name in (ARROW_BATCHES, READER_BATCHES)}
    try:
        yield JobRun(spark, config, which, batch)
    finally:
        with suppress(Exception):  # the session may be gone, which another error says
            for name, value in before.items():
                if value is None:  # it was not set
                    spark.conf.unset(name)
                elif spark.conf.get(name) != value:
                    spark.conf.set(name, value)

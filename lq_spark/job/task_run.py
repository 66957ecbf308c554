"""A run of a task in three steps: look at every row, make the tables, tell of them.

Passes over the source: one that looks at every row; those of the task itself. Where rows are set
aside, the task's passes look again which they are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol

from pyspark.sql import functions as F

from lq_spark.core.confident.model import NoiseModel
from lq_spark.engine.inputs import column
from lq_spark.errors import InvalidRowsError, LqError
from lq_spark.job.base import Config, JobRun
from lq_spark.job.comments import commented
from lq_spark.job.invalid import count_reasons, reasons_text
from lq_spark.tables.formats import Output, output_table
from lq_spark.tasks.shared.table import INVALID_REASON

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from lq_spark.tables.spec import TableSpec

Metric = tuple[str, str | None, float | None]
"""(metric, class or reason or phase or None, value)."""


class Summary(Protocol):
    """What a task tells of the tables that it has made."""

    @property
    def n_rows(self) -> int:
        """Return the rows of the output: one for each of the source that could be scored."""

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics that only this task has."""

    def lines(self, config: Any) -> Sequence[str]:
        """Return what the job prints below the places of the tables."""


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What a run of a task did.

    Attributes
    ----------
    written : dict
        Place of each table, by the option that names it.
    quarantined : dict
        Number of rows for each reason why they could not be scored.
    seconds : dict
        Wall-clock time for each phase.
    """

    run_id: str
    written: dict[str, str]
    quarantined: dict[str, int]
    found: Summary
    seconds: dict[str, float]
    noise: NoiseModel | None = None

    def metrics(self) -> Iterator[Metric]:
        """Yield (metric, class or reason or phase or None, value)."""
        n_bad = sum(self.quarantined.values())
        yield "rows", None, self.found.n_rows + n_bad
        yield "rows_scored", None, self.found.n_rows
        yield "rows_quarantined", None, n_bad
        for reason, count in self.quarantined.items():
            yield "rows_quarantined", reason, count
        yield from self.found.metrics()
        for phase, seconds in self.seconds.items():
            yield "seconds", phase, seconds

    def text(self, config: Any) -> str:
        """Return the summary that the job prints."""
        n_bad = sum(self.quarantined.values())
        lines = [f"{self.found.n_rows:,} of {self.found.n_rows + n_bad:,} rows scored"]
        told = {**self.written, "metrics": f"{config.metrics_path} (run {self.run_id})"}
        if config.on_invalid == "quarantine":
            counts = "; ".join(f"{reason}: {n:,}" for reason, n in self.quarantined.items())
            rows = f"({n_bad:,} rows{': ' + counts if counts else ''})"
            told["quarantine"] = f"{config.quarantine_path} {rows}"
        spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        told |= {**config.files, "time": spent}
        width = max(map(len, told)) + 2
        lines += [f"{option:<{width}}{place}" for option, place in told.items()]
        return "\n".join([*lines, *self.found.lines(config)])


class TaskRun(JobRun[Config], Generic[Config]):
    """A run of a task: a subclass says how rows are checked, scored and told of.

    ``__init__`` of the subclass checks columns and options, before a pass over the source.
    """

    @abstractmethod
    def specs(self) -> dict[str, TableSpec]:
        """Return the tables of the task by their options, ``output`` first."""

    @abstractmethod
    def tables(self, rows: DataFrame, keep: Output | None = None) -> dict[str, DataFrame]:
        """Return the tables of rows that can all be scored, by the options of :meth:`specs`.

        ``keep.scratch(df)`` writes down what several passes need; without it, the columns of the
        tables are asked for, and ``rows`` has none. A table without rows has tables without rows.
        """

    @abstractmethod
    def summarize(self, tables: Mapping[str, DataFrame]) -> Summary:
        """Tell of the tables, as they were written."""

    def save_fitted(self) -> None:
        """Save what was fitted, where it was asked for; before the outputs are put in place."""

    def outputs(self) -> list[tuple[TableSpec, StructType]]:
        """Return the tables that the run writes, with the columns of their rows."""
        specs = self.specs()
        made = self.tables(self.source.where(F.lit(False)))
        tables = [(spec, commented(made[option]).schema) for option, spec in specs.items()]
        if self.config.on_invalid == "quarantine":
            tables.append((self.config.quarantine_spec, self._checked(self.source).schema))
        return tables

    def run(self) -> TaskReport:
        """Score the table and put the tables in place; return what was done.

        Raises
        ------
        InvalidRowsError
            If rows cannot be scored and are to stop the run: nothing is put in place.
        OptionError, TableError
            If an output cannot be written.
        """
        config, specs = self.config, self.specs()
        self.check_outputs()
        with ExitStack() as stack:
            places = {
                option: stack.enter_context(output_table(self.spark, spec))
                for option, spec in specs.items()
            }
            quarantine = None
            if config.on_invalid == "quarantine":
                quarantine = stack.enter_context(output_table(self.spark, config.quarantine_spec))
            with self._timed("check"):
                n_rows, reasons = self._look(quarantine or places["output"])
            rows = self.source
            if reasons:
                rows = self._checked(rows).where(column(INVALID_REASON).isNull())
                rows = rows.drop(INVALID_REASON)
            elif quarantine is not None:
                quarantine.stage(self._checked(rows).where(F.lit(False)))
            with self._timed("scores"):
                made = self.tables(rows, places["output"])
                staged = {o: place.stage(commented(made[o])) for o, place in places.items()}
            with self._timed("summary"):
                found = self.summarize(staged)
            if found.n_rows != n_rows - sum(reasons.values()):
                raise LqError(
                    f"{n_rows} rows read, but {found.n_rows} scored and {sum(reasons.values())} "
                    "set aside; did the table change during the run?"
                )
            self.save_fitted()
            with self._timed("write"):
                # The output last: whatever cannot be written leaves the earlier one as it was.
                for place in (quarantine, *reversed(places.values())):
                    if place is not None:
                        place.commit(self.properties)
        written = {option: spec.name for option, spec in specs.items()}
        return TaskReport(self.which.run_id, written, reasons, found, self.seconds)

    def _checked(self, rows: DataFrame) -> DataFrame:
        return commented(self.checked(rows))

    def _look(self, place: Output) -> tuple[int, dict[str, int]]:
        """Return the number of rows, and of those that cannot be scored for each reason.

        Stage the latter, or raise if there are any and they are to stop the run.
        """
        checked, config = self._checked(self.source), self.config
        kind = self.kind_of_reason(column(INVALID_REASON))
        counts = count_reasons(checked.select(kind.alias(INVALID_REASON)))
        n_rows = sum(counts.values())
        reasons = {reason: n for reason, n in counts.items() if reason is not None}
        if not reasons:
            return n_rows, {}
        invalid = checked.where(column(INVALID_REASON).isNotNull())
        if config.on_invalid == "quarantine":
            place.stage(invalid)
            return n_rows, reasons
        # To be named, not kept.
        invalid = place.scratch(invalid.select(column(config.row_id), kind.alias(INVALID_REASON)))
        raise InvalidRowsError(
            f"{sum(reasons.values())} of {n_rows} rows cannot be scored: "
            f"{reasons_text(invalid, config.row_id, reasons)}"
        )

"""What is recorded of a run, whether it succeeds or fails, and the verdict of the gate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lq_spark import __version__
from lq_spark.engine.kinds import Engine, engine_of
from lq_spark.job.config import COMMON_METRICS, JobConfig
from lq_spark.job.gate import Metrics, Verdict, judge
from lq_spark.job.record.history import (
    EarlierRun,
    History,
    Joint,
    drift,
    earlier_run,
    metric_history,
)
from lq_spark.job.record.metrics import (
    CLASSES,
    FAILED,
    GATE_FAILED,
    METRICS,
    OVERLAPS,
    SUCCEEDED,
    Row,
    health_rows,
    schema_of,
)
from lq_spark.job.results import RunId
from lq_spark.job.summary import Report
from lq_spark.tables.additions import add_rows, check_rows
from lq_spark.tables.formats import Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

    from lq_spark.tables.spec import TableSpec


def run_properties(config: JobConfig, which: RunId) -> dict[str, str]:
    """Return what the commits of a run say of it."""
    return {
        "lq_spark.version": __version__,
        "lq_spark.run_id": which.run_id,
        "lq_spark.config_fingerprint": config.fingerprint,
    }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes
    ----------
    report : Report
    verdicts : list of Verdict
        Of each condition of the gate.
    drift : dict
        (metric, class or None) -> difference from the earlier run; empty without one.
    engine : Engine
        What it ran on.
    source : Source
        What it read.
    metrics : dict
        (metric, class or None) -> value; the drift too.
    started_at : datetime
    previous : EarlierRun or None
        The last of the same input and output that has succeeded.
    history : History
        Earlier runs and this one, if a report was asked for.
    """

    report: Report
    verdicts: list[Verdict]
    drift: dict[tuple[str, str | None], float | None]
    engine: Engine
    source: Source
    metrics: dict[tuple[str, str | None], float | None]
    started_at: datetime
    previous: EarlierRun | None
    history: History

    @property
    def gate_failed(self) -> bool:
        """Return whether a condition of ``fail_if`` is met."""
        return any(v.met and v.condition.option == "fail_if" for v in self.verdicts)

    def text(self, config: JobConfig) -> str:
        """Return what the job prints."""
        read = "" if self.source.version is None else f", input read as {self.source.text}"
        lines = [f"lq_spark {__version__} on {self.engine}{read}", self.report.text(config)]
        whole = [(metric, value) for (metric, name), value in self.drift.items() if name is None]
        if whole:
            drifts = ", ".join(f"{metric.removeprefix('drift_')} {v:+.4f}" for metric, v in whole)
            lines += ["", f"drift since the earlier run: {drifts}"]
        if self.verdicts:
            lines.append("")
        for verdict in self.verdicts:
            option, text = verdict.condition.option, verdict.condition.text
            if verdict.met is None:
                lines.append(f"{option} {verdict.explanation} ({text})")
            else:
                lines.append(
                    f"{option} {'MET' if verdict.met else 'not met'}: {verdict.explanation}"
                )
            if verdict.warning is not None:
                lines.append(
                    f"WARNING: {option} ({text}) names what is not there: {verdict.warning}"
                )
        return "\n".join(lines)


class RunRecord:
    """The tables that every run adds to.

    Raises
    ------
    OptionError, TableError
        If a table is there and has other columns, or cannot be written.
    """

    def __init__(self, spark: SparkSession, config: JobConfig, which: RunId | None = None) -> None:
        self.spark, self.config, self.which = spark, config, which or RunId()
        self._tables: dict[TableSpec, StructType] = {}
        for spec, columns in zip(
            config.records.values(), (METRICS, CLASSES, OVERLAPS), strict=False
        ):
            schema = schema_of(columns)
            check_rows(spark, spec, schema)
            self._tables[spec] = schema
        self.previous: EarlierRun | None = None
        self.reference: EarlierRun | None = None

    def look_back(self) -> None:
        """Read the earlier runs that this one is compared with.

        Raises
        ------
        OptionError
            If there is no run ``reference`` that has succeeded.
        """
        self.previous = self.reference = earlier_run(self.spark, self.config, None)
        if self.config.reference is not None:
            self.reference = earlier_run(self.spark, self.config, self.config.reference)

    def succeeded(self, source: Source, report: Report) -> Outcome:
        """Judge and record a run that has written its outputs.

        Raises TableError if it cannot be recorded.
        """
        classes: list[Row] = []
        overlaps: list[Row] = []
        if report.noise is not None:
            classes, overlaps = health_rows(report.noise)
        now: dict[tuple[str, str | None], float | None] = {
            (metric, name): None if value is None else float(value)
            for metric, name, value in report.metrics()
        }
        if self.previous is not None:
            now = {**self.previous.reasons(), **now}
        changes = self._drift(now, None if report.noise is None else joint_of(overlaps))
        now |= changes
        before = None if self.previous is None else self.previous.metrics
        verdicts = [judge(condition, now, before) for condition in self.config.conditions]
        outcome = Outcome(
            report,
            verdicts,
            changes,
            engine_of(self.spark),
            source,
            dict(now),
            self.which.started_at,
            self.previous,
            self._history(now),
        )
        for verdict in verdicts:
            # Null: it could not be judged.
            met = None if verdict.met is None else float(verdict.met)
            now[verdict.condition.option, verdict.condition.text] = met
        status = GATE_FAILED if outcome.gate_failed else SUCCEEDED
        rows = [(metric, name, value) for (metric, name), value in now.items()]
        tables = list(zip(self._tables.items(), (rows, classes, overlaps), strict=False))
        for (spec, schema), added in reversed(tables):  # a run that has metrics has all
            if added:
                self._add(spec, schema, source.version, status, added)
        return outcome

    def failed(self, version: int | None, error: Exception) -> None:
        """Record a run that has failed; if that fails too, say so and let the first error go on."""
        [(spec, schema), *_] = self._tables.items()
        try:
            self._add(spec, schema, version, FAILED, [("failed", type(error).__name__, 1.0)])
        except Exception as another:  # noqa: BLE001
            logging.getLogger(__name__).warning("the failed run was not recorded: %s", another)

    def _history(self, now: Metrics) -> History:
        names = [*COMMON_METRICS, *self.config.metrics_of_task]
        if self.config.report is None:
            return History([], {})
        return metric_history(self.spark, self.config, names, self.which.started_at, now)

    def _drift(self, now: Metrics, joint: Joint | None) -> dict[tuple[str, str | None], Any]:
        if self.reference is None:
            return {}
        earlier = self.reference
        joint_before: Joint = {}
        if joint is not None:
            [*_, overlaps] = self._tables
            joint_before = earlier.joint(self.spark, overlaps)
        found = drift(now, earlier.metrics, joint, joint_before, self.config.class_counts)
        return {(metric, name): value for metric, name, value in found}

    def _add(
        self,
        spec: TableSpec,
        schema: StructType,
        version: int | None,
        status: str,
        rows: Sequence[Row],
    ) -> None:
        run = (
            self.which.run_id,
            self.which.started_at,
            self.config.input,
            version,
            self.config.output,
            self.config.fingerprint,
            __version__,
            str(engine_of(self.spark)),
            status,
        )
        added = [(*run, *row) for row in rows]
        add_rows(self.spark, spec, added, schema, run_properties(self.config, self.which))


def joint_of(overlaps: Sequence[Row]) -> Joint:
    """Return a joint of the rows that the table of overlaps has of it."""
    return {(given, true): value for _, given, _, true, _, value in overlaps}

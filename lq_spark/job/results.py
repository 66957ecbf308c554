"""How a run ended, as one JSON file: what an orchestrator reads."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lq_spark import __version__
from lq_spark.core.shared.saved import write_whole

if TYPE_CHECKING:
    from lq_spark.job.config import JobConfig
    from lq_spark.job.record.record import Outcome


@dataclass(frozen=True, slots=True)
class RunId:
    """Which run it is."""

    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Failure(_Strict):
    """Why a run failed."""

    type: str = Field(description="class of the error")
    message: str


class Metric(_Strict):
    """A metric of a run."""

    metric: str
    of: str | None = Field(description="class, reason or phase that it is of; null for the table")
    value: float | None = Field(description="null where it is undefined")


class Condition(_Strict):
    """A condition of the gate, judged."""

    option: str = Field(description="fail_if or warn_if")
    condition: str
    met: bool | None = Field(description="null where it could not be judged")
    explanation: str
    warning: str | None


class WrittenTable(_Strict):
    """A table that was written."""

    option: str
    name: str
    format: str
    mode: str
    version: int | None = Field(
        description="Delta version or Iceberg snapshot, the newest when the run had ended"
    )


class ReadTable(_Strict):
    """The table that was read."""

    name: str
    format: str
    version: int | None = Field(description="Delta version or Iceberg snapshot")
    reader: str = Field(description="who read it, and why")


class Rows(_Strict):
    """How many rows there were."""

    read: int
    scored: int
    quarantined: int


class RunResults(_Strict):
    """How a run ended."""

    format: Literal["lq_spark.run_results"] = "lq_spark.run_results"
    format_version: Literal[1] = 1
    status: Literal["succeeded", "gate_failed", "failed"]
    exit_code: int = Field(description="of the process: see the jobs' --help")
    error: Failure | None = None
    run_id: str
    started_at: datetime
    finished_at: datetime
    task: str
    config_fingerprint: str
    lq_spark_version: str = __version__
    engine: str | None = None
    input: ReadTable | None = None
    rows: Rows | None = None
    metrics: list[Metric] = []
    gate: list[Condition] = []
    tables: list[WrittenTable] = []
    files: dict[str, str] = Field({}, description="files and folders written, by option")
    seconds: dict[str, float] = Field({}, description="wall-clock time of each phase")

    def save(self, path: str) -> None:
        """Write it to a file; raise TableError if it cannot be written."""
        write_whole(path, self.model_dump_json(indent=1) + "\n", "run_results")


class TableResults(_Strict):
    """How it went with one configuration of a folder."""

    file: str = Field(description="name of the configuration's file")
    status: Literal["succeeded", "gate_failed", "failed", "bad_config", "not_started"]
    exit_code: int = Field(description="that a run of this one alone would have had")
    task: str | None = Field(default=None, description="null where the configuration is wrong")
    error: Failure | None = None
    rows: int | None = None
    issues: int | None = Field(default=None, description="null where the task does not count any")
    seconds: float | None = Field(default=None, description="wall-clock time of the run")
    run: RunResults | None = Field(default=None, description="null where there was no run")


class ManyResults(_Strict):
    """How the runs of all configurations of a folder ended."""

    format: Literal["lq_spark.many_results"] = "lq_spark.many_results"
    format_version: Literal[1] = 1
    exit_code: int = Field(description="of the process: the worst of the tables'")
    started_at: datetime
    finished_at: datetime
    lq_spark_version: str = __version__
    tables: list[TableResults] = Field(description="in the order of the files' names")

    def save(self, path: str) -> None:
        """Write it to a file; raise TableError if it cannot be written."""
        write_whole(path, self.model_dump_json(indent=1) + "\n", "run_results")


def failed(config: JobConfig, which: RunId, error: BaseException, exit_code: int) -> RunResults:
    """Return that a run failed."""
    return RunResults(
        status="failed",
        exit_code=exit_code,
        error=Failure(type=type(error).__name__, message=str(error)),
        **_known(config, which),
    )


def ended(
    config: JobConfig,
    which: RunId,
    outcome: Outcome,
    exit_code: int,
    tables: Sequence[WrittenTable],
) -> RunResults:
    """Return what a run did that has written its tables."""
    report, source = outcome.report, outcome.source
    aside = report.set_aside["quarantine"].n
    return RunResults(
        status="gate_failed" if outcome.gate_failed else "succeeded",
        exit_code=exit_code,
        engine=str(outcome.engine),
        input=ReadTable(
            name=config.input,
            format=source.format,
            version=source.version,
            reader=str(report.reader),
        ),
        rows=Rows(read=report.n_rows, scored=report.n_scored, quarantined=aside),
        metrics=[
            Metric(metric=metric, of=of, value=value)
            for (metric, of), value in outcome.metrics.items()
        ],
        gate=[
            Condition(
                option=verdict.condition.option,
                condition=verdict.condition.text,
                met=verdict.met,
                explanation=verdict.explanation,
                warning=verdict.warning,
            )
            for verdict in outcome.verdicts
        ],
        tables=list(tables),
        files={**config.files, **config.folders, **config.reports},
        seconds=report.seconds,
        **_known(config, which),
    )


def _known(config: JobConfig, which: RunId) -> dict[str, Any]:
    return {
        "run_id": which.run_id,
        "started_at": which.started_at,
        "finished_at": datetime.now(timezone.utc),
        "task": config.task,
        "config_fingerprint": config.fingerprint,
    }

"""A run that is recorded, whether it succeeds or fails, and judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lq_spark.job.mlflow import logged_run
from lq_spark.job.record.record import Outcome, RunRecord, run_properties
from lq_spark.job.report import page_of
from lq_spark.job.results import RunId, WrittenTable
from lq_spark.job.run import JobRun, opened_run
from lq_spark.job.since import run_batch, run_since, state_before
from lq_spark.report.page import save
from lq_spark.tables.formats import newest_version

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lq_spark.job.config import JobConfig
    from lq_spark.job.summary import Report


def execute(spark: SparkSession, config: JobConfig, which: RunId | None = None) -> Outcome:
    """Run a job: score, write, judge and record; a run that fails is recorded too."""

    def report_of(run: JobRun) -> Report:
        return run_since(run) if config.since_last_run else run.run()

    return _executed(spark, config, which or RunId(), report_of)


def execute_batch(batch: DataFrame, number: int, config: JobConfig) -> Outcome | None:
    """Do the same with a batch of a stream, unless it was done before."""
    spark = batch.sparkSession
    state, was_scored = state_before(spark, config, number)
    if was_scored:
        return None
    return _executed(spark, config, RunId(), lambda run: run_batch(run, number, state), batch)


def _executed(
    spark: SparkSession,
    config: JobConfig,
    which: RunId,
    report_of: Callable[[JobRun], Report],
    batch: DataFrame | None = None,
) -> Outcome:
    with logged_run(config, run_properties(config, which)) as log:
        record, version = RunRecord(spark, config, which), None
        try:
            record.look_back()
            with opened_run(spark, config, which, batch) as run:
                version = run.opened.version
                report = report_of(run)
        except Exception as error:
            record.failed(version, error)
            raise
        outcome = record.succeeded(run.opened, report)
        if config.report is not None:
            save(page_of(config, outcome), config.report)
        log(outcome)
    return outcome


def written_tables(spark: SparkSession, config: JobConfig) -> list[WrittenTable]:
    """Return the tables that a run of this configuration has written, with their versions."""
    tables = {**config.outputs, **config.records}
    if config.on_invalid == "quarantine":
        tables |= config.quarantines
    return [
        WrittenTable(
            option=option,
            name=spec.name,
            format=spec.format or "",
            mode=spec.mode,
            version=newest_version(spark, spec),
        )
        for option, spec in tables.items()
    ]

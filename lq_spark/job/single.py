"""A run of one configuration on a session: what it prints, its exit code, its results in a file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lq_spark.errors import TableError
from lq_spark.job.exits import DONE, GATE_FAILED, exit_code_of
from lq_spark.job.results import RunId, RunResults, ended, failed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lq_spark.job.config import JobConfig


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended without an error: ``results`` are there if they were wanted."""

    text: str
    code: int
    results: RunResults | None = None


def planned(spark: SparkSession, config: JobConfig, which: RunId) -> Ended:
    """Check all but the scoring; return what a run would do."""
    from lq_spark.job.plan import plan
    from lq_spark.job.record.record import RunRecord
    from lq_spark.job.run import opened_run

    RunRecord(spark, config, which).look_back()
    with opened_run(spark, config) as run_to_be:
        return Ended(plan(run_to_be), DONE)


def done(
    spark: SparkSession, config: JobConfig, which: RunId, *, with_results: bool = False
) -> Ended:
    """Run it; return what was done. The file of results is written where the configuration has one.

    ``with_results``: return them, also where there is no such file.
    """
    from lq_spark.job.execution import execute, written_tables

    outcome = execute(spark, config, which)
    code, results = GATE_FAILED if outcome.gate_failed else DONE, None
    if with_results or config.run_results is not None:
        results = ended(config, which, outcome, code, written_tables(spark, config))
        if config.run_results is not None:
            results.save(config.run_results)
    return Ended(outcome.text(config), code, results)


def noted_failure(config: JobConfig, which: RunId, error: BaseException) -> RunResults:
    """Return the results of a run that an error has ended, written where they are to be."""
    results = failed(config, which, error, exit_code_of(error))
    if config.run_results is not None:
        with suppress(TableError):  # the first error is the one to be seen
            results.save(config.run_results)
    return results

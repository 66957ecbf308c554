"""Earlier runs, as the metrics table tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.errors import OptionError
from lq_spark.job.drift import Joint
from lq_spark.job.metrics import SUCCEEDED
from lq_spark.tables.formats import existing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lq_spark.job.common_config import JobConfig
    from lq_spark.tables.spec import TableSpec


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run that has succeeded: what it measured."""

    run_id: str
    metrics: dict[tuple[str, str | None], float | None]

    def joint(self, spark: SparkSession, spec: TableSpec) -> Joint:
        """Return the joint of labels that it has estimated, without the diagonal.

        ``spec`` is the table of overlaps.
        """
        overlaps = existing(spark, spec)
        if overlaps is None:
            return {}
        # As many as pairs of classes that overlap.
        rows = overlaps.where(F.col("run_id") == self.run_id).select(
            "given", "true", "joint_probability"
        )
        return {(given, true): value for given, true, value in rows.collect()}


def earlier_run(spark: SparkSession, config: JobConfig, run_id: str | None) -> EarlierRun | None:
    """Return a run by its id, or the last of the same source and output, that succeeded.

    Raises
    ------
    OptionError
        If no run with this id has succeeded.
    """
    table = existing(spark, config.metrics_spec)
    newest = None
    if table is not None:
        wanted = F.col("status") == SUCCEEDED
        if run_id is not None:
            wanted &= F.col("run_id") == run_id
        else:  # several jobs may share the table, and a source
            wanted &= (F.col("source") == config.input) & (F.col("output") == config.output)
        runs = table.where(wanted).orderBy(F.desc("started_at"), F.desc("run_id"))
        newest = runs.select("run_id").first()
    if table is None or newest is None:
        if run_id is not None:
            raise OptionError(
                f"reference: no successful run {run_id!r} in {config.metrics_spec.name!r}"
            )
        return None
    rows = table.where(F.col("run_id") == newest[0]).select("metric", "class", "value").collect()
    return EarlierRun(newest[0], {(metric, name): value for metric, name, value in rows})

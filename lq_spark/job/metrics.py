"""The metrics table: one row a metric and run, in long form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lq_spark import __version__
from lq_spark.errors import TableError
from lq_spark.tables.parquet import as_uri

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lq_spark.job.config import ScoreConfig
    from lq_spark.job.report import Report

SCHEMA = (
    "run_id string, started_at timestamp, input string, config_fingerprint string, "
    "lq_spark_version string, spark_version string, metric string, class string, value double"
)
"""``class`` is the class, reason or phase that a metric is of; null for the whole table."""


def append_metrics(spark: SparkSession, config: ScoreConfig, report: Report) -> None:
    """Add the metrics of a run to the metrics table; raise TableError if that fails."""
    run = (
        report.run_id,
        report.started_at,
        config.input,
        config.fingerprint,
        __version__,
        spark.version,
    )
    rows = [(*run, metric, detail, float(value)) for metric, detail, value in report.metrics()]
    table = spark.createDataFrame(rows, SCHEMA).coalesce(1)
    try:
        table.write.mode("append").parquet(as_uri(config.metrics_path))
    except Exception as error:
        raise TableError(f"metrics: cannot write {config.metrics_path!r} ({error})") from error

"""The tables that every run adds to: metrics in long form, health and overlaps of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lq_spark import __version__
from lq_spark.core.class_health import class_health, class_overlaps
from lq_spark.core.noise_model import NoiseModel
from lq_spark.errors import TableError
from lq_spark.tables.parquet import as_uri

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lq_spark.job.config import JobConfig
    from lq_spark.job.report import Report
    from lq_spark.job.token_report import TokenReport

Row = tuple[Any, ...]

RUN = (
    "run_id string, started_at timestamp, input string, config_fingerprint string, "
    "lq_spark_version string, spark_version string"
)
METRICS = f"{RUN}, metric string, class string, value double"
"""``class`` is the class, reason or phase that a metric is of; null for the whole table."""

CLASSES = (
    f"{RUN}, class_index bigint, class string, label_issues bigint, inverse_label_issues bigint, "
    "label_noise double, inverse_label_noise double, label_quality_score double"
)
"""See :func:`lq_spark.core.health.rank_classes_by_label_quality`; a row a class."""

OVERLAPS = (
    f"{RUN}, given_index bigint, given string, true_index bigint, true string, "
    "num_overlapping bigint, joint_probability double"
)
"""A row a pair of classes that overlap at all: rows given one label that truly are of another."""


def append_metrics(spark: SparkSession, config: JobConfig, report: Report | TokenReport) -> None:
    """Add the metrics of a run, and the health of its labels, to their tables.

    Raises TableError if that fails.
    """
    run = (
        report.run_id,
        report.started_at,
        config.input,
        config.fingerprint,
        __version__,
        spark.version,
    )
    if report.noise is not None:
        classes, overlaps = _health(report.noise)
        _append(spark, config.class_health_path, CLASSES, run, classes)
        _append(spark, config.class_overlaps_path, OVERLAPS, run, overlaps)
    metrics = [(metric, detail, float(value)) for metric, detail, value in report.metrics()]
    _append(spark, config.metrics_path, METRICS, run, metrics)


def _health(noise: NoiseModel) -> tuple[list[Row], list[Row]]:
    names = np.array([str(name) for name in noise.classes or range(noise.n_classes)])
    health = class_health(noise.joint, noise.n_rows)
    overlaps = class_overlaps(noise.joint, noise.n_rows, asymmetric=True)
    classes = (
        health.class_index,
        names[health.class_index],
        health.label_issues,
        health.inverse_label_issues,
        health.label_noise,
        health.inverse_label_noise,
        1.0 - health.label_noise,
    )
    pairs = (
        overlaps.class_a,
        names[overlaps.class_a],
        overlaps.class_b,
        names[overlaps.class_b],
        overlaps.num_overlapping,
        overlaps.joint_probability,
    )
    class_rows, pair_rows = (
        list(zip(*(column.tolist() for column in columns), strict=True))
        for columns in (classes, pairs)
    )
    return class_rows, pair_rows


def _append(spark: SparkSession, path: str, schema: str, run: Row, rows: Sequence[Row]) -> None:
    table = spark.createDataFrame([(*run, *row) for row in rows], schema).coalesce(1)
    try:
        table.write.mode("append").parquet(as_uri(path))
    except Exception as error:
        raise TableError(f"metrics: cannot write {path!r} ({error})") from error

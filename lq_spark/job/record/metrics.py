"""The tables that every run adds to: metrics in long form, health and overlaps of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyspark.sql.types import (
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.health.tables import class_health, class_overlaps

Row = tuple[Any, ...]

SUCCEEDED, GATE_FAILED, FAILED = "succeeded", "gate_failed", "failed"
"""The status of a run."""

RUN = (
    "run_id string, started_at timestamp, source string, source_version bigint, output string, "
    "config_fingerprint string, lq_spark_version string, engine string, status string"
)
"""``source_version``: Delta version or Iceberg snapshot of the source; ``engine``: Spark 4.1.4."""

METRICS = f"{RUN}, metric string, class string, value double"
"""``class`` is the class, reason, phase or condition that a metric is of; null for the table.

A value that is undefined, as a rate of no rows, is null.
"""

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


_TYPES = {
    "string": StringType(),
    "bigint": LongType(),
    "double": DoubleType(),
    "timestamp": TimestampType(),
}


def schema_of(columns: str) -> StructType:
    """Return the schema of one of these tables; Spark itself would start its parser for it."""
    fields = (column.split() for column in columns.split(","))
    return StructType([StructField(name, _TYPES[kind]) for name, kind in fields])


def health_rows(noise: NoiseModel) -> tuple[list[Row], list[Row]]:
    """Return the rows of a run in the tables of classes and of overlaps, without which run."""
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

"""The calibration of the probabilities of a table, from one pass over them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pyarrow as pa

from lq_spark.core.health.calibration import (
    Calibration,
    CalibrationSums,
    finish_calibration,
    merge_calibrations,
    partial_calibration,
)
from lq_spark.engine.reductions import Reduction, reduce_all
from lq_spark.tasks.shared.batches import read_batch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.tasks.shared.table import LabelledTable


def calibration_of(
    df: DataFrame, table: LabelledTable, n_classes: int, tolerance: float
) -> Calibration | None:
    """Return the calibration of the rows that can be scored; None without rows."""
    inputs = {"label": table.label, "pred_probs": table.probabilities.input}
    partial = functools.partial(_partial, n_classes=n_classes, tolerance=tolerance)
    states = reduce_all(df, {"calibration": Reduction(inputs, partial, merge_calibrations)})
    sums = states["calibration"]
    return None if sums is None else finish_calibration(sums)


def _partial(batch: pa.RecordBatch, n_classes: int, tolerance: float) -> CalibrationSums:
    label, pred_probs = batch.columns
    usable = read_batch(label, pred_probs, n_classes, tolerance)
    return partial_calibration(usable.labels, usable.pred_probs)

"""The calibration of the probabilities of a table of label sets, from one pass over them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pyarrow as pa

from lq_spark.core.health.calibration import (
    Calibration,
    CalibrationSums,
    finish_label_calibrations,
    merge_calibrations,
    partial_label_calibrations,
)
from lq_spark.engine.reductions import Reduction, reduce_all
from lq_spark.tasks.multilabel.batches import read_label_sets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.tasks.multilabel.columns import LabelSetTable


def label_calibrations_of(
    df: DataFrame, table: LabelSetTable
) -> tuple[Calibration, list[Calibration]] | None:
    """Return the calibration of all probabilities, and of each class; None without rows.

    Of the rows that can be scored.
    """
    inputs = {"labels": table.label_arrays, "pred_probs": table.probabilities.input}
    partial = functools.partial(_partial, n_classes=table.n_classes, classes=table.classes)
    states = reduce_all(df, {"calibration": Reduction(inputs, partial, merge_calibrations)})
    sums = states["calibration"]
    return None if sums is None else finish_label_calibrations(sums)


def _partial(
    batch: pa.RecordBatch, n_classes: int, classes: tuple[str, ...] | None
) -> CalibrationSums:
    labels, pred_probs = batch.columns
    usable = read_label_sets(labels, pred_probs, n_classes, classes)
    return partial_label_calibrations(usable.is_given, usable.pred_probs)

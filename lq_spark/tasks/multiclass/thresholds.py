"""Class thresholds of a table, from one pass that sums up one probability a row."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from lq_spark.core.confident.thresholds import (
    ClassSums,
    Thresholds,
    confidence_sums,
    finish_thresholds,
    merge_class_sums,
)
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import PROBABILITY_SLACK, SUM_TOLERANCE
from lq_spark.core.shared.exact import SCALE_BITS
from lq_spark.engine.arrow import list_rows
from lq_spark.engine.numbers import values_of
from lq_spark.engine.reductions import Reduction, reduce_all
from lq_spark.engine.sums import scaled_halves
from lq_spark.errors import DataError, InvalidRowsError
from lq_spark.tasks.shared.classes import require_n_classes, require_two_of_boolean
from lq_spark.tasks.shared.probabilities import PredProbs
from lq_spark.tasks.shared.reasons import unknown_labels_text
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.table import LabelledTable, labelled_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def fit_thresholds(
    df: DataFrame,
    *,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    tolerance: float = SUM_TOLERANCE,
) -> Thresholds:
    """Return the confident threshold of each class, from one pass over the table.

    See :func:`lq_spark.core.confident.get_confident_thresholds` for what they are. The result does
    not depend, to the bit, on how the table is partitioned.

    Parameters
    ----------
    df : DataFrame
        One row a labelled example.
    label : str
        Column of the given label: a whole number 0..K-1 (in a float, double or decimal(p,0) too),
        a boolean where K is 2, or one of ``classes``.
    pred_probs : str or sequence of str
        Column of the K predicted probabilities: an array of float, double or decimal, a Spark ML
        vector, a struct or a map with a number for each class by its name, or one number, the
        probability of class 1 of two. Or a column a class, in the order of the classes.
    classes : sequence of str, optional
        Class names in the order of the probabilities; needed for a map, and where labels are
        strings, but for the fields of a struct, and columns that are named as classes.
    tolerance : float
        How far a probability may exceed 1.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If the table is empty or K is 1.
    InvalidRowsError
        If K is not the same in all rows, or a row has no usable ``pred_probs[label]``. The row's
        other probabilities are not looked at here, but by :func:`score` and :func:`validate`.
    """
    require_tolerance(tolerance)
    refuse_stream(df, "multiclass.fit_thresholds")
    table = labelled_table(df, label=label, pred_probs=pred_probs, classes=classes)
    return thresholds_of(sums_of(df, table, label, pred_probs, tolerance), table, label, pred_probs)


def sums_of(
    df: DataFrame, table: LabelledTable, label: str, pred_probs: PredProbs, tolerance: float
) -> ClassSums:
    """Return the sums of rows that can be scored, from one pass; raises as above."""
    reduction = class_sums(table, tolerance)
    sums = reduce_all(df, {"classes": reduction})["classes"] if reduction.by_workers(df) else None
    if sums is None or is_at_fault(sums):  # the native pass says what is wrong
        sums = _native_sums(df, table, label, pred_probs, tolerance)
    return sums


def thresholds_of(
    sums: ClassSums, table: LabelledTable, label: str, pred_probs: PredProbs
) -> Thresholds:
    """Return the thresholds from the sums of rows that can be scored; raises as above."""
    n_classes = len(sums.counts)
    require_n_classes(n_classes, None)
    require_two_of_boolean(table.label_type, label, n_classes)
    if table.classes is not None and len(table.classes) != n_classes:
        raise InvalidRowsError(
            f"column {pred_probs!r} has rows of {n_classes} probabilities, "
            f"classes has {len(table.classes)} names"
        )
    thresholds = finish_thresholds(sums)
    return Thresholds(tuple(thresholds.tolist()), tuple(sums.counts.tolist()), table.classes)


def _native_sums(
    df: DataFrame, table: LabelledTable, label: str, pred_probs: PredProbs, tolerance: float
) -> ClassSums:
    """Return the sums of a table, from one native pass.

    Raises
    ------
    DataError
        If the table is empty.
    InvalidRowsError
        If rows have no usable ``pred_probs[label]``, or have different K.
    """
    narrow = df.select(
        table.index.alias("index"),
        F.size(table.pred_probs).alias("size"),
        table.pred_probs.alias("probs"),
    )
    in_range = (F.col("index") >= 0) & (F.col("index") < F.col("size"))
    confidence = F.get("probs", F.when(in_range, F.col("index").cast("int")))
    usable = confidence.between(-PROBABILITY_SLACK, 1.0 + tolerance)
    high, low = scaled_halves(F.when(usable, confidence), SCALE_BITS)
    groups = (
        narrow.groupBy(F.when(usable, F.col("index")).alias("class"))
        .agg(
            F.count(F.lit(1)).alias("count"),
            F.sum(high).alias("high"),
            F.sum(low).alias("low"),
            F.min("size").alias("min_size"),
            F.max("size").alias("max_size"),
        )
        .collect()  # K rows, and one for what cannot be used
    )
    if not groups:
        raise DataError("the table is empty; class thresholds need at least 1 row")
    unusable = sum(group["count"] for group in groups if group["class"] is None)
    if unusable:
        raise InvalidRowsError(
            f"{unusable} of {sum(group['count'] for group in groups)} rows have no usable "
            f"{pred_probs if isinstance(pred_probs, str) else 'pred_probs'}[{label}]"
            f"{unknown_labels_text(df, table.index, label)}; multiclass.validate says which and why"
        )
    shortest = min(group["min_size"] for group in groups)
    n_classes = max(group["max_size"] for group in groups)
    if shortest != n_classes:
        raise InvalidRowsError(
            f"column {pred_probs!r} has rows of {shortest} and rows of {n_classes} probabilities"
        )
    sums = np.zeros((3, n_classes), dtype=np.int64)
    for group in groups:
        sums[:, group["class"]] = group["count"], group["high"], group["low"]
    return ClassSums(*sums)


def class_sums(table: LabelledTable, tolerance: float) -> Reduction[ClassSums]:
    """Return what sums up the given probabilities by class, where workers read the table."""
    inputs = {"index": table.label, "pred_probs": table.probabilities.input}
    return Reduction(inputs, functools.partial(_partial, tolerance=tolerance), merged_sums)


AT_FAULT = ClassSums(*np.zeros((3, 0), dtype=np.int64))
"""Sums of rows some of which cannot be scored, or have another K."""


def is_at_fault(sums: ClassSums) -> bool:
    """Return whether some of the rows cannot be summed up."""
    return not len(sums.counts)


def _partial(batch: pa.RecordBatch, tolerance: float) -> ClassSums:
    labels = values_of(batch["index"])
    n_classes = pc.list_value_length(batch["pred_probs"])[0].as_py()
    rows = list_rows(batch["pred_probs"], n_classes or 1)
    if rows.faults is not None or labels.min() < 0 or labels.max() >= n_classes:
        return AT_FAULT
    confidence = rows.matrix[np.arange(len(labels)), labels]
    # As doubles: a float32 is compared with what is rounded to float32.
    if not (
        float(confidence.min()) >= -PROBABILITY_SLACK and float(confidence.max()) <= 1.0 + tolerance
    ):
        return AT_FAULT  # NaN too
    return confidence_sums(labels, confidence, n_classes)


def merged_sums(a: ClassSums, b: ClassSums) -> ClassSums:
    """Return the sums of both."""
    if len(a.counts) != len(b.counts):
        return AT_FAULT
    return merge_class_sums(a, b)

"""The batch functions of labelled tables: Arrow arrays in, Arrow arrays out, no Spark session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.types import DataType, DoubleType, StructField, StructType

from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.shared.checks import FAULT_REASONS, row_faults
from lq_spark.engine.arrow import ListFault, list_rows
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.shared.labels import UNKNOWN_LABEL, label_array
from lq_spark.tasks.shared.names import (
    DUPLICATE_ID,
    INVALID_REASON,
    LABEL_QUALITY,
    NO_PRED_PROBS,
    NO_PROBABILITY,
    NULL_ID,
    PREDICTED_LABEL,
    WRONG_LENGTH,
)
from lq_spark.tasks.shared.reasons import LABEL_REASONS, count_reasons, named_label

LIST_REASONS = {
    ListFault.NULL: NO_PRED_PROBS,
    ListFault.LENGTH: WRONG_LENGTH,
    ListFault.NULL_ELEMENT: NO_PROBABILITY,
}

REASONS = (
    NULL_ID,
    DUPLICATE_ID,
    *LABEL_REASONS.values(),
    *LIST_REASONS.values(),
    *FAULT_REASONS.values(),
)
"""Why a row cannot be scored."""


RowFunction = Callable[[NDArray[np.int64], NDArray[np.floating]], dict[str, pa.Array]]
"""(labels (n,), pred_probs (n, K)), all of which can be scored -> new columns."""


@dataclass(frozen=True, slots=True)
class NewColumns:
    """Columns to be added to a table, and the function that makes them."""

    function: RowFunction
    schema: StructType

    def __add__(self, other: NewColumns) -> NewColumns:
        """Return the columns of both."""
        first, second = self.function, other.function  # bound: a closure takes them to the workers
        return NewColumns(
            lambda labels, pred_probs: {**first(labels, pred_probs), **second(labels, pred_probs)},
            StructType([*self.schema.fields, *other.schema.fields]),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of a batch that can be scored, and why the others cannot.

    Attributes
    ----------
    labels : ndarray of int64, shape (m,)
    pred_probs : ndarray of float, shape (m, K)
    reasons : ndarray of object, shape (n,), or None
        For each row of the batch a text, or None where it can be scored; None where all can.
    """

    labels: NDArray[np.int64]
    pred_probs: NDArray[np.floating]
    reasons: NDArray[np.object_] | None


def read_batch(
    index: pa.Array,
    pred_probs: pa.Array,
    n_classes: int,
    tolerance: float,
    unknown: pa.Array | None = None,
) -> Batch:
    """Sort the rows of a batch into those that can be scored and those that cannot.

    ``unknown``: labels that are none of the classes, to be named; null for the other rows.
    """
    labels = values_of(index)
    rows = list_rows(pred_probs, n_classes)
    has_matrix_row = np.ones(len(labels), dtype=bool) if rows.faults is None else rows.faults == 0
    faults = row_faults(labels[has_matrix_row], rows.matrix, tolerance=tolerance)
    if rows.faults is None and not faults.any():
        return Batch(labels, rows.matrix, None)
    reasons = row_reasons(labels, rows.faults, faults, unknown)
    usable = faults == 0
    return Batch(labels[has_matrix_row][usable], rows.matrix[usable], reasons)


def row_reasons(
    labels: NDArray[np.int64],
    list_faults: NDArray[np.uint8] | None,
    faults: NDArray[np.uint8],
    named: pa.Array | None = None,
) -> NDArray[np.object_]:
    """Return why rows cannot be scored, None for those that can.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
    list_faults : ndarray of uint8, shape (n,), or None
        :class:`lq_spark.engine.arrow.ListFault` of each row's probabilities; None: they have none.
    faults : ndarray of uint8, shape (m,)
        :class:`lq_spark.core.shared.checks.RowFault` of the m rows without such a fault.
    named : pyarrow Array, optional
        The labels as the table has them, to show those that are none of the classes.
    """
    reasons = np.full(len(labels), None, dtype=object)
    has_list = np.arange(len(labels))
    if list_faults is not None:
        has_list = np.flatnonzero(list_faults == ListFault.NONE)
        for list_fault, text in LIST_REASONS.items():
            reasons[list_faults == list_fault] = text
    for fault, text in FAULT_REASONS.items():
        reasons[has_list[faults == fault]] = text
    for label, text in LABEL_REASONS.items():
        reasons[labels == label] = text
    if named is not None:
        for row in np.flatnonzero(labels == UNKNOWN_LABEL):
            reasons[row] = named_label(named[row].as_py())
    return reasons


def is_usable(reasons: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which rows of a batch have no reason why they cannot be scored."""
    return np.asarray(reasons == np.array(None))


def require_usable(
    reasons: NDArray[np.object_] | None,
    n_classes: int | None,
    rows: str = "rows",
    of: str = "multiclass",
) -> None:
    """Raise an InvalidRowsError that counts the reasons of a batch, of what ``rows`` calls rows.

    Not if there are none. ``n_classes`` is None where no classes matter.
    """
    if reasons is None:
        return
    counts = count_reasons(reasons[~is_usable(reasons)])
    texts = [f"{count} {rows} with {reason}" for reason, count in counts]
    classes = "" if n_classes is None else f" with K = {n_classes} classes"
    raise InvalidRowsError(
        f"{rows} that cannot be scored{classes}, in one batch of "
        f"{len(reasons)}: {'; '.join(texts)}. {of}.validate names them all"
    )


def usable_rows_batch(
    function: RowFunction, n_classes: int, *, fail: bool, tolerance: float
) -> BatchFunction:
    """Return (class index, pred_probs) -> the function's columns, of the rows that can be scored.

    A row that cannot be scored gets nulls, or fails the batch; a third column names the labels that
    are none of the classes, see :func:`read_batch`.
    """

    def run(index: pa.Array, pred_probs: pa.Array, *unknown: pa.Array) -> dict[str, pa.Array]:
        batch = read_batch(index, pred_probs, n_classes, tolerance, *unknown)
        if fail:
            require_usable(batch.reasons, n_classes)
        return spread_columns(function(batch.labels, batch.pred_probs), batch.reasons)

    return run


def score_columns(
    method: str,
    thresholds: Thresholds | None,
    predicted_type: DataType | None,
    classes: tuple[str, ...] | None,
) -> NewColumns:
    """Return label_quality and, if asked, predicted_label.

    ``predicted_type`` is the type of the predicted label, None where it is not asked for.
    """
    values = None if thresholds is None else thresholds.as_array()

    def run(labels: NDArray[np.int64], pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        return {LABEL_QUALITY: array_of(score_rows(labels, pred_probs, method, values))}

    scores = NewColumns(run, StructType([StructField(LABEL_QUALITY, DoubleType())]))
    return scores if predicted_type is None else scores + predicted_column(predicted_type, classes)


def predicted_column(kind: DataType, classes: tuple[str, ...] | None) -> NewColumns:
    """Return predicted_label, of a type."""

    def run(labels: NDArray[np.int64], pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        return {PREDICTED_LABEL: label_array(pred_probs.argmax(axis=1), kind, classes)}

    return NewColumns(run, StructType([StructField(PREDICTED_LABEL, kind)]))


def list_array(values: pa.Array, offsets: NDArray[np.int64]) -> pa.Array:
    """Return a column of lists: of the values between each offset and the next."""
    return pa.ListArray.from_arrays(array_of(offsets.astype(np.int32)), values)


def spread(values: pa.Array, present: NDArray[np.bool_]) -> pa.Array:
    """Return the values at the places where they are present, in order, null at the others."""
    positions = np.cumsum(present) - 1
    return values.take(pa.array(positions, mask=~present))


def spread_columns(
    columns: dict[str, pa.Array], reasons: NDArray[np.object_] | None
) -> dict[str, pa.Array]:
    """Return columns of the rows that can be scored as ones of all rows, null for the others."""
    if reasons is None:
        return columns
    usable = is_usable(reasons)
    return {name: spread(values, usable) for name, values in columns.items()}


def reason_batch(n_classes: int, tolerance: float) -> BatchFunction:
    """Return (class index, pred_probs, labels to be named) -> invalid_reason."""

    def run(index: pa.Array, pred_probs: pa.Array, *unknown: pa.Array) -> dict[str, pa.Array]:
        reasons = read_batch(index, pred_probs, n_classes, tolerance, *unknown).reasons
        return reason_column(reasons, len(index))

    return run


def reason_column(reasons: NDArray[np.object_] | None, n_rows: int) -> dict[str, pa.Array]:
    """Return the reasons of a batch, or None where it has none, as a column."""
    if reasons is None:
        return {INVALID_REASON: pa.nulls(n_rows, pa.string())}
    return {INVALID_REASON: pa.array(reasons, pa.string())}

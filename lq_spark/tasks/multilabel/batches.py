"""The batch functions of tables of label sets: Arrow arrays in, Arrow arrays out, no session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StructField,
    StructType,
)

from lq_spark.core.multilabel.cuts import (
    CellCuts,
    CutSearch,
    cells_up_to,
    judged_cells,
    searched_cells,
)
from lq_spark.core.multilabel.scores import Aggregator, score_cells, self_confidence
from lq_spark.core.multilabel.sets import SET_FAULT_REASONS, Bits, given_bits, probability_faults
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.arrow import flat_lists, list_rows
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.multiclass.batches import entries_schema
from lq_spark.tasks.shared.batches import (
    LIST_REASONS,
    is_usable,
    list_array,
    reason_column,
    require_usable,
    spread_columns,
)
from lq_spark.tasks.shared.labels import FRACTIONAL_LABEL, NULL_LABEL, UNKNOWN_LABEL, class_indices
from lq_spark.tasks.shared.names import LABEL_QUALITY, NO_LABELS
from lq_spark.tasks.shared.reasons import LABEL_REASONS, named_label

CLASS_QUALITIES = "class_qualities"
ORDER, CELLS = "__lq_order", "__lq_cells"

CELL_TYPE = StructType(
    [
        StructField("class", IntegerType()),
        StructField("in_given_label", BooleanType()),
        StructField("class_quality", DoubleType()),
        StructField("pred_prob", DoubleType()),
        StructField("tied", LongType()),
    ]
)
"""A cell that is an issue; where ``tied`` is the number of a cut, only if the row's key says so."""


@dataclass(frozen=True, slots=True)
class LabelSetBatch:
    """The rows of a batch that can be scored, and why the others cannot.

    Attributes
    ----------
    is_given : ndarray of bool, shape (m, K)
    pred_probs : ndarray of float, shape (m, K)
    reasons : ndarray of object, shape (n,), or None
        For each row of the batch a text, or None where it can be scored; None where all can.
    """

    is_given: Bits
    pred_probs: NDArray[np.floating]
    reasons: NDArray[np.object_] | None


def read_label_sets(
    labels: pa.Array, pred_probs: pa.Array, n_classes: int, classes: tuple[str, ...] | None
) -> LabelSetBatch:
    """Sort the rows of a batch into those that can be scored and those that cannot."""
    if pa.types.is_null(labels.type):  # what pandas makes of a column without a list
        labels = pa.nulls(len(labels), pa.list_(pa.int64()))
    flat, lengths, no_labels = flat_lists(labels)
    index = class_indices(flat, classes)
    is_given, faults = given_bits(index, lengths, n_classes)
    rows = list_rows(pred_probs, n_classes)
    has_row = np.ones(len(labels), dtype=bool) if rows.faults is None else rows.faults == 0
    of_probs = probability_faults(rows.matrix)
    if has_row.all() and not (no_labels.any() or faults.any() or of_probs.any()):
        return LabelSetBatch(is_given, rows.matrix, None)

    reasons = np.full(len(labels), None, dtype=object)
    if rows.faults is not None:
        for list_fault, text in LIST_REASONS.items():
            reasons[rows.faults == list_fault] = text
    for fault, text in SET_FAULT_REASONS.items():
        reasons[np.flatnonzero(has_row)[of_probs == fault]] = text
    for fault, text in SET_FAULT_REASONS.items():
        reasons[faults == fault] = text
    row = np.repeat(np.arange(len(labels)), lengths)
    for place in np.flatnonzero(index == UNKNOWN_LABEL)[::-1]:  # the first stays
        reasons[row[place]] = named_label(flat[place].as_py())
    for label in (FRACTIONAL_LABEL, NULL_LABEL):
        reasons[row[index == label]] = LABEL_REASONS[label]
    reasons[no_labels] = NO_LABELS
    usable = is_usable(reasons)
    return LabelSetBatch(is_given[usable], rows.matrix[usable[has_row]], reasons)


SetFunction = Callable[[Bits, NDArray[np.floating]], dict[str, pa.Array]]
"""(is_given (n, K), pred_probs (n, K)), all of which can be scored -> new columns."""


def usable_sets_batch(
    function: SetFunction, n_classes: int, classes: tuple[str, ...] | None, *, fail: bool
) -> BatchFunction:
    """Return (labels, pred_probs) -> the function's columns, of the rows that can be scored.

    A row that cannot be scored gets nulls, or fails the batch.
    """

    def run(labels: pa.Array, pred_probs: pa.Array) -> dict[str, pa.Array]:
        batch = read_label_sets(labels, pred_probs, n_classes, classes)
        if fail:
            require_usable(batch.reasons, n_classes, of="multilabel")
        return spread_columns(function(batch.is_given, batch.pred_probs), batch.reasons)

    return run


def reason_batch(n_classes: int, classes: tuple[str, ...] | None) -> BatchFunction:
    """Return (labels, pred_probs) -> invalid_reason."""

    def run(labels: pa.Array, pred_probs: pa.Array) -> dict[str, pa.Array]:
        reasons = read_label_sets(labels, pred_probs, n_classes, classes).reasons
        return reason_column(reasons, len(labels))

    return run


def summing_batch(
    partial: Callable[[Bits, NDArray[np.floating]], NDArray[np.int64]],
    n_classes: int,
    classes: tuple[str, ...] | None,
) -> Callable[[pa.RecordBatch], NDArray[np.int64]]:
    """Return (labels, pred_probs) -> rows, rows not usable, then the partial of the others."""

    def run(batch: pa.RecordBatch) -> NDArray[np.int64]:
        sets = read_label_sets(batch["labels"], batch["pred_probs"], n_classes, classes)
        n_rows = batch.num_rows
        head = np.array([n_rows, n_rows - len(sets.is_given)], dtype=np.int64)
        return np.concatenate([head, partial(sets.is_given, sets.pred_probs)])

    return run


@dataclass(frozen=True, slots=True)
class Scoring:
    """The scores that are asked for: of cells, and what makes one of a row's K.

    Attributes
    ----------
    method : str
    thresholds : ndarray of float64, shape (K, 2), or None
        To adjust the probabilities by.
    aggregate : Aggregator
    """

    method: str
    thresholds: Float64 | None
    aggregate: Aggregator


def score_function(scoring: Scoring, *, class_qualities: bool) -> tuple[SetFunction, StructType]:
    """Return the function of label_quality and, if asked, class_qualities, and their schema."""
    fields = [StructField(LABEL_QUALITY, DoubleType())]
    if class_qualities:
        fields.append(StructField(CLASS_QUALITIES, ArrayType(DoubleType())))

    def run(is_given: Bits, pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        scores = score_cells(is_given, pred_probs, scoring.method, scoring.thresholds)
        columns = {LABEL_QUALITY: pa.array(scoring.aggregate(scores))}
        if class_qualities:
            offsets = np.arange(len(scores) + 1) * scores.shape[1]
            columns[CLASS_QUALITIES] = list_array(pa.array(scores.ravel()), offsets)
        return columns

    return run, StructType(fields)


def order_function(aggregate: Aggregator) -> tuple[SetFunction, StructType]:
    """Return the function of what the low_* rules order rows by, and its schema."""

    def run(is_given: Bits, pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        return {ORDER: pa.array(aggregate(self_confidence(is_given, pred_probs)))}

    return run, StructType([StructField(ORDER, DoubleType())])


def entries_function(
    search: CutSearch, n_classes: int, classes: tuple[str, ...] | None, key: DataType
) -> tuple[Callable[[pa.RecordBatch], pa.RecordBatch], StructType]:
    """Return (labels, pred_probs, key) -> group, value, key of the cells in buckets with cuts."""
    schema = entries_schema(key)

    def run(batch: pa.RecordBatch) -> pa.RecordBatch:
        sets = read_label_sets(batch["labels"], batch["pred_probs"], n_classes, classes)
        cells = searched_cells(sets.is_given, sets.pred_probs, search)
        keys = batch["key"].take(pa.array(cells.row))
        return pa.RecordBatch.from_arrays(
            [pa.array(cells.group), pa.array(cells.score), keys], names=schema.names
        )

    return run, schema


def issue_function(
    cuts: CellCuts | None, thresholds: Float64 | None, scoring: Scoring
) -> tuple[SetFunction, StructType]:
    """Return the function of label_quality and the cells that are issues, and their schema.

    Cuts say which cells are, or else thresholds (confident issues); without both those that do not
    agree.
    """
    fields = [StructField(LABEL_QUALITY, DoubleType()), StructField(CELLS, ArrayType(CELL_TYPE))]

    def run(is_given: Bits, pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        scores = score_cells(is_given, pred_probs, scoring.method, scoring.thresholds)
        if cuts is None:
            row, column = np.nonzero(judged_cells(is_given, pred_probs, thresholds))
            tied = pa.nulls(len(row), pa.int64())
        else:
            row, column, group, score = cells_up_to(is_given, pred_probs, cuts)
            is_tied = cuts.has_key[group] & (score == cuts.values[group])
            tied = pa.array(group, mask=~is_tied)
        cells = [
            pa.array(column.astype(np.int32)),
            pa.array(is_given[row, column]),
            pa.array(scores[row, column]),
            pa.array(pred_probs[row, column].astype(np.float64)),
            tied,
        ]
        offsets = np.searchsorted(row, np.arange(len(is_given) + 1))
        return {
            LABEL_QUALITY: pa.array(scoring.aggregate(scores)),
            CELLS: list_array(pa.StructArray.from_arrays(cells, names=CELL_TYPE.names), offsets),
        }

    return run, StructType(fields)

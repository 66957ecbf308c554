"""The functions of batches and groups of rows with features: Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql.types import StringType, StructField, StructType

from lq_spark.core.neighbors.search import lowest_of_each
from lq_spark.core.neighbors.vectors import are_usable
from lq_spark.engine.arrow import ListFault, flat_lists, list_rows
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.shared.batches import list_array, reason_column
from lq_spark.tasks.shared.names import INVALID_REASON

NO_FEATURES, NO_FEATURE = "null features", "null feature"
WRONG_NUMBER = "features of wrong length"
NOT_FINITE = "feature not finite"

_LIST_REASONS = {
    ListFault.NULL: NO_FEATURES,
    ListFault.LENGTH: WRONG_NUMBER,
    ListFault.NULL_ELEMENT: NO_FEATURE,
}

REASONS_SCHEMA = StructType([StructField(INVALID_REASON, StringType())])

ROW, ID, IDS, VECTOR = "__lq_row", "__lq_id", "__lq_ids", "__lq_vector"
NEIGHBORS, DISTANCES = "neighbors", "distances"


def reasons_batch(n_features: int) -> BatchFunction:
    """Return (features) -> invalid_reason."""

    def run(features: pa.Array) -> dict[str, pa.Array]:
        _, reasons = read_features(features, n_features)
        return reason_column(reasons, len(features))

    return run


def vectors_batch(n_features: int) -> BatchFunction:
    """Return (features) -> the bytes of each row's, null where they cannot be used.

    Rows of equal features have the same bytes, also if one has 0.0 and the other -0.0.
    """

    def run(features: pa.Array) -> dict[str, pa.Array]:
        matrix, reasons = read_features(features, n_features)
        matrix = np.ascontiguousarray(matrix + matrix.dtype.type(0))
        width = matrix.dtype.itemsize * n_features
        ends = np.arange(len(matrix) + 1, dtype=np.int32) * np.int32(width)
        content = [None, pa.py_buffer(ends), pa.py_buffer(matrix)]
        vectors = pa.Array.from_buffers(pa.binary(), len(matrix), content)
        if reasons is not None:
            place = np.cumsum(reasons == np.array(None)) - 1
            vectors = vectors.take(pa.array(place, mask=reasons != np.array(None)))
        return {VECTOR: vectors}

    return run


def read_features(
    features: pa.Array, n_features: int
) -> tuple[NDArray[np.floating], NDArray[np.object_] | None]:
    """Return the features that can be used, and why others cannot; None where all can."""
    rows = list_rows(features, n_features)
    usable = are_usable(rows.matrix)
    if rows.faults is None and usable.all():
        return rows.matrix, None
    faults = np.zeros(len(features), np.uint8) if rows.faults is None else rows.faults
    reasons = np.full(len(faults), None, dtype=object)
    for fault, text in _LIST_REASONS.items():
        reasons[faults == fault] = text
    reasons[np.flatnonzero(faults == ListFault.NONE)[~usable]] = NOT_FINITE
    return rows.matrix[usable], reasons


def corrected_batch(k: int) -> BatchFunction:
    """Return (row, rows of its set, nearest others, their distances) -> NEIGHBORS, DISTANCES.

    As :func:`lq_spark.core.neighbors.copies.corrected` has them.
    """

    def run(
        row: pa.Array, of_set: pa.Array, others: pa.Array, distances: pa.Array
    ) -> dict[str, pa.Array]:
        copies, others_of = flat_lists(of_set), flat_lists(others)
        is_self = values_of(pc.equal(copies.values, row.take(array_of(copies.rows))))
        away = np.concatenate(
            [np.zeros(len(copies.values)), values_of(flat_lists(distances).values)]
        )
        entry = np.concatenate([copies.rows, others_of.rows])
        values = pa.concat_arrays([copies.values, others_of.values])
        there = np.ones(len(entry), dtype=bool)
        there[: len(is_self)] = ~is_self
        places = np.flatnonzero(there)
        # The copies come first, and each part is in order.
        kept = places[lowest_of_each(entry[places], places.astype(np.float64), places, k)]
        counts = np.bincount(entry[kept], minlength=len(row))
        offsets = np.append(0, np.cumsum(counts))
        return {
            NEIGHBORS: list_array(values.take(array_of(kept)), offsets),
            DISTANCES: list_array(array_of(away[kept]), offsets),
        }

    return run


def edges_batch(names: tuple[str, str, str, str]) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return (row, NEIGHBORS, DISTANCES) -> a row each: row, neighbour, rank from 1, distance."""

    def run(batch: pa.RecordBatch) -> pa.RecordBatch:
        neighbors, distances = flat_lists(batch.column(1)), flat_lists(batch.column(2))
        rank = np.arange(len(neighbors.rows)) - neighbors.offsets[neighbors.rows] + 1
        columns = [
            batch.column(0).take(array_of(neighbors.rows)),
            neighbors.values,
            array_of(rank.astype(np.int32)),
            distances.values,
        ]
        return pa.RecordBatch.from_arrays(columns, names=list(names))

    return run

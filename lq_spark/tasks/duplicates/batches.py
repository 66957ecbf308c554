"""The functions of batches and groups of rows that may be duplicates: Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lq_spark.core.duplicates.near import scores_from_nearest
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.key_order import plain_keys
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.neighbors.searches import GroupFunction
from lq_spark.tasks.shared.batches import list_array

NEAREST = "distance_to_nearest_neighbor"
IS_EXACT, SCORE = "is_exact_duplicate_issue", "near_duplicate_score"
SET = "near_duplicate_set"

ONE, OTHER, PLACE = "__lq_one", "__lq_other", "__lq_place"


def nearest_batch(distances: pa.Array) -> dict[str, pa.Array]:
    """Return the distance of each row to its nearest neighbour, infinite where it has none."""
    lists = flat_lists(distances)
    nearest = np.full(len(lists.lengths), np.inf)
    has_any = lists.lengths > 0
    nearest[has_any] = values_of(lists.values)[lists.offsets[:-1][has_any]]
    return {NEAREST: array_of(nearest)}


def score_batch(unit: float) -> BatchFunction:
    """Return (distance to the nearest) -> score, and whether it is 0."""

    def run(nearest: pa.Array) -> dict[str, pa.Array]:
        values = values_of(nearest)
        return {
            IS_EXACT: array_of(values == 0.0),
            SCORE: array_of(scores_from_nearest(values, unit)),
        }

    return run


def pairs_batch(limit: float) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return (row, neighbours, distances) -> the pairs below a limit, and the places in a row."""

    def run(batch: pa.RecordBatch) -> pa.RecordBatch:
        neighbors, distances = flat_lists(batch.column(1)), flat_lists(batch.column(2))
        near = np.flatnonzero(values_of(distances.values) < limit)
        rows = neighbors.rows[near]
        columns = [
            batch.column(0).take(array_of(rows)),
            neighbors.values.take(array_of(near)),
            array_of((near - neighbors.offsets[rows]).astype(np.int32)),
        ]
        return pa.RecordBatch.from_arrays(columns, names=[ONE, OTHER, PLACE])

    return run


def sets_group(row: str) -> GroupFunction:
    """Return (ONE, OTHER, PLACE of some rows) -> each row and what it is paired with, by place.

    Others of one place come in their own order.
    """

    def run(group: pa.Table) -> pa.Table:
        ones = group[ONE].combine_chunks().dictionary_encode()
        others = group[OTHER].combine_chunks()
        owner = values_of(ones.indices).astype(np.int64)
        ranks = np.empty(len(others), dtype=np.int64)
        ranks[values_of(pc.sort_indices(plain_keys(others))).astype(np.int64)] = np.arange(
            len(others)
        )
        order = np.lexsort((ranks, values_of(group[PLACE]), owner))
        counts = np.bincount(owner, minlength=len(ones.dictionary))
        lists = list_array(others.take(array_of(order)), np.append(0, np.cumsum(counts)))
        return pa.table([ones.dictionary, lists], names=[row, SET])

    return run

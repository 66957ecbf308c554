"""Clusters of a table: DBSCAN on its graph of neighbours, exactly, keyed by id.

A core row sends the lowest id that has reached it to its near neighbours, round by round, until
none is reached by a lower one. A row takes, besides, what has reached the row of the id that has
reached it: whoever reaches that one reaches it too, so long chains take few rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, StructField, StructType

from lq_spark.core.groups.clusters import core_rows
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.kept import frozen, kept
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction, column_input
from lq_spark.engine.verbs import map_batches, select, with_mapped
from lq_spark.tasks.neighbors.batches import DISTANCES, NEIGHBORS, ROW

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROOT = "__lq_root"
"""The first core row of the cluster of a row; null of one that is in none."""

_IS_CORE, _FROM, _TO = "__lq_is_core", "__lq_from", "__lq_to"
_BEFORE, _HANDED, _FURTHER = "__lq_before", "__lq_handed", "__lq_further"


def rows_with_roots(
    lists: DataFrame, kind: DataType, eps: float, min_samples: int, stack: ExitStack
) -> DataFrame:
    """Return ROW, each row, with ROOT; what it is made of is kept until the stack ends."""
    is_core = StructType([StructField(_IS_CORE, BooleanType())])
    function = _core_batch(eps, min_samples)
    marked = with_mapped(lists, function, [column_input(DISTANCES)], is_core)
    marked = stack.enter_context(kept(marked))
    near = StructType([StructField(_FROM, kind), StructField(_TO, kind)])
    core = marked.where(F.col(_IS_CORE))
    edges = map_batches(select(core, ROW, NEIGHBORS, DISTANCES), _near_batch(eps), near)
    edges = stack.enter_context(kept(edges))
    roots = marked.select(ROW, F.when(F.col(_IS_CORE), F.col(ROW)).alias(ROOT))
    while True:
        sent = edges.join(roots.withColumnsRenamed({ROW: _FROM, ROOT: _HANDED}), _FROM)
        reached = sent.groupBy(F.col(_TO).alias(ROW)).agg(F.min(_HANDED).alias(_HANDED))
        lower = roots.join(reached, ROW, "left").select(
            ROW, F.col(ROOT).alias(_BEFORE), F.least(ROOT, _HANDED).alias(ROOT)
        )
        lower = stack.enter_context(frozen(lower))
        further = lower.select(F.col(ROW).alias(ROOT), F.col(ROOT).alias(_FURTHER))
        lower = lower.join(further, ROOT, "left").select(
            ROW, _BEFORE, F.least(ROOT, _FURTHER).alias(ROOT)
        )
        lower = stack.enter_context(frozen(lower))
        roots = lower.select(ROW, ROOT)
        if lower.where(~F.col(_BEFORE).eqNullSafe(F.col(ROOT))).isEmpty():
            return roots


def _core_batch(eps: float, min_samples: int) -> BatchFunction:
    def run(distances: pa.Array) -> dict[str, pa.Array]:
        lists = flat_lists(distances)
        n = len(lists.lengths)
        away = values_of(lists.values).reshape(n, -1) if len(lists.values) else np.empty((n, 0))
        return {_IS_CORE: array_of(core_rows(away, eps, min_samples))}

    return run


def _near_batch(eps: float) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    def run(batch: pa.RecordBatch) -> pa.RecordBatch:
        neighbors, distances = flat_lists(batch.column(1)), flat_lists(batch.column(2))
        near = np.flatnonzero(values_of(distances.values) <= eps)
        rows = batch.column(0).take(array_of(neighbors.rows[near]))
        columns = [rows, neighbors.values.take(array_of(near))]
        return pa.RecordBatch.from_arrays(columns, names=[_FROM, _TO])

    return run

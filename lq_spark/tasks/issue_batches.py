"""The batch functions of finding label issues: Arrow arrays in, Arrow arrays out, no session.

Three questions are asked of a row: what confident learning says of it (its facts), how low its
margins are over some pairs of classes, and which cuts of these pairs it lies below.
"""

from __future__ import annotations

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

from lq_spark.core.blocks import Float64
from lq_spark.core.joint import row_facts
from lq_spark.core.pairs import ClassPairs, PairMargins, lowest_of_each, pair_margins
from lq_spark.core.scores import score_rows
from lq_spark.engine.arrow import list_rows
from lq_spark.engine.verbs import BatchFunction
from lq_spark.tasks.batches import NewColumns

GUESS, AGREES, ORDER, DOUBTFUL = "guess", "agrees", "order", "doubtful"

ENTRIES, PAIR, MARGIN = "entries", "pair", "margin"
ENTRIES_SCHEMA = StructType(
    [
        StructField(
            ENTRIES,
            ArrayType(
                StructType([StructField(PAIR, LongType()), StructField(MARGIN, DoubleType())])
            ),
        )
    ]
)

BELOW, TIED = "below", "tied"
CUT_SCHEMA = StructType(
    [StructField(BELOW, BooleanType()), StructField(TIED, ArrayType(LongType()))]
)


def facts_columns(
    thresholds: Float64, collision_rule: str, order_by: str | None, doubtful: DataType | None
) -> NewColumns:
    """Return what confident learning says of each row.

    ``guess`` and ``agrees``: see :class:`lq_spark.core.joint.RowFacts`. If ``order_by`` names a
    score, ``order``: that score. If ``doubtful`` is a type of probabilities, ``doubtful``: the
    probabilities of the rows whose label is not predicted, null for the others.
    """
    fields = [StructField(GUESS, IntegerType()), StructField(AGREES, BooleanType())]
    if order_by is not None:
        fields.append(StructField(ORDER, DoubleType()))
    if doubtful is not None:
        fields.append(StructField(DOUBTFUL, ArrayType(doubtful)))

    def run(labels: NDArray[np.int64], pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        facts = row_facts(labels, pred_probs, thresholds, collision_rule)
        columns = {GUESS: pa.array(facts.guess, pa.int32()), AGREES: pa.array(facts.agrees)}
        if order_by is not None:
            columns[ORDER] = pa.array(score_rows(labels, pred_probs, order_by))
        if doubtful is not None:
            element = pa.float32() if doubtful.typeName() == "float" else pa.float64()
            columns[DOUBTFUL] = _rows_where(pred_probs, ~facts.agrees, element)
        return columns

    return NewColumns(run, StructType(fields))


def entries_batch(
    n_classes: int, pairs: ClassPairs, quotas: NDArray[np.int64], highest: float
) -> BatchFunction:
    """Return (class index, pred_probs) -> entries: the low margins of each row over the pairs.

    Of each pair the batch gives its ``quotas[pair]`` lowest margins, with what equals the last, out
    of those up to ``highest``. Rows without probabilities have no entries.
    """

    def run(index: pa.Array, pred_probs: pa.Array) -> dict[str, pa.Array]:
        present, found = _margins(index, pred_probs, n_classes, pairs)
        near = np.flatnonzero(found.margin <= highest)
        chosen = near[lowest_of_each(found.pair[near], found.margin[near], quotas)]
        chosen.sort()  # by row, and in a row by pair
        entries = pa.StructArray.from_arrays(
            [pa.array(found.pair[chosen]), pa.array(found.margin[chosen])], names=[PAIR, MARGIN]
        )
        return {ENTRIES: _lists(entries, present[found.row[chosen]], len(index))}

    return run


def cut_batch(
    n_classes: int, pairs: ClassPairs, cuts: Float64, has_key: NDArray[np.bool_]
) -> BatchFunction:
    """Return (class index, pred_probs) -> whether a margin of the row lies below a pair's cut.

    ``below``: it does, or equals it and the cut takes all equal rows. ``tied``: the pairs whose cut
    it equals and that tell such rows apart by their key.
    """

    def run(index: pa.Array, pred_probs: pa.Array) -> dict[str, pa.Array]:
        present, found = _margins(index, pred_probs, n_classes, pairs)
        cut = cuts[found.pair]
        equal = found.margin == cut
        keyed = equal & has_key[found.pair]
        below = np.zeros(len(index), dtype=bool)
        below[present[found.row[(found.margin < cut) | (equal & ~keyed)]]] = True
        tied = _lists(pa.array(found.pair[keyed]), present[found.row[keyed]], len(index))
        return {BELOW: pa.array(below), TIED: tied}

    return run


def _margins(
    index: pa.Array, pred_probs: pa.Array, n_classes: int, pairs: ClassPairs
) -> tuple[NDArray[np.int64], PairMargins]:
    """Return the margins of the rows that have probabilities, and where in the batch those are."""
    labels = index.to_numpy(zero_copy_only=False)
    rows = list_rows(pred_probs, n_classes)
    present = np.arange(len(labels)) if rows.faults is None else np.flatnonzero(rows.faults == 0)
    return present, pair_margins(labels[present], rows.matrix, pairs)


def _rows_where(
    matrix: NDArray[np.floating], wanted: NDArray[np.bool_], element: pa.DataType
) -> pa.Array:
    """Return a list column of the matrix's rows, null where they are not wanted."""
    offsets = np.zeros(len(wanted) + 1, dtype=np.int32)
    np.cumsum(wanted, out=offsets[1:])
    offsets *= matrix.shape[1]
    values = pa.array(matrix[wanted].ravel()).cast(element)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~wanted))


def _lists(values: pa.Array, rows: NDArray[np.int64], n_rows: int) -> pa.Array:
    """Return a list column: each row's values, given with the row that each is of, in order."""
    offsets = np.searchsorted(rows, np.arange(n_rows + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)

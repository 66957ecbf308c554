"""The batch functions of finding label issues: Arrow arrays in, Arrow arrays out, no session.

What confident learning says of each row (its facts), how the margins of rows over pairs of classes
are spread, which of them lie in some range, and which rows lie below the cuts of pairs.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StructField,
    StructType,
)

from lq_spark.core.confident.joint import row_facts
from lq_spark.core.label_issues.lowest import CountedValues, LowestMargins, counted_lowest
from lq_spark.core.label_issues.margins import (
    LowMargins,
    PairMargins,
    lowest_of_each,
    margin_buckets,
    margin_levels,
)
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.shared.blocks import FEW_CLASSES, Float64
from lq_spark.core.shared.constants import FLOATING_POINT_SLACK
from lq_spark.engine.arrow import list_rows
from lq_spark.engine.key_order import are_up_to, plain_key_type, plain_keys
from lq_spark.engine.numbers import array_of, bytes_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.shared.batches import NewColumns

INDEX, GUESS, AGREES, ORDER, DOUBTFUL, LEVEL = (
    f"__lq_{name}" for name in ("index", "guess", "agrees", "order", "doubtful", "level")
)

COUNTS_SCHEMA = StructType(
    [
        StructField("group", LongType()),
        StructField("bucket", LongType()),
        StructField("rows", LongType()),
    ]
)

STATE_SCHEMA = StructType([StructField("state", BinaryType())])


def facts_columns(
    thresholds: Float64, collision_rule: str, order_by: str | None, doubtful: DataType | None
) -> NewColumns:
    """Return what confident learning says of each row.

    The class index of its label; the guess, and whether the row agrees, see
    :class:`lq_spark.core.confident.joint.RowFacts`. If ``order_by`` names a score, that score. If
    ``doubtful`` is a type of probabilities, the probabilities of the rows whose label is not
    predicted, null for those that agree, and the level of the row's lowest margin (0, the lowest,
    where classes are few).
    """
    fields = [
        StructField(INDEX, IntegerType()),
        StructField(GUESS, IntegerType()),
        StructField(AGREES, BooleanType()),
    ]
    if order_by is not None:
        fields.append(StructField(ORDER, DoubleType()))
    if doubtful is not None:
        fields += [StructField(DOUBTFUL, ArrayType(doubtful)), StructField(LEVEL, ByteType())]

    def run(labels: NDArray[np.int64], pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        facts = row_facts(labels, pred_probs, thresholds, collision_rule)
        columns = {
            INDEX: array_of(labels, pa.int32()),
            GUESS: array_of(facts.guess, pa.int32()),
            AGREES: array_of(facts.agrees),
        }
        if order_by is not None:
            columns[ORDER] = array_of(score_rows(labels, pred_probs, order_by))
        if doubtful is not None:
            element = pa.float32() if doubtful.typeName() == "float" else pa.float64()
            columns[DOUBTFUL] = _rows_where(pred_probs, ~facts.agrees, element)
            levels = np.zeros(len(labels), dtype=np.int8)
            if pred_probs.shape[1] > FEW_CLASSES:  # else another look at them costs little more
                levels = margin_levels(score_rows(labels, pred_probs, "normalized_margin"))
            columns[LEVEL] = array_of(levels)
        return columns

    return NewColumns(run, StructType(fields))


def entries_schema(key: DataType) -> StructType:
    """Return the schema of entries: a pair of classes, a row's margin over it, the row's key."""
    return StructType(
        [
            StructField("group", LongType()),
            StructField("value", DoubleType()),
            StructField("key", plain_key_type(key)),
        ]
    )


def lowest_entries(
    low: LowMargins, quotas: NDArray[np.int64]
) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return (index, pred_probs, key) -> entries: the lowest of a batch for each pair.

    Of each pair the batch gives its ``quotas[pair]`` lowest margins, with what equals the last, out
    of the low ones.
    """

    def run(batch: pa.RecordBatch) -> pa.RecordBatch:
        present, found = _low_margins(batch["index"], batch["pred_probs"], low)
        return _entries(batch, present, found, lowest_of_each(found.pair, found.margin, quotas))

    return run


def equal_entries(low: LowMargins) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return (index, pred_probs, key) -> entries: the margins that equal their pair's limit."""

    def run(batch: pa.RecordBatch) -> pa.RecordBatch:
        present, found = _low_margins(batch["index"], batch["pred_probs"], low)
        return _entries(
            batch, present, found, np.flatnonzero(found.margin == low.limits[found.pair])
        )

    return run


def bucket_entries(
    low: LowMargins, buckets: NDArray[np.int64], n_buckets: int
) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return (index, pred_probs, key) -> entries: the low margins in the bucket of each pair.

    ``buckets``, shape (m,): -1 for a pair of which none is wanted.
    """
    # Rounding may put a margin into the bucket below the one whose lower end it is.
    ends = (buckets + 1) / n_buckets - 1.0 + FLOATING_POINT_SLACK
    ends = np.where(buckets < 0, -np.inf, np.minimum(low.limits, ends))
    inside_or_below = replace(low, limits=ends)

    def run(batch: pa.RecordBatch) -> pa.RecordBatch:
        present, found = _low_margins(batch["index"], batch["pred_probs"], inside_or_below)
        inside = margin_buckets(found.margin, n_buckets) == buckets[found.pair]
        return _entries(batch, present, found, np.flatnonzero(inside))

    return run


def bucket_counts(low: LowMargins, n_buckets: int) -> Callable[[pa.RecordBatch], NDArray[np.int64]]:
    """Return (index, pred_probs) -> how many low margins of each pair are in each bucket.

    One array of shape (m · n_buckets,).
    """

    def run(batch: pa.RecordBatch) -> NDArray[np.int64]:
        _, found = _low_margins(batch["index"], batch["pred_probs"], low)
        places = found.pair * n_buckets + margin_buckets(found.margin, n_buckets)
        return np.bincount(places, minlength=len(low.limits) * n_buckets)

    return run


def counts_batch(n_buckets: int) -> Callable[[NDArray[np.int64]], pa.RecordBatch]:
    """Return a function that gives the counts of :func:`bucket_counts` that are not 0, as rows."""

    def run(counts: NDArray[np.int64]) -> pa.RecordBatch:
        places = np.flatnonzero(counts)
        columns = [places // n_buckets, places % n_buckets, counts[places]]
        return pa.RecordBatch.from_arrays(
            [array_of(column) for column in columns], names=COUNTS_SCHEMA.names
        )

    return run


def lowest_margins(
    low: LowMargins, quotas: NDArray[np.int64]
) -> Callable[[pa.RecordBatch], LowestMargins]:
    """Return (index, pred_probs) -> the state of the lowest margins of each pair."""

    def run(batch: pa.RecordBatch) -> LowestMargins:
        _, labels, matrix = _present(batch["index"], batch["pred_probs"], low.n_classes)
        return LowestMargins(low, quotas, labels, matrix)

    return run


def state_batch(state: LowestMargins) -> pa.RecordBatch:
    """Return what a state has found, as one row."""
    return pa.RecordBatch.from_arrays(
        [bytes_of([pickle.dumps(state.result())])], names=STATE_SCHEMA.names
    )


def states_of_batch(quotas: NDArray[np.int64]) -> Callable[[pa.RecordBatch], CountedValues]:
    """Return (states) -> the lowest margins of all of them."""

    def run(batch: pa.RecordBatch) -> CountedValues:
        return counted_lowest(map(pickle.loads, batch["state"].to_pylist()), quotas)

    return run


def highest_undecided(
    taken: LowMargins, equal: NDArray[np.bool_], wanted: LowMargins
) -> Callable[[pa.RecordBatch], Float64]:
    """Return (index, pred_probs) -> the highest margin of each wanted pair over undecided rows.

    Parameters
    ----------
    taken : LowMargins
        A row with a margin below one of these limits is decided,
    equal : ndarray of bool
        or with one that equals it, where this says so.
    wanted : LowMargins
        The pairs whose margins are looked at. -inf for a pair without undecided rows.
    """

    def run(batch: pa.RecordBatch) -> Float64:
        _, labels, matrix = _present(batch["index"], batch["pred_probs"], taken.n_classes)
        found = taken.find(labels, matrix)
        decides = (found.margin < taken.limits[found.pair]) | equal[found.pair]
        undecided = np.ones(len(labels), dtype=bool)
        undecided[found.row[decides]] = False
        left = wanted.find(labels[undecided], matrix[undecided])
        highest = np.full(len(wanted.limits), -np.inf)
        np.maximum.at(highest, left.pair, left.margin)
        return highest

    return run


def cut_batch(cuts: LowMargins, last: pa.Array | None, name: str) -> BatchFunction:
    """Return (class index, pred_probs, key) -> whether a margin of the row lies below a cut.

    ``cuts`` has those of pairs as limits. A margin does, or equals it and the cut takes all equal
    rows, or those up to a key: ``last`` has it for each pair, null where there is none. The key is
    not needed where it is None.
    """
    has_key = np.zeros(len(cuts.limits), dtype=bool)
    if last is not None:
        has_key = values_of(last.is_valid())

    def run(index: pa.Array, pred_probs: pa.Array, *key: pa.Array) -> dict[str, pa.Array]:
        present, found = _low_margins(index, pred_probs, cuts)
        rows = present[found.row]
        taken = np.ones(len(rows), dtype=bool)
        if last is not None:
            tied = np.flatnonzero((found.margin == cuts.limits[found.pair]) & has_key[found.pair])
            keys = plain_keys(key[0].take(array_of(rows[tied])))
            taken[tied] = are_up_to(keys, last.take(array_of(found.pair[tied])))
        below = np.zeros(len(index), dtype=bool)
        below[rows[taken]] = True
        return {name: array_of(below)}

    return run


def _present(
    index: pa.Array, pred_probs: pa.Array, n_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.integer], NDArray[np.floating]]:
    """Return where in a batch the rows are that have probabilities, their labels, and these."""
    labels = values_of(index)
    rows = list_rows(pred_probs, n_classes)
    present = np.arange(len(labels)) if rows.faults is None else np.flatnonzero(rows.faults == 0)
    return present, labels[present], rows.matrix


def _low_margins(
    index: pa.Array, pred_probs: pa.Array, low: LowMargins
) -> tuple[NDArray[np.int64], PairMargins]:
    """Return the low margins of the rows that have probabilities, and where in a batch they are."""
    present, labels, matrix = _present(index, pred_probs, low.n_classes)
    return present, low.find(labels, matrix)


def _entries(
    batch: pa.RecordBatch,
    present: NDArray[np.int64],
    found: PairMargins,
    chosen: NDArray[np.int64],
) -> pa.RecordBatch:
    keys = plain_keys(batch["key"].take(array_of(present[found.row[chosen]])))
    return pa.RecordBatch.from_arrays(
        [array_of(found.pair[chosen]), array_of(found.margin[chosen]), keys],
        names=["group", "value", "key"],
    )


def _rows_where(
    matrix: NDArray[np.floating], wanted: NDArray[np.bool_], element: pa.DataType
) -> pa.Array:
    """Return a list column of the matrix's rows, null where they are not wanted."""
    offsets = np.zeros(len(wanted) + 1, dtype=np.int32)
    np.cumsum(wanted, out=offsets[1:])
    offsets *= matrix.shape[1]
    values = array_of(matrix[wanted].ravel()).cast(element)
    return pa.ListArray.from_arrays(array_of(offsets), values, mask=array_of(~wanted))

"""The batch functions of finding label issues: Arrow arrays in, Arrow arrays out, no session.

What confident learning says of each row (its facts), how the margins of rows over pairs of classes
are spread, which of them lie in some range, and which rows lie below the cuts of pairs.
"""

from __future__ import annotations

from collections.abc import Callable

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

from lq_spark.core.confident.joint import row_facts
from lq_spark.core.label_issues.margins import (
    ClassPairs,
    PairMargins,
    lowest_of_each,
    margin_buckets,
    pair_margins,
)
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.arrow import list_rows
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.shared.batches import NewColumns, list_array

INDEX, GUESS, AGREES, ORDER, DOUBTFUL = (
    f"__lq_{name}" for name in ("index", "guess", "agrees", "order", "doubtful")
)

COUNTS_SCHEMA = StructType(
    [
        StructField("group", LongType()),
        StructField("bucket", LongType()),
        StructField("rows", LongType()),
    ]
)

BELOW, TIED = "below", "tied"
BELOW_FIELD = StructField(BELOW, BooleanType())
TIED_FIELD = StructField(TIED, ArrayType(LongType()))


def facts_columns(
    thresholds: Float64, collision_rule: str, order_by: str | None, doubtful: DataType | None
) -> NewColumns:
    """Return what confident learning says of each row.

    The class index of its label. The guess, see :class:`lq_spark.core.confident.joint.RowFacts`.
    If ``order_by`` names a score, that score. If ``doubtful`` is a type of probabilities, the
    probabilities of the rows whose label is not predicted, null for those that agree; else whether
    the row agrees.
    """
    fields = [StructField(INDEX, IntegerType()), StructField(GUESS, IntegerType())]
    if order_by is not None:
        fields.append(StructField(ORDER, DoubleType()))
    if doubtful is not None:
        fields.append(StructField(DOUBTFUL, ArrayType(doubtful)))
    else:
        fields.append(StructField(AGREES, BooleanType()))

    def run(labels: NDArray[np.int64], pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        facts = row_facts(labels, pred_probs, thresholds, collision_rule)
        columns = {INDEX: pa.array(labels, pa.int32()), GUESS: pa.array(facts.guess, pa.int32())}
        if order_by is not None:
            columns[ORDER] = pa.array(score_rows(labels, pred_probs, order_by))
        if doubtful is not None:
            element = pa.float32() if doubtful.typeName() == "float" else pa.float64()
            columns[DOUBTFUL] = _rows_where(pred_probs, ~facts.agrees, element)
        else:
            columns[AGREES] = pa.array(facts.agrees)
        return columns

    return NewColumns(run, StructType(fields))


def entries_schema(key: DataType) -> StructType:
    """Return the schema of entries: a pair of classes, a row's margin over it, the row's key."""
    return StructType(
        [
            StructField("group", LongType()),
            StructField("value", DoubleType()),
            StructField("key", key),
        ]
    )


def lowest_entries(
    n_classes: int, pairs: ClassPairs, quotas: NDArray[np.int64], highest: float
) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return (index, pred_probs, key) -> entries: the lowest of a batch for each pair.

    Of each pair the batch gives its ``quotas[pair]`` lowest margins, with what equals the last, out
    of those up to ``highest``.
    """

    def run(batch: pa.RecordBatch) -> pa.RecordBatch:
        present, found = _margins(batch["index"], batch["pred_probs"], n_classes, pairs)
        near = np.flatnonzero(found.margin <= highest)
        chosen = near[lowest_of_each(found.pair[near], found.margin[near], quotas)]
        return _entries(batch, present, found, chosen)

    return run


def bucket_entries(
    n_classes: int, pairs: ClassPairs, buckets: NDArray[np.int64], n_buckets: int, highest: float
) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return (index, pred_probs, key) -> entries: those in the bucket of each pair, up to a margin.

    ``buckets``, shape (m,): -1 for a pair of which none is wanted.
    """

    def run(batch: pa.RecordBatch) -> pa.RecordBatch:
        present, found = _margins(batch["index"], batch["pred_probs"], n_classes, pairs)
        inside = margin_buckets(found.margin, n_buckets) == buckets[found.pair]
        return _entries(batch, present, found, np.flatnonzero(inside & (found.margin <= highest)))

    return run


def bucket_counts(
    n_classes: int, pairs: ClassPairs, n_buckets: int, highest: float
) -> Callable[[pa.RecordBatch], NDArray[np.int64]]:
    """Return (index, pred_probs) -> how many margins of each pair are in each bucket.

    Margins up to ``highest`` are counted, in one array of shape (m · n_buckets,).
    """
    n_pairs = len(pairs.true)

    def run(batch: pa.RecordBatch) -> NDArray[np.int64]:
        _, found = _margins(batch["index"], batch["pred_probs"], n_classes, pairs)
        low = found.margin <= highest
        places = found.pair[low] * n_buckets + margin_buckets(found.margin[low], n_buckets)
        return np.bincount(places, minlength=n_pairs * n_buckets)

    return run


def counts_batch(n_buckets: int) -> Callable[[NDArray[np.int64]], pa.RecordBatch]:
    """Return a function that gives the counts of :func:`bucket_counts` that are not 0, as rows."""

    def run(counts: NDArray[np.int64]) -> pa.RecordBatch:
        places = np.flatnonzero(counts)
        columns = [places // n_buckets, places % n_buckets, counts[places]]
        return pa.RecordBatch.from_arrays(
            [pa.array(column) for column in columns], names=COUNTS_SCHEMA.names
        )

    return run


def cut_batch(
    n_classes: int, pairs: ClassPairs, cuts: Float64, has_key: NDArray[np.bool_]
) -> BatchFunction:
    """Return (class index, pred_probs) -> whether a margin of the row lies below a pair's cut.

    ``below``: it does, or equals it and the cut takes all equal rows. If any cut tells equal rows
    apart by their key, ``tied``: the pairs where the key decides about the row.
    """
    any_key = bool(has_key.any())

    def run(index: pa.Array, pred_probs: pa.Array) -> dict[str, pa.Array]:
        present, found = _margins(index, pred_probs, n_classes, pairs)
        cut = cuts[found.pair]
        equal = found.margin == cut
        keyed = equal & has_key[found.pair]
        below = np.zeros(len(index), dtype=bool)
        below[present[found.row[(found.margin < cut) | (equal & ~keyed)]]] = True
        columns = {BELOW: pa.array(below)}
        if any_key:
            tied = pa.array(found.pair[keyed])
            columns[TIED] = _lists(tied, present[found.row[keyed]], len(index))
        return columns

    return run


def _margins(
    index: pa.Array, pred_probs: pa.Array, n_classes: int, pairs: ClassPairs
) -> tuple[NDArray[np.int64], PairMargins]:
    """Return the margins of the rows that have probabilities, and where in the batch those are."""
    labels = index.to_numpy(zero_copy_only=False)
    rows = list_rows(pred_probs, n_classes)
    present = np.arange(len(labels)) if rows.faults is None else np.flatnonzero(rows.faults == 0)
    return present, pair_margins(labels[present], rows.matrix, pairs)


def _entries(
    batch: pa.RecordBatch,
    present: NDArray[np.int64],
    found: PairMargins,
    chosen: NDArray[np.int64],
) -> pa.RecordBatch:
    keys = batch["key"].take(pa.array(present[found.row[chosen]]))
    return pa.RecordBatch.from_arrays(
        [pa.array(found.pair[chosen]), pa.array(found.margin[chosen]), keys],
        names=["group", "value", "key"],
    )


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
    return list_array(values, np.searchsorted(rows, np.arange(n_rows + 1)))

"""The eager passes over a table of label sets: its thresholds, its counts, where it is cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql.types import StringType

from lq_spark.core.confident.thresholds import ClassSums
from lq_spark.core.multilabel.cells import (
    CellCounts,
    cell_counts,
    cell_thresholds,
    counts_length,
    partial_cell_counts,
    partial_cell_sums,
)
from lq_spark.core.multilabel.cuts import CellCuts, CutSearch, bucket_number
from lq_spark.core.multilabel.sets import Bits
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.inputs import column_type
from lq_spark.engine.kept import kept
from lq_spark.engine.readings import column_input
from lq_spark.engine.select import MAX_SORTED, lowest_cuts, sorted_cuts
from lq_spark.engine.sums import summed_vectors
from lq_spark.engine.verbs import map_batches, select_inputs
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.multilabel.batches import entries_function, summing_batch
from lq_spark.tasks.multilabel.columns import LabelSetTable
from lq_spark.tasks.shared.reasons import unknown_labels_of_sets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def fitted_thresholds(df: DataFrame, table: LabelSetTable) -> Float64:
    """Return the confident thresholds of each class as absent and as present, shape (K, 2).

    One pass. Raises InvalidRowsError if a row cannot be scored.
    """
    n_classes = table.n_classes

    def partial(is_given: Bits, pred_probs: NDArray[np.floating]) -> NDArray[np.int64]:
        sums = partial_cell_sums(is_given, pred_probs)
        return np.concatenate([sums.counts, sums.high, sums.low])

    vector = _summed(df, table, partial, 6 * n_classes)
    return cell_thresholds(ClassSums(*vector.reshape(3, -1)))


def counted_cells(
    df: DataFrame, table: LabelSetTable, thresholds: Float64, *, order: str | None
) -> CellCounts:
    """Count the cells of a table, with buckets of the score that ``order`` names, if any.

    One pass. Raises InvalidRowsError if a row cannot be scored.
    """
    n_classes = table.n_classes
    n_buckets = bucket_number(n_classes) if order else 0

    def partial(is_given: Bits, pred_probs: NDArray[np.floating]) -> NDArray[np.int64]:
        return partial_cell_counts(
            is_given, pred_probs, thresholds, n_buckets, order or "self_confidence"
        )

    vector = _summed(df, table, partial, counts_length(n_classes, n_buckets))
    return cell_counts(vector, n_classes)


def _summed(
    df: DataFrame,
    table: LabelSetTable,
    partial: Callable[[Bits, NDArray[np.floating]], NDArray[np.int64]],
    length: int,
) -> NDArray[np.int64]:
    labels, pred_probs = table.inputs
    narrow = select_inputs(df, labels=labels, pred_probs=pred_probs)
    function = summing_batch(partial, table.n_classes, table.classes)
    n_rows, n_unusable, *_ = vector = summed_vectors(narrow, function, 2 + length)
    if n_unusable:
        is_named = table.classes is not None and isinstance(table.label_type, StringType)
        named = unknown_labels_of_sets(df, table.labels, table.classes or ()) if is_named else ""
        raise InvalidRowsError(
            f"{n_unusable} of {n_rows} rows cannot be scored with K = {table.n_classes} classes"
            f"{named}; multilabel.validate says which and why"
        )
    return vector[2:]


@dataclass(frozen=True)
class KeyedCuts:
    """Cuts, and the key up to which rows are taken of each group whose equal cells it orders.

    Attributes
    ----------
    cuts : CellCuts
    keys : mapping of int to object
        By group.
    """

    cuts: CellCuts
    keys: Mapping[int, Any] = field(default_factory=dict)


def found_cuts(df: DataFrame, table: LabelSetTable, id: str, search: CutSearch) -> KeyedCuts:
    """Return the cuts of a search: one pass, for the cells of the buckets that hold a cut.

    Of cells of the same score those of the rows with the lowest ids are taken.
    """
    quotas = {int(group): int(search.places[group]) for group in np.flatnonzero(search.places)}
    values, keys = search.values.copy(), {}
    has_key = np.zeros(len(values), dtype=bool)
    if quotas:
        function, schema = entries_function(
            search, table.n_classes, table.classes, column_type(df, id)
        )
        labels, pred_probs = table.inputs
        narrow = select_inputs(df, labels=labels, pred_probs=pred_probs, key=column_input(id))
        entries = map_batches(narrow, function, schema)
        if search.most_cells <= MAX_SORTED:
            found = sorted_cuts(entries, quotas)
        else:
            with kept(entries) as rows:  # narrowing reads them several times
                found = lowest_cuts(rows, quotas)
        for group, cut in found.items():
            values[group] = cut.value
            if cut.key is not None:
                has_key[group] = True
                keys[group] = cut.key
    return KeyedCuts(CellCuts(search.by_bit, values, has_key, search.order), keys)

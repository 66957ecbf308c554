"""The first pass over a table that workers read: its class sums, for the thresholds, and its keys.

If the score is adjusted self-confidence, that look at the probabilities may be the only one: it
takes no more of a row's than that of the given label and the sum of all, see
:func:`lq_spark.core.multiclass.scores.adjusted_confidence`. Both are written down with the row,
which is then narrow, and what follows reads that.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.types import DoubleType, StructField, StructType

from lq_spark.core.confident.thresholds import ClassSums, Thresholds, confidence_sums
from lq_spark.core.multiclass.scores import adjusted_confidence, given_and_totals
from lq_spark.engine.keys import key_ranges
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction, column_input, reading_of
from lq_spark.engine.reductions import Reduction, Scratch, States, reduce_all
from lq_spark.engine.verbs import select, with_mapped
from lq_spark.tasks.multiclass.thresholds import AT_FAULT, class_sums, is_at_fault, merged_sums
from lq_spark.tasks.shared.batches import NewColumns, predicted_column, usable_rows_batch
from lq_spark.tasks.shared.names import LABEL_QUALITY
from lq_spark.tasks.shared.table import LabelledTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

GIVEN, TOTAL = "__lq_given", "__lq_total"

_NARROWER = 4.0
"""To write rows down and read them again takes less than another look at the probabilities where
these are so many times as wide."""


class FirstPass(NamedTuple):
    """What a first pass found.

    Attributes
    ----------
    states : dict of str
        Among them those of :func:`lq_spark.engine.keys.key_ranges`, if workers read the key.
    sums : ClassSums or None
        None for a table without rows, or some of which cannot be scored.
    narrow : DataFrame or None
        The rows with :data:`GIVEN`, :data:`TOTAL` and predicted label, if these were made, of all.
    """

    states: States
    sums: ClassSums | None
    narrow: DataFrame | None


def first_pass(
    df: DataFrame,
    table: LabelledTable,
    key: str,
    keep: Sequence[str],
    *,
    n_classes: int,
    tolerance: float,
    is_confidence: bool,
    write: Scratch,
) -> FirstPass | None:
    """Make a first pass over a table; None if the engine reads it, which has quicker ways.

    Parameters
    ----------
    df, table
    key : str
    keep : sequence of str
        The columns that the result has, the key and the label among them.
    n_classes, tolerance
    is_confidence : bool
        Whether the score is adjusted self-confidence, and nothing else is asked for.
    write : Scratch
    """
    sums = class_sums(table, tolerance)
    if not sums.by_workers(df):
        return None
    ranges, narrow = key_ranges(df, key), None
    if is_confidence and _is_wide(df, table, keep):
        made = with_given(df, table, n_classes, tolerance, keep)
        narrow, states = write(made, {_SUMS: given_sums(table, n_classes), **ranges})
    else:
        states = reduce_all(df, {_SUMS: sums, **ranges})
    found: ClassSums | None = states[_SUMS]
    if found is None or is_at_fault(found):
        return FirstPass(states, None, None)
    return FirstPass(states, found, narrow)


_SUMS = "class_sums"


def _is_wide(df: DataFrame, table: LabelledTable, keep: Sequence[str]) -> bool:
    """Return whether the probabilities are wide beside ``keep``, all of which workers read."""
    source, reading = table.probabilities.input.source, reading_of(select(df, *keep))
    if source is None or reading is None:
        return False
    width = reading.rows.row_bytes
    # Columns that partition the table take nothing in its files.
    kept = sum(width.get(reading.source_of(name), 0.0) for name in keep)
    return width.get(source, 0.0) > _NARROWER * (kept + 2 * 8)


def with_given(
    df: DataFrame, table: LabelledTable, n_classes: int, tolerance: float, keep: Sequence[str]
) -> DataFrame:
    """Return some columns with :data:`GIVEN`, :data:`TOTAL` and the predicted label. Lazy.

    These are null for rows that cannot be scored.
    """

    def run(labels: NDArray[np.int64], pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        given, totals = given_and_totals(labels, pred_probs)
        return {GIVEN: array_of(given), TOTAL: array_of(totals)}

    schema = StructType([StructField(name, DoubleType()) for name in (GIVEN, TOTAL)])
    made = NewColumns(run, schema) + predicted_column(table.label_type, table.classes)
    function = usable_rows_batch(made.function, n_classes, fail=False, tolerance=tolerance)
    return with_mapped(df, function, table.inputs, made.schema, keep=keep)


def given_sums(table: LabelledTable, n_classes: int) -> Reduction[ClassSums]:
    """Return what sums up :data:`GIVEN` by class, for the thresholds."""
    inputs = {"index": table.label, "given": column_input(GIVEN)}
    return Reduction(inputs, functools.partial(_sums, n_classes=n_classes), merged_sums)


def _sums(batch: pa.RecordBatch, n_classes: int) -> ClassSums:
    given = batch["given"]
    if given.null_count:
        return AT_FAULT
    return confidence_sums(values_of(batch["index"]), values_of(given), n_classes)


def with_adjusted(df: DataFrame, table: LabelledTable, thresholds: Thresholds) -> DataFrame:
    """Return a table that has :data:`GIVEN` and :data:`TOTAL` with its label quality. Lazy."""
    inputs = [table.label, column_input(GIVEN), column_input(TOTAL)]
    schema = StructType([StructField(LABEL_QUALITY, DoubleType())])
    return with_mapped(df, _adjusted(thresholds), inputs, schema)


def _adjusted(thresholds: Thresholds) -> BatchFunction:
    values = thresholds.as_array()

    def run(index: pa.Array, given: pa.Array, totals: pa.Array) -> dict[str, pa.Array]:
        labels, of_given, of_all = map(values_of, (index, given, totals))
        scores = adjusted_confidence(labels, of_given, of_all, values)
        return {LABEL_QUALITY: array_of(scores)}

    return run

"""The facts of rows: what confident learning says of each, made in one Python pass and counted.

They are narrow columns but for the probabilities of those rows alone whose label is not predicted.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lq_spark.core.confident.joint import NOT_CONFIDENT, SparseMatrix, counted_pairs
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues.rules import Rule
from lq_spark.engine.verbs import reduce_rows, select, with_mapped
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.multiclass.batches import (
    AGREES,
    DOUBTFUL,
    GUESS,
    INDEX,
    LEVEL,
    ORDER,
    facts_columns,
)
from lq_spark.tasks.shared.batches import NewColumns, usable_rows_batch
from lq_spark.tasks.shared.table import LabelledTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def fact_columns(rule: Rule) -> list[str]:
    """Return the names of the columns that :func:`with_facts` adds."""
    order = [ORDER] if rule.order_by is not None else []
    return [INDEX, GUESS, AGREES, *order, *([DOUBTFUL, LEVEL] if rule.prunes_pairs else [])]


def with_facts(
    df: DataFrame,
    table: LabelledTable,
    thresholds: Thresholds,
    rule: Rule,
    *,
    scores: NewColumns | None = None,
    fail: bool,
    tolerance: float,
) -> DataFrame:
    """Return the table with its facts, and scores if asked. Lazy.

    Rows that cannot be scored fail the query, or have null facts and scores.
    """
    doubtful = table.probabilities.element_type if rule.prunes_pairs else None
    facts = facts_columns(thresholds.as_array(), rule.collision_rule, rule.order_by, doubtful)
    made = facts if scores is None else facts + scores
    function = usable_rows_batch(
        made.function, thresholds.n_classes, fail=fail, tolerance=tolerance
    )
    inputs = table.named_inputs if fail else table.inputs
    return with_mapped(df, function, inputs, made.schema)


@dataclass(frozen=True, slots=True)
class FactCounts:
    """The facts of a table, counted.

    Attributes
    ----------
    confident : SparseMatrix
        Counts (given, guess) of the confident rows.
    class_counts : ndarray of int64, shape (K,)
        Rows of each given class.
    n_label_issues : int
        Rows confidently of another class and not predicted as given.
    """

    confident: SparseMatrix
    class_counts: NDArray[np.int64]
    n_label_issues: int


def count_facts(facts: DataFrame, n_classes: int) -> FactCounts:
    """Count the facts of a table, in one pass.

    Raises
    ------
    InvalidRowsError
        If a row has none, so it cannot be scored.
    """
    narrow = select(facts, INDEX, GUESS, AGREES)
    found = reduce_rows(narrow, functools.partial(_pairs_of, n_classes=n_classes), _added)
    none = np.zeros(0, dtype=np.int64)
    counted = found or _Pairs(0, 0, none, none, none)
    if counted.n_unusable:
        raise InvalidRowsError(
            f"{counted.n_unusable} of {counted.n_rows} rows cannot be scored; "
            "multiclass.validate says which and why"
        )
    given, guesses = counted.pairs // (n_classes + 1), counted.pairs % (n_classes + 1) - 1
    sure = guesses != NOT_CONFIDENT
    class_counts = np.zeros(n_classes, dtype=np.int64)
    np.add.at(class_counts, given, counted.rows)
    return FactCounts(
        counted_pairs(n_classes, given[sure], guesses[sure], counted.rows[sure]),
        class_counts,
        int(counted.doubtful[sure & (guesses != given)].sum()),
    )


@dataclass(frozen=True, slots=True)
class _Pairs:
    """How many rows there are of each pair (given class, guess), and how many do not agree.

    Attributes
    ----------
    n_rows, n_unusable : int
        All rows, and those without facts, which are in no pair.
    pairs : ndarray of int64, shape (m,)
        given · (K + 1) + guess + 1, ascending: a guess may be NOT_CONFIDENT, -1.
    rows, doubtful : ndarray of int64, shape (m,)
    """

    n_rows: int
    n_unusable: int
    pairs: NDArray[np.int64]
    rows: NDArray[np.int64]
    doubtful: NDArray[np.int64]


def _pairs_of(batch: pa.RecordBatch, n_classes: int) -> _Pairs:
    usable = batch.filter(batch[GUESS].is_valid())
    index, guess, agrees = (c.to_numpy(zero_copy_only=False) for c in usable.columns)
    every = index.astype(np.int64) * (n_classes + 1) + guess + 1
    n_unusable = batch.num_rows - usable.num_rows
    n_pairs = n_classes * (n_classes + 1)
    if n_pairs <= _MAX_COUNTED:
        rows, doubtful = (np.bincount(of, minlength=n_pairs) for of in (every, every[~agrees]))
        pairs = np.flatnonzero(rows)
        return _Pairs(batch.num_rows, n_unusable, pairs, rows[pairs], doubtful[pairs])
    pairs, places = np.unique(every, return_inverse=True)
    rows = np.bincount(places, minlength=len(pairs))
    doubtful = np.bincount(places[~agrees], minlength=len(pairs))
    return _Pairs(batch.num_rows, n_unusable, pairs, rows, doubtful)


_MAX_COUNTED = 1 << 16
"""Up to so many pairs are counted in a place for each: several times as fast as a sort."""


def _added(a: _Pairs, b: _Pairs) -> _Pairs:
    pairs, places = np.unique(np.concatenate([a.pairs, b.pairs]), return_inverse=True)
    totals = np.zeros((2, len(pairs)), dtype=np.int64)
    for total, counts in zip(totals, ((a.rows, b.rows), (a.doubtful, b.doubtful)), strict=True):
        np.add.at(total, places, np.concatenate(counts))
    return _Pairs(a.n_rows + b.n_rows, a.n_unusable + b.n_unusable, pairs, *totals)

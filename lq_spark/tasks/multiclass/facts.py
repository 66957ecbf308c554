"""The facts of rows: what confident learning says of each, made in one Python pass and counted.

They are narrow columns but for the probabilities of those rows alone whose label is not predicted.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lq_spark.core.confident.joint import SparseMatrix, added_pairs, counted_pairs
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues.rules import Rule
from lq_spark.engine.numbers import values_of
from lq_spark.engine.readings import column_input
from lq_spark.engine.reductions import Reduction, reduce_all
from lq_spark.engine.verbs import with_mapped
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
    """Return the facts of a table, counted in one pass; as :func:`fact_counts`."""
    return fact_counts(reduce_all(facts, {"facts": counting_facts(n_classes)})["facts"], n_classes)


def counting_facts(n_classes: int) -> Reduction[Any]:
    """Return what counts the facts of a table, for :func:`fact_counts`."""
    inputs = {name: column_input(name) for name in (INDEX, GUESS, AGREES)}
    return Reduction(inputs, functools.partial(_pairs_of, n_classes=n_classes), _added)


def fact_counts(counted: Any, n_classes: int) -> FactCounts:
    """Return the facts of a table, counted by :func:`counting_facts`.

    Raises
    ------
    InvalidRowsError
        If a row has none, so it cannot be scored.
    """
    no_pairs = counted_pairs(n_classes + 1, *np.zeros((2, 0), dtype=np.int64))
    n_rows, n_unusable, pairs, doubtful = counted or _Counted(0, 0, no_pairs, no_pairs)
    if n_unusable:
        raise InvalidRowsError(
            f"{n_unusable} of {n_rows} rows cannot be scored; "
            "multiclass.validate says which and why"
        )
    sure = pairs.guess > 0
    class_counts = np.zeros(n_classes, dtype=np.int64)
    np.add.at(class_counts, pairs.given, pairs.values)
    is_issue = (doubtful.guess > 0) & (doubtful.guess - 1 != doubtful.given)
    return FactCounts(
        SparseMatrix(n_classes, pairs.given[sure], pairs.guess[sure] - 1, pairs.values[sure]),
        class_counts,
        int(doubtful.values[is_issue].sum()),
    )


class _Counted(NamedTuple):
    """How many rows there are, and of each pair (given class, guess + 1): a guess may be -1.

    Attributes
    ----------
    n_rows, n_unusable : int
        All rows, and those without facts, which are in no pair.
    pairs, doubtful : SparseMatrix
        Of all rows, and of those that do not agree.
    """

    n_rows: int
    n_unusable: int
    pairs: SparseMatrix
    doubtful: SparseMatrix


def _pairs_of(batch: pa.RecordBatch, n_classes: int) -> _Counted:
    usable = batch.filter(batch[GUESS].is_valid())
    index, guess, agrees = map(values_of, usable.columns)
    n = n_classes + 1
    return _Counted(
        batch.num_rows,
        batch.num_rows - usable.num_rows,
        counted_pairs(n, index, guess + 1),
        counted_pairs(n, index[~agrees], guess[~agrees] + 1),
    )


def _added(a: _Counted, b: _Counted) -> _Counted:
    return _Counted(
        a.n_rows + b.n_rows,
        a.n_unusable + b.n_unusable,
        added_pairs(a.pairs, b.pairs),
        added_pairs(a.doubtful, b.doubtful),
    )

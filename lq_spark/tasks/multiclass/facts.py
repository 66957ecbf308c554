"""The facts of rows: what confident learning says of each, made in one Python pass and counted.

They are narrow columns but for the probabilities of those rows alone whose label is not predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F

from lq_spark.core.confident.joint import NOT_CONFIDENT, SparseMatrix, counted_pairs
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues.rules import Rule
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.multiclass.batches import AGREES, DOUBTFUL, GUESS, INDEX, ORDER, facts_columns
from lq_spark.tasks.shared.batches import NewColumns, usable_rows_batch
from lq_spark.tasks.shared.table import LabelledTable

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def fact_columns(rule: Rule) -> list[str]:
    """Return the names of the columns that :func:`with_facts` adds."""
    order = [ORDER] if rule.order_by is not None else []
    return [INDEX, GUESS, *order, DOUBTFUL if rule.prunes_pairs else AGREES]


def agrees(rule: Rule) -> Column:
    """Return whether the label of a row with facts is predicted."""
    return F.col(DOUBTFUL).isNull() if rule.prunes_pairs else F.col(AGREES)


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


def count_facts(facts: DataFrame, rule: Rule, n_classes: int) -> FactCounts:
    """Count the facts of a table, natively.

    Raises
    ------
    InvalidRowsError
        If a row has none, so it cannot be scored.
    """
    guess = F.col(GUESS)
    given_class = F.when(
        guess.isNotNull(), F.col(INDEX)
    )  # rows that cannot be scored are one group
    groups = (
        facts.groupBy(given_class.alias("given"), guess.alias("guess"))
        .agg(F.count(F.lit(1)).alias("rows"), F.count_if(~agrees(rule)).alias("doubtful"))
        .collect()  # one row a pair of classes that occurs
    )
    n_unusable = sum(row["rows"] for row in groups if row["guess"] is None)
    if n_unusable:
        raise InvalidRowsError(
            f"{n_unusable} of {sum(row['rows'] for row in groups)} rows cannot be scored; "
            "multiclass.validate says which and why"
        )
    given, guesses, rows, doubtful = (
        np.array(
            [(row["given"], row["guess"], row["rows"], row["doubtful"]) for row in groups],
            dtype=np.int64,
        )
        .reshape(-1, 4)
        .T
    )
    sure = guesses != NOT_CONFIDENT
    class_counts = np.zeros(n_classes, dtype=np.int64)
    np.add.at(class_counts, given, rows)
    return FactCounts(
        counted_pairs(n_classes, given[sure], guesses[sure], rows[sure]),
        class_counts,
        int(doubtful[sure & (guesses != given)].sum()),
    )

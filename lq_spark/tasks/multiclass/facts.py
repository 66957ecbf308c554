"""The facts of rows: what confident learning says of each, made in one Python pass and counted.

They are narrow columns but for the probabilities of those rows alone whose label is not predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F

from lq_spark.core.confident.joint import NOT_CONFIDENT, SparseMatrix, counted_pairs
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues.quotas import require_quota_options
from lq_spark.core.label_issues.rules import require_filter
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.multiclass.batches import AGREES, DOUBTFUL, GUESS, ORDER, facts_columns
from lq_spark.tasks.shared.batches import NewColumns, usable_rows_batch
from lq_spark.tasks.shared.new_columns import with_mapped
from lq_spark.tasks.shared.table import LabelledTable

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

INDEX = "__lq_index"


@dataclass(frozen=True)
class Rule:
    """What makes a row a label issue: see :func:`lq_spark.core.label_issues.find_label_issues`.

    Raises
    ------
    OptionError
        If an option is unknown, out of range, or not for this rule.
    """

    filter_by: str = "prune_by_noise_rate"
    frac_noise: float = 1.0
    num_to_remove_per_class: int | Sequence[int] | None = None
    min_examples_per_class: int = 1
    collision_rule: str = "highest_of_all"

    def __post_init__(self) -> None:
        require_filter(
            self.filter_by, self.collision_rule, self.frac_noise, self.num_to_remove_per_class
        )
        require_quota_options(self.frac_noise, self.min_examples_per_class)

    @property
    def prunes_pairs(self) -> bool:
        """Return whether the margins over pairs of classes decide."""
        return self.filter_by in ("prune_by_noise_rate", "both")

    @property
    def prunes_classes(self) -> bool:
        """Return whether the self-confidence within each class decides."""
        return self.filter_by in ("prune_by_class", "both")

    @property
    def needs_cuts(self) -> bool:
        """Return whether a row is judged by the others, not by itself and the thresholds alone."""
        return self.prunes_pairs or self.order_by is not None

    @property
    def facts(self) -> list[str]:
        """Return the names of the columns that :func:`with_facts` adds."""
        order = [ORDER] if self.order_by is not None else []
        return [INDEX, GUESS, *order, DOUBTFUL if self.prunes_pairs else AGREES]

    @property
    def agrees(self) -> Column:
        """Return whether the label of a row with facts is predicted."""
        return F.col(DOUBTFUL).isNull() if self.prunes_pairs else F.col(AGREES)

    @property
    def order_by(self) -> str | None:
        """Return the score that rows are ordered by, if one is."""
        if self.filter_by == "low_normalized_margin":
            return "normalized_margin"
        low = self.filter_by == "low_self_confidence"
        return "self_confidence" if low or self.prunes_classes else None


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
    # A class index fits an integer, unlike the index of a label that is none.
    in_range = table.index.between(0, thresholds.n_classes - 1)
    return with_mapped(df, function, inputs, made.schema).withColumn(
        INDEX, F.when(in_range, table.index.cast("int"))
    )


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
        .agg(F.count(F.lit(1)).alias("rows"), F.count_if(~rule.agrees).alias("doubtful"))
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

"""The rows of a table that are label issues, from its facts: counted, cut, flagged, ranked.

What :mod:`lq_spark.tasks.multiclass.issues`, the tokens and the job have in common.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lq_spark.core.confident.joint import SparseMatrix
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues.rules import Rule, require_two_classes
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column
from lq_spark.engine.kept import kept
from lq_spark.engine.keys import key_ranges
from lq_spark.engine.reductions import Reductions, reduce_all
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.multiclass.cuts import Cuts, find_cuts, flagged
from lq_spark.tasks.multiclass.facts import (
    FactCounts,
    counting_facts,
    fact_columns,
    fact_counts,
    with_facts,
)
from lq_spark.tasks.shared.batches import NewColumns
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE
from lq_spark.tasks.shared.probabilities import PredProbs, probability_names
from lq_spark.tasks.shared.reasons import unknown_labels_text
from lq_spark.tasks.shared.table import LabelledTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


_MAX_HELD = 1 << 26
"""Of tables of up to so many probabilities the whole rows are held with the result."""


_NOT_HELD = Held(wanted=False)


class TableColumns(NamedTuple):
    """Names of the columns that tell rows apart, and that they are flagged by."""

    key: str
    label: str
    pred_probs: PredProbs


def flagged_rows(
    df: DataFrame,
    table: LabelledTable,
    columns: TableColumns,
    rule: Rule,
    thresholds: Thresholds,
    fitted: NoiseModel | None,
    *,
    scores: NewColumns,
    tolerance: float,
    count: bool = False,
    joint: SparseMatrix | None = None,
    held: Held = _NOT_HELD,
    validate: str | None = None,
    stacklevel: int = 3,
) -> tuple[DataFrame, NoiseModel | None]:
    """Return the table with scores and ``is_label_issue``, and what it says of its noise.

    Cuts are found now, the table is lazy. A rule that needs no cuts has the noise counted only if
    ``count`` says so; ``joint`` is that of :func:`noise_and_cuts`. Facts and scores are made in one
    Python pass if the whole rows can be ``held`` meanwhile; else facts are made first, and once
    more with the scores in the result. Keys are checked on the way, or before it, if ``validate``
    names the function that tells which rows share one.

    Raises
    ------
    DataError
        If all rows have one label and the rule compares classes.
    InvalidRowsError
        If a row cannot be scored, or shares its key.
    """
    model, cuts = None, Cuts()
    is_counted = rule.needs_cuts or count
    is_held = held.wanted and is_counted
    if validate and not is_held:
        require_unique(df, columns.key, validate=validate)
    if fitted is None:
        require_two_classes(rule.filter_by, thresholds.class_counts)
    # Once facts are counted, all rows can be scored.
    found = with_facts(
        df, table, thresholds, rule, scores=scores, fail=not is_held, tolerance=tolerance
    )
    if is_held:
        found = held.hold(found)
    if is_counted:
        if is_held:
            narrow: AbstractContextManager[DataFrame] = nullcontext(found)
        else:
            names = [columns.key, columns.label, *probability_names(columns.pred_probs)]
            rows = df.select(*map(column, dict.fromkeys(names)))
            facts = with_facts(rows, table, thresholds, rule, fail=False, tolerance=tolerance)
            narrow = kept(facts.select(column(columns.key), *fact_columns(rule)))
        whole = (found if is_held else df).select(
            column(columns.key).alias("key"),
            table.index.alias("index"),
            table.pred_probs.alias("pred_probs"),
        )
        with narrow as facts:
            try:
                reductions: Reductions = {"facts": counting_facts(thresholds.n_classes)}
                if is_held and validate:
                    ranges = key_ranges(facts, columns.key, by_engine=True)
                    reductions = {**reductions, **ranges}
                states = reduce_all(facts, reductions)
                counts = fact_counts(states["facts"], thresholds.n_classes)
                if is_held and validate:
                    require_unique(facts, columns.key, validate=validate, states=states)
                model, cuts = noise_and_cuts(
                    *(facts, counts, whole, columns.key, rule, thresholds, fitted),
                    joint=joint,
                    stacklevel=stacklevel + 1,
                )
            except InvalidRowsError as error:
                named = unknown_labels_text(df, table.index, columns.label)
                raise InvalidRowsError(f"{error}{named}") from error
    found = flagged(found, columns.key, rule, cuts, thresholds.n_classes, IS_LABEL_ISSUE)
    return found, model


def held_if_small(n_rows: int | None, n_classes: int) -> Held:
    """Return what holds the rows of a table for its issues, unless they are many or not known."""
    return Held(wanted=n_rows is not None and n_rows * n_classes <= _MAX_HELD)


def noise_and_cuts(
    facts: DataFrame,
    counts: FactCounts,
    whole: DataFrame,
    key: str,
    rule: Rule,
    thresholds: Thresholds,
    fitted: NoiseModel | None,
    *,
    joint: SparseMatrix | None = None,
    stacklevel: int = 2,
) -> tuple[NoiseModel, Cuts]:
    """Return what the facts of a table say of its noise, and where the rule cuts it.

    ``facts``, ``whole`` and ``key`` are those of :func:`lq_spark.tasks.multiclass.cuts.find_cuts`.
    ``joint`` says how many rows to prune, as it is, in place of what was fitted or counted;
    ``stacklevel`` is that of the user's call, for warnings.
    """
    model = NoiseModel(
        replace(thresholds, class_counts=tuple(counts.class_counts.tolist())),
        counts.confident,
        counts.n_label_issues,
        rule.collision_rule,
    )
    if not rule.needs_cuts:
        return model, Cuts()
    if joint is None:
        joint = (fitted or model).calibrated_joint(counts.class_counts)
    quotas = rule.quotas(joint, counts.class_counts)
    rule.warn_of_small_classes(counts.class_counts, thresholds.classes, stacklevel=stacklevel + 1)
    return model, find_cuts(facts, whole, key, rule, counts, quotas)

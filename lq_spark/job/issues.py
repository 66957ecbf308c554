"""The part of a run that finds label issues.

Passes: scores and facts of the rows are made in one Python pass and written to a scratch place; the
joint is counted and the cuts are found there, and what is written in the end is read from there
too. The source is looked at again only where :mod:`lq_spark.tasks.multiclass.cuts` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues.rules import Rule, require_two_classes
from lq_spark.engine.inputs import column
from lq_spark.tasks.multiclass.cuts import flagged
from lq_spark.tasks.multiclass.facts import fact_columns, with_facts
from lq_spark.tasks.multiclass.flags import IS_LABEL_ISSUE, judged, with_issue_rank
from lq_spark.tasks.multiclass.issues import agreed_collision_rule
from lq_spark.tasks.shared.batches import score_columns
from lq_spark.tasks.shared.table import LABEL_QUALITY, PREDICTED_LABEL, LabelledTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.job.config import ScoreConfig
    from lq_spark.job.labelled_config import LabelledConfig


def facts_of(
    rows: DataFrame,
    table: LabelledTable,
    config: ScoreConfig,
    thresholds: Thresholds,
    fitted: NoiseModel | None,
) -> DataFrame:
    """Return scores and facts of the rows, to be made once and kept until the issues are found.

    Raises
    ------
    DataError
        If all rows have one label and the rule compares classes.
    """
    rule = rule_of(config, fitted)
    if fitted is None:
        require_two_classes(rule.filter_by, thresholds.class_counts)
    adjusting = thresholds if config.adjust_pred_probs else None
    made = with_facts(
        rows,
        table,
        thresholds,
        rule,
        scores=score_columns(config.method, adjusting, table.label_type, table.classes),
        fail=False,
        tolerance=config.tolerance,
    )
    return made.select(
        *map(column, config.carried), PREDICTED_LABEL, LABEL_QUALITY, *fact_columns(rule)
    )


def rows_with_issues(
    facts: DataFrame,
    rows: DataFrame,
    table: LabelledTable,
    config: ScoreConfig,
    thresholds: Thresholds,
    fitted: NoiseModel | None,
) -> tuple[DataFrame, NoiseModel]:
    """Return scores and issues of the rows, to be written, and what the rows say of the noise.

    Raises
    ------
    InvalidRowsError
        If a row cannot be scored.
    """
    rule = rule_of(config, fitted)
    whole = rows.select(
        column(config.id).alias("key"),
        table.index.alias("index"),
        table.pred_probs.alias("pred_probs"),
    )
    model, cuts = judged(facts, whole, config.id, rule, thresholds, fitted)
    found = flagged(facts, config.id, rule, cuts, model.n_classes, IS_LABEL_ISSUE).drop(
        *fact_columns(rule)
    )
    return with_issue_rank(found, config.id) if config.issue_rank else found, model


def no_rows_with_issues(scored: DataFrame, key: str, issue_rank: bool) -> DataFrame:
    """Return a table without rows with the columns that issues would have."""
    found = scored.withColumn(IS_LABEL_ISSUE, F.lit(None).cast("boolean"))
    return with_issue_rank(found, key) if issue_rank else found


def rule_of(config: LabelledConfig, fitted: NoiseModel | None) -> Rule:
    """Return the rule of a configuration; raise OptionError if what was fitted has another."""
    return Rule(
        filter_by=config.filter_by,
        frac_noise=config.frac_noise,
        num_to_remove_per_class=config.num_to_remove_per_class,
        min_examples_per_class=config.min_examples_per_class,
        collision_rule=agreed_collision_rule(config.collision_rule, fitted),
    )

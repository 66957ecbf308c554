"""What configurations say of label issues of K exclusive classes: the rule, and the score."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from lq_spark.core.confident.joint import COLLISION_RULES
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.label_issues.rules import BY_ROW, FILTERS, Rule
from lq_spark.core.multiclass.scores import METHODS, require_method
from lq_spark.job.config import JobConfig
from lq_spark.job.places import beside
from lq_spark.tables.spec import TableSpec

HEALTH_TABLES = {"class_health": "_classes", "class_overlaps": "_overlaps"}
"""Endings of the tables beside the metrics; see :mod:`lq_spark.job.record.metrics`."""

IssueRank = Annotated[bool, Field(description="rank the issues, 1 the worst")]
FilterBy = Annotated[str, Field(description=f"rule: {', '.join(FILTERS)}")]
FracNoise = Annotated[
    float,
    Field(description="share of the estimated issues to flag; for the prune_* rules and both"),
]
NumToRemove = list[Annotated[int, Field(ge=0)]]


RULE_KEYS = (
    *("filter_by", "frac_noise", "min_examples_per_class", "num_to_remove_per_class"),
    *("collision_rule", "issue_rank"),
)
"""The keys of :class:`RulesConfig`, as they are named where they are given in vain."""


class RulesConfig(JobConfig):
    """A job that finds label issues by a rule, and says how healthy each class is."""

    filter_by: FilterBy = "prune_by_noise_rate"
    frac_noise: FracNoise = 1.0
    min_examples_per_class: int = Field(
        1, description="classes with no more rows than this have none flagged"
    )
    num_to_remove_per_class: NumToRemove | None = Field(
        None, description="how many rows of each class to flag instead of the estimated number"
    )
    collision_rule: str | None = Field(
        None,
        description=f"class of a row that reaches several thresholds: {', '.join(COLLISION_RULES)}",
    )
    issue_rank: IssueRank = False

    @model_validator(mode="after")
    def _is_a_rule(self) -> RulesConfig:
        rule_of_keys(self, "highest_of_all" if self.collision_rule is None else self.collision_rule)
        return self

    @property
    def seeks_issues(self) -> bool:
        """Return whether label issues are sought."""
        return True

    @property
    def meanings(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the metrics of the table, and those of each class, with what they mean."""
        of_table, of_classes = super().meanings
        joint = "How far the joint of given and true labels has moved: 0 the same, 1 all of it."
        return {**of_table, "drift_joint": joint}, of_classes

    @property
    def records(self) -> dict[str, TableSpec]:
        """Return the tables of metrics and, if issues are sought, of the health of classes."""
        tables = super().records
        if self.seeks_issues:
            for option, ending in HEALTH_TABLES.items():
                place = beside(tables["metrics"].name, ending)
                tables[option] = self._written("metrics", place, mode="append")
        return tables


class ScoresConfig(JobConfig):
    """A job that scores the labels of rows, of K exclusive classes."""

    method: str = Field("self_confidence", description=f"score: {', '.join(METHODS)}")
    adjust_pred_probs: bool = Field(
        False, description="correct the probabilities by the class thresholds first (two passes)"
    )

    @model_validator(mode="after")
    def _is_a_score(self) -> ScoresConfig:
        require_method(self.method, adjust_pred_probs=self.adjust_pred_probs)
        return self


def rule_of_keys(config: RulesConfig, collision_rule: str) -> Rule:
    """Return the rule of a configuration; raise OptionError if its keys are none."""
    return Rule(
        filter_by=config.filter_by,
        frac_noise=config.frac_noise,
        num_to_remove_per_class=config.num_to_remove_per_class,
        min_examples_per_class=config.min_examples_per_class,
        collision_rule=collision_rule,
    )


def rule_of(config: RulesConfig, fitted: NoiseModel | None) -> Rule:
    """Return the rule of a configuration; raise OptionError if what was fitted has another."""
    from lq_spark.tasks.multiclass.issues import agreed_collision_rule

    return rule_of_keys(config, agreed_collision_rule(config.collision_rule, fitted))


def rows_compared(rule: Rule, *, issue_rank: bool) -> str:
    """Return why whether a row is an issue depends on others, if it does; or nothing."""
    if rule.needs_cuts:
        return (
            f"filter_by {rule.filter_by!r} compares all rows; one that judges each by itself is "
            f"{' or '.join(map(repr, BY_ROW))}"
        )
    return "issue_rank ranks all rows" if issue_rank else ""

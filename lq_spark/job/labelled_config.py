"""The configuration of the jobs over labels and probabilities of K exclusive classes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from lq_spark.core.confident.joint import COLLISION_RULES
from lq_spark.core.label_issues.rules import FILTERS, Rule
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.errors import listed
from lq_spark.job.common_config import FittedConfig, Name, beside
from lq_spark.job.metric_names import OF_ISSUES

_FOR_ISSUES = (
    "filter_by",
    "frac_noise",
    "min_examples_per_class",
    "num_to_remove_per_class",
    "collision_rule",
    "issue_rank",
    "fitted",
    "save_fitted",
)


class LabelledConfig(FittedConfig):
    """A job over labels and probabilities: classes, and the rule of label issues."""

    pred_probs: Name | list[Name] = Field(
        "pred_probs", description="column of the predicted probabilities, or a column a class"
    )
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities; for string labels"
    )
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else the first row)"
    )
    find_issues: bool = Field(
        False, description="say also which labels are issues, and how healthy each class is"
    )
    filter_by: str = Field("prune_by_noise_rate", description=f"rule: {', '.join(FILTERS)}")
    frac_noise: float = Field(
        1.0, description="share of the estimated issues to flag; for the prune_* rules and both"
    )
    min_examples_per_class: int = Field(
        1, description="classes with no more rows than this have none flagged"
    )
    num_to_remove_per_class: list[Annotated[int, Field(ge=0)]] | None = Field(
        None, description="how many rows of each class to flag instead of the estimated number"
    )
    collision_rule: str | None = Field(
        None,
        description=f"class of a row that reaches several thresholds: {', '.join(COLLISION_RULES)}",
    )
    issue_rank: bool = Field(False, description="rank the issues, 1 the worst")
    tolerance: float = Field(
        SUM_TOLERANCE, ge=0, lt=1, description="how far a row's probabilities may sum from 1"
    )

    @model_validator(mode="after")
    def _rules_agree(self) -> LabelledConfig:
        Rule(
            self.filter_by,
            self.frac_noise,
            self.num_to_remove_per_class,
            self.min_examples_per_class,
            "highest_of_all" if self.collision_rule is None else self.collision_rule,
        )
        for name in _FOR_ISSUES:
            value = getattr(self, name) if name in self.model_fields_set else None
            if value is not None and value is not False and not self.find_issues:
                raise ValueError(f"{name} is given, so find_issues must be true")
        for condition in self.conditions:
            if not self.find_issues and (
                named := OF_ISSUES.intersection(reading.metric for reading in condition.readings)
            ):
                raise ValueError(
                    f"{condition.option}: {condition.text!r} is about {listed(sorted(named))}, so "
                    "find_issues must be true"
                )
        return self

    @property
    def metrics_paths(self) -> list[str]:
        """Return where metrics go, and the health of classes if issues are sought."""
        health = [self.class_health_path, self.class_overlaps_path] if self.find_issues else []
        return [*super().metrics_paths, *health]

    @property
    def class_health_path(self) -> str:
        """Return where the health of the classes goes."""
        return beside(self.metrics_path, "_classes")

    @property
    def class_overlaps_path(self) -> str:
        """Return where the overlaps of classes go."""
        return beside(self.metrics_path, "_overlaps")

"""The configuration of the job over rows that may have any number of labels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lq_spark.core.label_issues.rules import FILTERS, Rule
from lq_spark.core.multiclass.scores import METHODS, require_method
from lq_spark.core.multilabel.scores import (
    AGGREGATORS,
    DEFAULT_ALPHA,
    DEFAULT_TEMPERATURE,
    aggregator_of,
)
from lq_spark.errors import require_one_of
from lq_spark.job.common_config import FittedConfig, Name, Place, beside
from lq_spark.job.metric_names import (
    CLASS_DRIFT,
    CLASS_ISSUES,
    CLASS_LABEL_SETS,
    DRIFT,
    ISSUES,
    LABEL_SETS,
    ROWS,
    THRESHOLDS,
)
from lq_spark.tables.spec import TableSpec


class MultilabelConfig(FittedConfig):
    """A run over label sets."""

    task: Literal["multilabel"] = Field("multilabel", description="what the labels are")
    id: Name = Field("id", description="column that tells rows apart")
    labels: Name = Field("labels", description="column of the given labels: an array")
    pred_probs: Name | list[Name] = Field(
        "pred_probs", description="column of the predicted probabilities, or a column a class"
    )
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities; for string labels"
    )
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else the first row)"
    )
    issue_output: Place | None = Field(
        None, description="path or name for a row a class suspected (default: OUTPUT_issues)"
    )
    method: str = Field("self_confidence", description=f"score of a class: {', '.join(METHODS)}")
    adjust_pred_probs: bool = Field(
        False, description="correct the probabilities by the thresholds of each class first"
    )
    aggregator: str = Field(
        "exponential_moving_average",
        description=f"what makes one score of a row's classes: {', '.join(AGGREGATORS)}",
    )
    alpha: float | None = Field(
        None,
        description="of exponential_moving_average: weight of the lowest score "
        f"(default: {DEFAULT_ALPHA})",
    )
    temperature: float | None = Field(
        None, description=f"of softmin: 0 the minimum (default: {DEFAULT_TEMPERATURE})"
    )
    filter_by: str = Field("prune_by_noise_rate", description=f"rule: {', '.join(FILTERS)}")
    frac_noise: float = Field(
        1.0, description="share of the estimated issues to flag; for the prune_* rules and both"
    )
    min_examples_per_class: int = Field(
        1, description="classes given to no more rows than this have none flagged"
    )
    num_to_remove_per_class: list[Annotated[int, Field(ge=0)]] | None = Field(
        None, description="how many rows given each class to flag for it, not the estimated number"
    )
    issue_rank: bool = Field(False, description="rank the issues, 1 the worst")

    @model_validator(mode="after")
    def _options_agree(self) -> MultilabelConfig:
        require_method(self.method, adjust_pred_probs=self.adjust_pred_probs)
        require_one_of("aggregator", self.aggregator, AGGREGATORS)
        for method, name in AGGREGATORS.items():
            if getattr(self, name) is not None and method != self.aggregator:
                raise ValueError(f"{name} goes with aggregator {method!r}, got {self.aggregator!r}")
        aggregator_of(self.aggregator_kwargs)
        Rule(
            self.filter_by,
            self.frac_noise,
            self.num_to_remove_per_class,
            self.min_examples_per_class,
        )
        if self.fitted and self.save_fitted:
            raise ValueError("fitted is given, so save_fitted does not go with it")
        return self

    @property
    def row_id(self) -> str:
        """Return the column that tells the rows of the source apart."""
        return self.id

    @property
    def metric_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the metrics of the table, and those of each class."""
        drift = tuple(name for name in DRIFT if name != "drift_joint")
        of_classes = CLASS_LABEL_SETS + CLASS_ISSUES + CLASS_DRIFT + THRESHOLDS
        return ROWS + ISSUES + LABEL_SETS + drift, of_classes

    @property
    def aggregator_kwargs(self) -> dict[str, Any]:
        """Return what :func:`lq_spark.core.multilabel.scores.aggregator_of` takes."""
        name = AGGREGATORS[self.aggregator]
        defaults = {"alpha": DEFAULT_ALPHA, "temperature": DEFAULT_TEMPERATURE}
        told = getattr(self, name)
        return {"method": self.aggregator, name: defaults[name] if told is None else told}

    @property
    def issue_output_path(self) -> str:
        """Return where the suspected classes go."""
        return self.issue_output or beside(self.output, "_issues")

    @property
    def issue_output_spec(self) -> TableSpec:
        """Return which table of suspected classes is written, and how."""
        place, how = self.issue_output_path, self.write_mode
        return self._written(
            "issue_output", place, mode=how, keys=(self.id, "class"), groups=(self.id,)
        )

    def _require_specs(self) -> None:
        super()._require_specs()
        _ = self.issue_output_spec

    @property
    def staged(self) -> list[str]:
        """Return the tables that are replaced or changed as a whole."""
        return [*super().staged, self.issue_output_path]

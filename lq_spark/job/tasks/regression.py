"""The job of regression: labels that are numbers, and predictions of them.

Passes over the source beside its keys: those of :func:`lq_spark.regression.find_issues`, on its
numbers, which are written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from lq_spark.core.regression.outre import EXACT_UP_TO
from lq_spark.core.regression.rules import (
    METHODS,
    OUTRE_THRESHOLD,
    QUANTILES,
    agreed_threshold,
    require_score_options,
)
from lq_spark.job.config import JobConfig, Name
from lq_spark.job.rules import IssueRank
from lq_spark.job.summary import Metric, Summary, lowest_table
from lq_spark.job.task import Task
from lq_spark.job.tasks.options import Id
from lq_spark.report.parts import Part, Shown, Table
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY, PREDICTED_LABEL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.reductions import Reduced, Reductions, Scratch
    from lq_spark.job.scores import Lowest
    from lq_spark.tasks.regression.columns import RegressionTable
    from lq_spark.tasks.regression.health import RegressionHealth
    from lq_spark.tasks.regression.passes import Deviations


class RegressionConfig(JobConfig):
    """A run over labels and predictions that are numbers."""

    task: Literal["regression"] = Field("regression", description="what the labels are")
    id: Id = "id"
    label: Name = Field("label", description="column of the given labels: numbers")
    prediction: Name = Field(
        "prediction", description="column of out-of-sample predictions of the labels"
    )
    method: str = Field("outre", description=f"score of a row: {', '.join(METHODS)}")
    uncertainty: Name | float | None = Field(
        None,
        description="for method uncertainty: how far predictions may be off, a column or a number",
    )
    threshold: float | None = Field(
        None,
        description="score below which a row is a label issue (default: of outre "
        f"{OUTRE_THRESHOLD:.4f}, a twentieth of the median row's)",
    )
    frac_issues: float | None = Field(
        None, description="share of the rows that are label issues, instead of a threshold"
    )
    issue_rank: IssueRank = False
    exact_up_to: int = Field(
        EXACT_UP_TO,
        ge=0,
        description="how many rows outre compares each with each other; beyond, by cells, nearly",
    )

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "mean_label_quality": "Mean label quality of the rows: 1 clean, 0 suspect.",
        "label_issues": "Rows whose number is probably wrong.",
        "issue_rate": "Share of the rows that are issues.",
        "r_squared": "How much of the variance of the labels the predictions explain: 1 all.",
        "mean_residual": "Mean of prediction minus label.",
        "rms_residual": "Root mean square of prediction minus label.",
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = {
        "residual_quantile": "The residual below which this share of the rows lies.",
    }

    @model_validator(mode="after")
    def _options_agree(self) -> RegressionConfig:
        require_score_options(self.method, self.number_or_column, self.exact_up_to)
        agreed_threshold(self.method, self.threshold, self.frac_issues)
        return self

    @property
    def number_or_column(self) -> str | float | None:
        """Return the uncertainty, as a number if a flag's text is one."""
        try:
            return None if self.uncertainty is None else float(self.uncertainty)
        except ValueError:
            return self.uncertainty

    @property
    def class_names(self) -> list[str]:
        """Return the shares of the rows that metrics are of."""
        return [str(share) for share in QUANTILES]


@dataclass(frozen=True, slots=True)
class ScoredNumbers(Summary):
    """The scores of numbers in short.

    Attributes
    ----------
    health : RegressionHealth
    worst : list of tuple
        (id, label, prediction, label quality) of the lowest, ties by residual, then by id.
    """

    health: RegressionHealth
    worst: list[tuple[Any, ...]]

    def metrics(self) -> Iterator[Metric]:
        """Yield (metric, share of the rows or None, value)."""
        health = self.health
        yield "mean_label_quality", None, health.mean_label_quality
        yield "label_issues", None, health.n_label_issues
        yield "issue_rate", None, health.issue_rate
        yield "r_squared", None, health.r_squared
        yield "mean_residual", None, health.mean_residual
        yield "rms_residual", None, health.rms_residual
        for share, residual in health.residual_quantiles.items():
            yield "residual_quantile", str(share), residual

    def parts(self, config: RegressionConfig) -> list[Part]:
        """Return totals, residuals, and the lowest rows."""
        health = self.health
        r_squared = "-" if health.r_squared is None else f"{health.r_squared:.4f}"
        lines = [
            "",
            f"mean label quality {health.mean_label_quality:.4f}, method {config.method}",
            f"label issues {health.n_label_issues:,} of {health.n_rows:,} rows, "
            f"{health.issue_rate:.2%}",
            f"residuals (prediction - label): mean {health.mean_residual:.6g}, root mean square "
            f"{health.rms_residual:.6g}, R² {r_squared}",
        ]
        shares = [f"{share:.0%}" for share in health.residual_quantiles]
        values = [Shown(f"{value:.6g}", value) for value in health.residual_quantiles.values()]
        quantiles = Table("residuals by quantile", ("quantile", *shares), [("residual", *values)])
        rows = [
            (key, Shown(f"{given:.6g}", given), Shown(f"{predicted:.6g}", predicted), quality)
            for key, given, predicted, quality in self.worst
        ]
        header = (config.id, "given", "predicted", "quality")
        return [*lines, quantiles, lowest_table(header, rows)]


class RegressionTask(Task[RegressionConfig]):
    """Rows of a label that is a number, and a prediction of it."""

    config_type = RegressionConfig
    flag_column = IS_LABEL_ISSUE
    passes = "those that compare its numbers, which are kept, and one for scores"

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.regression.columns import regression_table

        config = self.config
        self.columns: dict[str, Any] = {
            "label": config.label,
            "prediction": config.prediction,
            "uncertainty": config.number_or_column,
        }
        self.table = regression_table(self.source, **self.columns)
        self.added = [IS_LABEL_ISSUE, PREDICTED_LABEL, LABEL_QUALITY]
        self.added += [ISSUE_RANK] * config.issue_rank
        self.require_new(*self.added)

    def not_by_itself(self) -> str:
        """Return which option compares rows, if one does."""
        config = self.config
        if config.method != "residual":
            return f"method {config.method!r} compares all rows; 'residual' does not"
        if config.frac_issues is not None:
            return "frac_issues is a share of all rows; threshold judges each by itself"
        return "issue_rank ranks all rows" if config.issue_rank else ""

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes."""
        return "none: labels are numbers"

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import regression

        return regression.validate(rows, id=self.config.id, **self.columns)

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        from lq_spark.core.regression.api import residual_deviations

        return {"output": self._issues(self.none, residual_deviations, 0.0)}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with their issues."""
        from lq_spark.tasks.regression.passes import fit_deviations

        config = self.config
        deviations = fit_deviations(rows, self.table, config.method, config.exact_up_to, fail=True)
        threshold = agreed_threshold(config.method, config.threshold, config.frac_issues)
        yield "output", self._issues(rows, deviations, threshold)

    def _issues(
        self, rows: DataFrame, deviations: Deviations, threshold: float | None
    ) -> DataFrame:
        from pyspark.sql import functions as F

        from lq_spark.tasks.regression.issues import with_issues
        from lq_spark.tasks.regression.passes import DEVIATION

        config = self.config
        found = with_issues(
            rows, self.table, config.id, deviations, threshold, config.frac_issues, fail=False
        )
        found = self.ranked(found, -F.col(DEVIATION))
        return self.select(found, config.label, *config.keep_columns, *self.added)

    def reductions(self, option: str) -> Reductions:
        """Return the sums of the output, and its lowest rows."""
        from lq_spark.tasks.regression.health import health_reductions

        return {**health_reductions(self._scored), **self._lowest.reductions(self.source)}

    def summarize(self, tables: Mapping[str, Reduced]) -> ScoredNumbers:
        """Return the table in short."""
        from lq_spark.tasks.regression.health import health_of

        output = tables["output"]
        return ScoredNumbers(health_of(output, self._scored), self._lowest.of(output))

    @property
    def _scored(self) -> RegressionTable:
        """Return the numbers of the output."""
        from lq_spark.engine.readings import column_input

        return replace(self.table, inputs=(self.table.inputs[0], column_input(PREDICTED_LABEL)))

    @property
    def _lowest(self) -> Lowest:
        from lq_spark.engine.readings import column_input
        from lq_spark.job.scores import Lowest

        key, numbers = self.config.id, self._scored.inputs
        shown = (column_input(key), *numbers, column_input(LABEL_QUALITY))
        return Lowest(key, LABEL_QUALITY, shown, apart=numbers)


TASK = RegressionTask

"""The configuration of the job over labels that are numbers, and predictions of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lq_spark.core.regression.outre import EXACT_UP_TO
from lq_spark.core.regression.rules import (
    METHODS,
    OUTRE_THRESHOLD,
    QUANTILES,
    agreed_threshold,
    require_score_options,
)
from lq_spark.job.common_config import JobConfig, Name
from lq_spark.job.metric_names import NUMBERS, RESIDUAL_QUANTILES


class RegressionConfig(JobConfig):
    """A run over labels and predictions that are numbers."""

    task: Literal["regression"] = Field("regression", description="what the labels are")
    id: Name = Field("id", description="column that tells rows apart")
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
    issue_rank: bool = Field(False, description="rank the issues, 1 the worst")
    exact_up_to: int = Field(
        EXACT_UP_TO,
        ge=0,
        description="how many rows outre compares each with each other; beyond, by cells, nearly",
    )

    @model_validator(mode="after")
    def _options_agree(self) -> RegressionConfig:
        require_score_options(self.method, self.told_uncertainty, self.exact_up_to)
        agreed_threshold(self.method, self.threshold, self.frac_issues)
        return self

    @property
    def told_uncertainty(self) -> str | float | None:
        """Return the uncertainty, as a number if a flag's text is one."""
        try:
            return None if self.uncertainty is None else float(self.uncertainty)
        except ValueError:
            return self.uncertainty

    @property
    def row_id(self) -> str:
        """Return the column that tells the rows of the source apart."""
        return self.id

    @property
    def metric_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the metrics of the table, and those of each share of its rows."""
        return NUMBERS, RESIDUAL_QUANTILES

    @property
    def class_names(self) -> list[str]:
        """Return the shares of the rows that metrics are of."""
        return [str(share) for share in QUANTILES]

"""The configuration of the job that scores images with a label a pixel."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lq_spark.core.segmentation.api import DEFAULT_TEMPERATURE, IMAGE_METHODS, require_temperature
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.errors import require_one_of
from lq_spark.job.common_config import FittedConfig, Name
from lq_spark.job.metric_names import (
    CLASS_DRIFT,
    CLASS_ISSUES,
    CLASS_PIXELS,
    DRIFT,
    PIXELS,
    ROWS,
    THRESHOLDS,
)


class SegmentationConfig(FittedConfig):
    """A run over images."""

    task: Literal["segmentation"] = Field("segmentation", description="what the labels are")
    id: Name = Field("id", description="column that tells the images apart")
    label_mask: Name = Field(
        "label_mask",
        description="column of the given classes, (H, W): nested arrays; or binary, beside columns "
        "of its name with _shape (array<int>) and _dtype (numpy's name) added",
    )
    pred_probs: Name = Field(
        "pred_probs", description="column of the predicted probabilities, (K, H, W), likewise"
    )
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities, for metrics and summary"
    )
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else the first row)"
    )
    downsample: int | None = Field(
        None, ge=1, description="side of the squares of pixels to average first (else 1)"
    )
    ignore_label: int | None = Field(
        None, description="label of pixels that are left out, as 255 of borders often is"
    )
    method: str = Field(
        "softmin", description=f"label quality of an image: {', '.join(IMAGE_METHODS)}"
    )
    temperature: float = Field(
        DEFAULT_TEMPERATURE, description="of softmin: near 0 the worst pixel, higher the mean"
    )
    tolerance: float = Field(
        SUM_TOLERANCE, ge=0, lt=1, description="how far a pixel's probabilities may sum from 1"
    )

    @model_validator(mode="after")
    def _scores_agree(self) -> SegmentationConfig:
        require_one_of("method", self.method, IMAGE_METHODS)
        require_temperature(self.temperature)
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
        of_classes = (*CLASS_PIXELS, *CLASS_ISSUES, *THRESHOLDS, *CLASS_DRIFT)
        return (*ROWS, *PIXELS, *(name for name in DRIFT if name != "drift_joint")), of_classes

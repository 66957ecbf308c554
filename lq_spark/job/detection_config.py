"""The configuration of the job that scores images with boxes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from lq_spark.core.detection.scores import ISSUE_KINDS, checked_weights
from lq_spark.errors import listed
from lq_spark.job.common_config import FittedConfig, Name, Place
from lq_spark.job.metric_names import (
    BOXES,
    CLASS_BOXES,
    CLASS_DRIFT,
    DRIFT,
    ISSUES,
    ROWS,
    THRESHOLDS,
)
from lq_spark.tables.spec import TableSpec

_OF_ROWS = ("box", "box_format", "label", "prob", "box_id")


class DetectionConfig(FittedConfig):
    """A run over images with boxes."""

    task: Literal["detection"] = Field("detection", description="what the labels are")
    id: Name = Field("id", description="column that tells the images apart")
    labels: Name = Field(
        "labels", description="column of the label boxes: array of structs x1, y1, x2, y2, label"
    )
    predictions: Name = Field(
        "predictions", description="column of the predicted boxes: the same with prob"
    )
    label_boxes: Place | None = Field(
        None, description="table of one row a label box, where input has the images alone"
    )
    predicted_boxes: Place | None = Field(
        None, description="table of one row a predicted box; label_boxes and it go together"
    )
    box: list[Name] = Field(
        ["x1", "y1", "x2", "y2"],
        description="in these: column of arrays of 4 numbers, or 4 columns of numbers",
    )
    box_format: str = Field("xyxy", description="of these 4 numbers: xyxy, or COCO's xywh")
    label: Name = Field("label", description="in tables of boxes: column of the class")
    prob: Name = Field("prob", description="in that of predicted boxes: column of the probability")
    box_id: Name | None = Field(
        None, description="column of label_boxes to carry into labels as box_id"
    )
    classes: list[Name] | None = Field(None, description="class names; for string labels")
    n_classes: int | None = Field(
        None, ge=1, description="number of classes, where nothing else says it (else the highest)"
    )
    overlooked_weight: float = Field(
        1 / 3, description="of overlooked objects in the score of an image; weights sum to 1"
    )
    badloc_weight: float = Field(1 / 3, description="of badly located boxes")
    swap_weight: float = Field(1 / 3, description="of swapped classes")
    overlapping_label_check: bool = Field(
        True, description="score label boxes of different classes in one place low"
    )
    issue_rank: bool = Field(False, description="rank the images with issues, 1 the worst")

    @model_validator(mode="after")
    def _options_agree(self) -> DetectionConfig:
        checked_weights(self.weights)
        if (self.label_boxes is None) != (self.predicted_boxes is None):
            raise ValueError("label_boxes and predicted_boxes go together; one alone is given")
        given = [name for name in _OF_ROWS if name in self.model_fields_set]
        if given and self.label_boxes is None:
            raise ValueError(f"{given[0]} is given, so label_boxes and predicted_boxes must be too")
        both = self.label_boxes is not None
        if given_arrays := [
            name for name in ("labels", "predictions") if both and self._says(name)
        ]:
            raise ValueError(
                f"label_boxes is given, so {listed(given_arrays)} must not be: they are made of it"
            )
        if self.fitted and self.save_fitted:
            raise ValueError("fitted is given, so save_fitted does not go with it")
        return self

    def _says(self, name: str) -> bool:
        return name in self.model_fields_set

    def _require_specs(self) -> None:
        super()._require_specs()
        _ = self.box_specs

    @property
    def weights(self) -> dict[str, float]:
        """Return the weight of each kind of issue."""
        return {kind: getattr(self, f"{kind}_weight") for kind in ISSUE_KINDS}

    @property
    def box_specs(self) -> list[TableSpec]:
        """Return the tables of boxes that are read: of labels and of predictions, or none."""
        names = ("label_boxes", "predicted_boxes")
        return [
            TableSpec(getattr(self, name), name, self.input_format)
            for name in names
            if getattr(self, name) is not None
        ]

    @property
    def boxes(self) -> dict[str, Any]:
        """Return how tables of boxes are read: options of ``detection.from_boxes``."""
        box = self.box[0] if len(self.box) == 1 else self.box
        return {
            "image_id": self.id,
            "box": box,
            "box_format": self.box_format,
            "label": self.label,
            "prob": self.prob,
            "box_id": self.box_id,
        }

    @property
    def inputs(self) -> list[str]:
        """Return the tables that are read."""
        return [*super().inputs, *(spec.name for spec in self.box_specs)]

    @property
    def row_id(self) -> str:
        """Return the column that tells the rows of the source apart."""
        return self.id

    @property
    def metric_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the metrics of the table, and those of each class."""
        of_table = (*ROWS, *BOXES, *ISSUES[:2], *(name for name in DRIFT if name != "drift_joint"))
        return of_table, (*CLASS_BOXES, *THRESHOLDS, *CLASS_DRIFT)

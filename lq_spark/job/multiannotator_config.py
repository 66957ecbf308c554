"""The configuration of a run over the labels of several annotators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from lq_spark.core.multiannotator.api import CONSENSUS_METHODS, QUALITY_METHODS
from lq_spark.core.multiclass.scores import METHODS, require_method
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.errors import listed, require_one_of
from lq_spark.job.common_config import FittedConfig, Name, Place, beside
from lq_spark.job.metric_names import CLASS_CONSENSUS, CROWD
from lq_spark.tables.spec import TableSpec

_FOR_FITTING = ("consensus_method", "quality_method", "calibrate_probs", "save_fitted")


class MultiannotatorConfig(FittedConfig):
    """One run of the job that scores items, annotations and annotators.

    ``input`` has a row an item; the annotations are a table of their own.
    """

    task: Literal["multiannotator"] = Field("multiannotator", description="what the labels are")
    annotations: Place = Field(description="path or catalog name of the annotations, a row each")
    item: Name = Field("item", description="column of both tables that tells items apart")
    annotator: Name = Field("annotator", description="column of who gave the label")
    label: Name = Field("label", description="column of the label that was given")
    pred_probs: Name | list[Name | list[Name]] = Field(
        "pred_probs",
        description="column of the predicted probabilities, or one for each model; in YAML for a "
        "model also a list of columns, one a class",
    )
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities; for string labels"
    )
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else the first row)"
    )
    consensus_method: str = Field(
        "best_quality", description=f"the consensus: {', '.join(CONSENSUS_METHODS)}"
    )
    quality_method: str = Field(
        "crowdlab", description=f"what qualities are of: {', '.join(QUALITY_METHODS)}"
    )
    calibrate_probs: bool = Field(
        False, description="scale the probabilities first by the temperature that fits the labels"
    )
    method: str = Field("self_confidence", description=f"score of a label: {', '.join(METHODS)}")
    adjust_pred_probs: bool = Field(
        False, description="correct probabilities by class thresholds, an annotator's by its own"
    )
    tolerance: float = Field(
        SUM_TOLERANCE, ge=0, lt=1, description="how far a row's probabilities may sum from 1"
    )
    annotation_output: Place | None = Field(
        None, description="path or name of the qualities of annotations (OUTPUT_annotations)"
    )
    annotator_output: Place | None = Field(
        None, description="path or name of the qualities of annotators (OUTPUT_annotators)"
    )
    annotation_quarantine: Place | None = Field(
        None, description="path or name of annotations set aside (QUARANTINE_annotations)"
    )

    @model_validator(mode="after")
    def _options_agree(self) -> MultiannotatorConfig:
        require_one_of("consensus_method", self.consensus_method, CONSENSUS_METHODS)
        require_one_of("quality_method", self.quality_method, QUALITY_METHODS)
        require_method(self.method, adjust_pred_probs=self.adjust_pred_probs)
        if self.annotation_quarantine and self.on_invalid != "quarantine":
            raise ValueError("annotation_quarantine is given, so on_invalid must be 'quarantine'")
        if not self.models or len(set(self.model_names)) < len(self.models):
            raise ValueError(f"pred_probs must name columns, each once, got {self.models}")
        given = [name for name in _FOR_FITTING if name in self.model_fields_set]
        if self.fitted and given:
            raise ValueError(f"fitted is given, so {listed(given)} does not go with it")
        return self

    @property
    def models(self) -> Sequence[str | list[str]]:
        """Return the columns of the probabilities: of each model one, or one a class."""
        return [self.pred_probs] if isinstance(self.pred_probs, str) else self.pred_probs

    @property
    def model_names(self) -> list[str]:
        """Return what the models are called: their columns."""
        return [model if isinstance(model, str) else ", ".join(model) for model in self.models]

    @property
    def row_id(self) -> str:
        """Return the column that tells items apart."""
        return self.item

    @property
    def columns(self) -> dict[str, Any]:
        """Return the columns, as the functions of the task take them."""
        return {
            "item": self.item,
            "annotator": self.annotator,
            "label": self.label,
            "pred_probs": self.models,
        }

    @property
    def metric_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the metrics of the table, and those of each class."""
        return CROWD, CLASS_CONSENSUS

    @property
    def inputs(self) -> list[str]:
        """Return the tables that are read."""
        return [*super().inputs, self.annotations]

    @property
    def annotations_spec(self) -> TableSpec:
        """Return which table of annotations is read: the newest version."""
        return TableSpec(self.annotations, "annotations", self.input_format)

    @property
    def annotation_output_spec(self) -> TableSpec:
        """Return which table of annotations is written, and how."""
        return self._written(
            "annotation_output",
            self.annotation_output_path,
            mode=self.write_mode,
            keys=(self.item, self.annotator),
            groups=(self.item,),
        )

    @property
    def annotator_output_spec(self) -> TableSpec:
        """Return which table of annotators is written, and how."""
        path, keys = self.annotator_output_path, (self.annotator,)
        return self._written("annotator_output", path, mode=self.write_mode, keys=keys)

    @property
    def annotation_quarantine_spec(self) -> TableSpec:
        """Return where annotations go that cannot be scored."""
        mode = "append" if self.write_mode == "append" else "overwrite"
        path = self.annotation_quarantine_path
        return self._written("annotation_quarantine", path, mode=mode)

    def _require_specs(self) -> None:
        super()._require_specs()
        _ = self.annotations_spec, self.annotation_output_spec, self.annotator_output_spec
        _ = self.annotation_quarantine_spec

    @property
    def annotation_output_path(self) -> str:
        """Return where the qualities of annotations go."""
        return self.annotation_output or beside(self.output, "_annotations")

    @property
    def annotator_output_path(self) -> str:
        """Return where the qualities of annotators go."""
        return self.annotator_output or beside(self.output, "_annotators")

    @property
    def annotation_quarantine_path(self) -> str:
        """Return where annotations go that cannot be scored."""
        return self.annotation_quarantine or beside(self.quarantine_path, "_annotations")

    @property
    def staged(self) -> list[str]:
        """Return the tables that are replaced or changed as a whole."""
        return [
            *super().staged,
            self.annotation_output_path,
            self.annotator_output_path,
            self.annotation_quarantine_path,
        ]

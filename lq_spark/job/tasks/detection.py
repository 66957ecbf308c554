"""The job of object detection: images with label boxes and predicted boxes.

Passes over the images beside their keys: two or three that fit, one that scores. Where boxes come
as rows, the images are put together once and written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lq_spark.core.detection.model import DetectionModel
from lq_spark.core.detection.scores import ISSUE_KINDS, checked_weights
from lq_spark.errors import listed
from lq_spark.job.config import Name, Place
from lq_spark.job.summary import N_WORST_CLASSES, Metric, Summary, lowest_table
from lq_spark.job.task import Fitted
from lq_spark.job.tasks.options import ClassesConfig, FlaggedTask
from lq_spark.report.parts import Part, Section, Table, count, number
from lq_spark.tables.spec import TableSpec
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.readings import Input
    from lq_spark.engine.reductions import Reduced, Scratch

_OF_ROWS = ("box", "box_format", "label", "prob", "box_id")


class DetectionConfig(ClassesConfig):
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

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "classes": "Number of classes, K.",
        "mean_label_quality": "Mean label quality of the images: 1 clean, 0 suspect (ObjectLab; "
        "Tkachenko, "
        "Thyagarajan, Mueller 2023).",
        "label_issues": "Images of which a box is an issue.",
        "issue_rate": "Share of the images of which a box is an issue.",
        "label_boxes": "Boxes that annotators drew.",
        "predicted_boxes": "Boxes that the model predicts.",
        "overlooked_boxes": "Confident predictions where no annotator drew a box.",
        "badloc_boxes": "Drawn boxes that lie beside the predicted one.",
        "swap_boxes": "Drawn boxes whose class the model takes for another.",
        "mean_average_precision": "Mean over the classes of how well predictions rank: the area "
        "under precision and "
        "recall.",
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = {
        "class_boxes": "Boxes drawn of the class.",
        "class_box_issues": "Boxes of the class that are issues.",
        "class_average_precision": "Average precision of the predictions of the class.",
        "class_threshold": "Score from which a predicted box of the class counts as confident.",
    }
    class_counts: ClassVar[str | None] = "class_boxes"

    @model_validator(mode="after")
    def _options_agree(self) -> DetectionConfig:
        checked_weights(self.weights)
        if (self.label_boxes is None) != (self.predicted_boxes is None):
            raise ValueError("label_boxes and predicted_boxes go together; one alone is given")
        given = [name for name in _OF_ROWS if name in self.model_fields_set]
        if given and self.label_boxes is None:
            raise ValueError(f"{given[0]} is given, so label_boxes and predicted_boxes must be too")
        given = [name for name in ("labels", "predictions") if name in self.model_fields_set]
        if given and self.label_boxes is not None:
            raise ValueError(
                f"label_boxes is given, so {listed(given)} must not be: they are made of it"
            )
        return self

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
    def inputs(self) -> list[TableSpec]:
        """Return all tables that are read."""
        return [*super().inputs, *self.box_specs]


@dataclass(frozen=True, slots=True)
class ScoredBoxes(Summary):
    """The scores of images with boxes in short.

    Attributes
    ----------
    n_rows, n_issues : int
        Images, and those of them with a label issue.
    mean : float or None
        Mean label quality; None without images.
    worst : list of tuple
        (id, label quality, boxes with issues) of the lowest, ties by id.
    n_labels, n_predictions : ndarray of int64, shape (K,)
        Boxes of each class.
    issues : dict
        Boxes that are issues, by kind and label.
    model : DetectionModel
        What the images were judged by.
    """

    n_rows: int
    n_issues: int
    mean: float | None
    worst: list[tuple[Any, ...]]
    n_labels: NDArray[np.int64]
    n_predictions: NDArray[np.int64]
    issues: Mapping[tuple[str, str], int]
    model: DetectionModel

    @property
    def names(self) -> list[str]:
        """Return what the classes are called."""
        return [str(name) for name in self.model.classes or range(self.model.n_classes)]

    def metrics(self) -> Iterator[Metric]:
        """Yield (metric, class or None, value)."""
        yield "classes", None, self.model.n_classes
        yield "mean_label_quality", None, self.mean
        yield "label_issues", None, self.n_issues
        yield "issue_rate", None, self.n_issues / self.n_rows if self.n_rows else None
        yield "label_boxes", None, int(self.n_labels.sum())
        yield "predicted_boxes", None, int(self.n_predictions.sum())
        for kind in ISSUE_KINDS:
            yield f"{kind}_boxes", None, self._n_boxes(kind)
        precisions, thresholds = self.model.average_precision, self.model.issue_thresholds()
        has_labels = np.array(self.model.label_counts) > 0
        some = np.array(precisions)[has_labels]
        yield "mean_average_precision", None, float(np.mean(some)) if len(some) else None
        for k, name in enumerate(self.names):
            yield "class_boxes", name, int(self.n_labels[k])
            yield (
                "class_box_issues",
                name,
                sum(self.issues.get((kind, name), 0) for kind in ISSUE_KINDS),
            )
            yield "class_average_precision", name, precisions[k] if has_labels[k] else None
            yield "class_threshold", name, float(thresholds[k]) if has_labels[k] else None

    def _n_boxes(self, kind: str) -> int:
        return sum(n for (of_kind, _), n in self.issues.items() if of_kind == kind)

    def parts(self, config: DetectionConfig) -> list[Part]:
        """Return totals, the classes with most issues, and the lowest images."""
        counts = ", ".join(f"{self._n_boxes(kind):,} {kind}" for kind in ISSUE_KINDS)
        lines = [
            "",
            f"mean label quality {self.mean:.4f}",
            f"label issues in {self.n_issues:,} of {self.n_rows:,} images, "
            f"{self.n_issues / self.n_rows:.2%}; boxes: {counts}",
        ]
        rows = []
        for k, name in enumerate(self.names):
            numbers = [self.issues.get((kind, name), 0) for kind in ISSUE_KINDS]
            rows.append((sum(numbers), k, [self.n_labels[k], self.n_predictions[k], *numbers]))
        rows.sort(key=lambda row: (-row[0], row[1]))
        table = [
            (self.names[k], *map(count, numbers), number(self.model.average_precision[k], 3))
            for _, k, numbers in rows[:N_WORST_CLASSES]
        ]
        header = ("class", "labels", "predictions", *ISSUE_KINDS, "average precision")
        bars = dict.fromkeys(ISSUE_KINDS) | {"average precision": 1.0}
        classes = Table("classes by their number of issues", header, table, bars)
        worst = [(key, quality, count(n)) for key, quality, n in self.worst]
        return [*lines, classes, lowest_table((config.id, "quality", "box issues"), worst)]


class DetectionTask(FlaggedTask[DetectionConfig]):
    """Images with boxes."""

    config_type = DetectionConfig
    passes = "two or three that fit, one for scores"
    place_in_reason = (r" box \d+: ", " box: ")
    comments: ClassVar[Mapping[str, str]] = {
        "box_issues": "Boxes with an issue, lowest score first; an overlooked one is a predicted "
        "box",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tables.formats import read_table
        from lq_spark.tasks import detection
        from lq_spark.tasks.detection.batches import BOX_ISSUES
        from lq_spark.tasks.detection.columns import box_n_classes, detection_columns
        from lq_spark.tasks.shared.classes import agreed_classes

        config = self.config
        self.loaded = DetectionModel.load(config.fitted) if config.fitted else None
        if config.box_specs:
            boxes = [read_table(self.spark, spec).df for spec in config.box_specs]
            self.source = detection.from_boxes(*boxes, images=self.source, **config.boxes)
        names = {"labels": config.labels, "predictions": config.predictions}
        classes = agreed_classes(config.classes, self.loaded)
        self.columns = detection_columns(self.source, **names, classes=classes)
        self.added = [IS_LABEL_ISSUE, LABEL_QUALITY, BOX_ISSUES]
        self.require_new(*self.added, ISSUE_RANK)
        self.n_classes = box_n_classes(self.source, self.columns, config.n_classes, self.loaded)
        self.classes = self.columns.classes
        self.options: dict[str, Any] = {
            **names,
            "classes": self.classes,
            "n_classes": self.n_classes,
        }
        none = (0,) * self.n_classes
        self.model = self.loaded or DetectionModel(1.0, none, none, none, 0, self.columns.classes)
        self.n_boxes = (np.zeros(self.n_classes, dtype=np.int64),) * 2

    def not_by_itself(self) -> str:
        """Return what is found by all images, if anything is."""
        config = self.config
        if config.box_specs:
            return "boxes are rows of other tables, whose changes are not looked at"
        if self.loaded is None:
            return "what boxes are compared with is fitted on all images; give fitted"
        return "issue_rank ranks all images" if config.issue_rank else ""

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import detection

        return detection.validate(rows, id=self.config.id, **self.options)

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        from lq_spark.engine.reductions import unwritten

        return {"output": self._issues(self.none, unwritten)}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield the scores and issues of images."""
        from lq_spark.tasks.detection.scores import fit_model
        from lq_spark.tasks.detection.summary import class_counts

        if self.config.box_specs:
            rows = scratch(rows).rows
        self.scored_rows = rows
        if self.loaded is None:
            with self.timed("fit"):
                self.model = fit_model(
                    rows, self.columns, self.config.id, self.n_classes, fail=False
                )
        yield "output", self._issues(rows, scratch)
        if self.loaded is None:
            counts = self.model.label_counts, self.model.prediction_counts
            self.n_boxes = np.array(counts[0]), np.array(counts[1])
        else:
            self.n_boxes = class_counts(rows, self.columns, self.n_classes)

    def _issues(self, rows: DataFrame, scratch: Scratch) -> DataFrame:
        from lq_spark.tasks.detection.scores import with_issues

        config = self.config
        found = with_issues(
            rows,
            self.columns,
            self.model,
            config.weights,
            overlapping_label_check=config.overlapping_label_check,
            fail=False,
            keep=list(dict.fromkeys([config.id, *config.keep_columns])),
        )
        found = self.select(found, *config.keep_columns, *self.added)
        # Of what is written down: ranks read it more than once.
        return self.ranked(scratch(found).rows) if config.issue_rank else found

    @property
    def shown(self) -> tuple[Input, ...]:
        """Return the score of an image, and how many issues it has."""
        import pyarrow.compute as pc
        from pyspark.sql import functions as F

        from lq_spark.engine.readings import Input, column_input
        from lq_spark.tasks.detection.batches import BOX_ISSUES

        n_issues = Input(F.size(BOX_ISSUES), BOX_ISSUES, pc.list_value_length)
        return column_input(self.config.id), column_input(self.score_column), n_issues

    def summarize(self, tables: Mapping[str, Reduced]) -> ScoredBoxes:
        """Return the scores of images in short."""
        from pyspark.sql import functions as F

        from lq_spark.tasks.detection.batches import BOX_ISSUES, KIND
        from lq_spark.tasks.detection.columns import LABEL

        found = self.scores(tables["output"])
        boxes = tables["output"].rows.select(F.explode(BOX_ISSUES).alias("box"))
        counts = boxes.groupBy(f"box.{KIND}", f"box.{LABEL}").count().collect()
        issues = {(row[0], str(row[1])): row[2] for row in counts}
        self.worst = [row[0] for row in found.worst], tables["output"].rows
        return ScoredBoxes(*found, *self.n_boxes, issues, self.model)

    def report_sections(self, rows: DataFrame) -> list[Section]:
        """Return the worst images with their boxes; put together once, where boxes are rows."""
        from lq_spark.job.pictured import Worst, boxes_section

        worst = Worst(self.config.id, *self.worst, self.config.report_image)
        return [boxes_section(self.scored_rows, self.columns, worst)]

    def fitted(self) -> Mapping[str, Fitted | None]:
        """Return what was fitted, by the option that says where to save it."""
        return {"save_fitted": self.model if self.model.n_images else None}


TASK = DetectionTask

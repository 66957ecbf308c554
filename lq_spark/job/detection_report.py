"""What a run over images with boxes did, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F

from lq_spark.core.detection.model import DetectionModel
from lq_spark.core.detection.scores import ISSUE_KINDS
from lq_spark.engine.inputs import column
from lq_spark.job.lowest import in_short
from lq_spark.job.report import aligned
from lq_spark.job.task_run import Metric
from lq_spark.tasks.detection.batches import BOX_ISSUES, KIND
from lq_spark.tasks.detection.columns import LABEL
from lq_spark.tasks.shared.table import LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

N_CLASSES = 20


@dataclass(frozen=True, slots=True)
class ScoredBoxes:
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
    n_labels: np.ndarray
    n_predictions: np.ndarray
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

    def lines(self, config: Any) -> Sequence[str]:
        """Return totals, the classes with most issues, and the lowest images."""
        if not self.n_rows:
            return []
        counts = ", ".join(f"{self._n_boxes(kind):,} {kind}" for kind in ISSUE_KINDS)
        lines = [
            "",
            f"mean label quality {self.mean:.4f}",
            f"label issues in {self.n_issues:,} of {self.n_rows:,} images, "
            f"{self.n_issues / self.n_rows:.2%}; boxes: {counts}",
            "",
            "classes by their number of issues:",
        ]
        rows = []
        for k, name in enumerate(self.names):
            numbers = [self.issues.get((kind, name), 0) for kind in ISSUE_KINDS]
            rows.append((sum(numbers), k, [self.n_labels[k], self.n_predictions[k], *numbers]))
        rows.sort(key=lambda row: (-row[0], row[1]))
        table = [
            (self.names[k], *(f"{n:,}" for n in numbers), f"{self.model.average_precision[k]:.3f}")
            for _, k, numbers in rows[:N_CLASSES]
        ]
        header = ("class", "labels", "predictions", *ISSUE_KINDS, "average precision")
        lines += aligned(header, table)
        worst = [(key, f"{quality:.6f}", f"{count:,}") for key, quality, count in self.worst]
        lines += ["", "lowest label quality (1 clean, 0 suspect):"]
        return [*lines, *aligned((config.id, "quality", "box issues"), worst)]


def summarize_boxes(
    scores: DataFrame,
    id: str,
    model: DetectionModel,
    n_labels: np.ndarray,
    n_predictions: np.ndarray,
) -> ScoredBoxes:
    """Return the scores of images, as they were written, in short."""
    found = in_short(scores, id, column(id), LABEL_QUALITY, F.size(BOX_ISSUES))
    boxes = scores.select(F.explode(BOX_ISSUES).alias("box"))
    counts = boxes.groupBy(f"box.{KIND}", f"box.{LABEL}").count().collect()
    issues = {(row[0], str(row[1])): row[2] for row in counts}
    return ScoredBoxes(*found, n_labels, n_predictions, issues, model)

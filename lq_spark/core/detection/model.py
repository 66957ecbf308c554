"""What a data set of boxes says, frozen: saved, and applied to images seen later; which are issues.

A box is a label issue if it scores low for its class.

Source: Tkachenko, Thyagarajan, Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images in
Object Detection Data" (2023), arXiv:2309.00832.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from lq_spark.core.detection.average_precision import BoxCounts, average_precisions
from lq_spark.core.detection.images import Detections
from lq_spark.core.detection.scores import BoxScores, min_similarity
from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.core.shared.display import N_SHOWN, SmallTable, names_at
from lq_spark.core.shared.saved import Saved
from lq_spark.core.shared.selection import lowest
from lq_spark.errors import DataError

PRECISION_FACTOR: Final = 0.25
"""Share of a class's average precision that its threshold is made of."""

THRESHOLD_FACTOR: Final = 0.8
"""Share of that which a box score must not exceed to be an issue, for each kind of issue."""


@dataclass(frozen=True, slots=True, repr=False)
class DetectionModel(Saved):
    """What the scores and flags of boxes depend on beside their image.

    Attributes
    ----------
    min_similarity : float
        Lowest similarity above 0 of a label box and a predicted box of one image.
    average_precision : tuple of float, length K
        Of each class, over the overlaps 0.50 to 0.95; 0 for a class without boxes.
    label_counts, prediction_counts : tuple of int, length K
        Boxes of each class.
    n_images : int
    classes : tuple of str, length K, or None
        Class names, where labels are names.

    Examples
    --------
    >>> fitted = DetectionModel(0.01, (0.5, 0.75), (3, 4), (5, 5), n_images=2)
    >>> fitted.issue_thresholds()
    array([0.1 , 0.15])
    >>> DetectionModel.from_json(fitted.to_json()) == fitted
    True
    """

    NOUN: ClassVar[str] = "detection_model"
    FORMAT_VERSION: ClassVar[int] = 1

    min_similarity: float
    average_precision: tuple[float, ...]
    label_counts: tuple[int, ...]
    prediction_counts: tuple[int, ...]
    n_images: int
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        shares = (self.min_similarity, *self.average_precision)
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise DataError(f"{self.NOUN}: similarity and precisions must lie in 0..1: {shares}")
        counts = (self.label_counts, self.prediction_counts, self.classes or self.label_counts)
        lengths = {len(self.average_precision), *map(len, counts)}
        if len(lengths) > 1 or 0 in lengths:
            raise DataError(f"{self.NOUN}: its lists differ in length, or are empty: {lengths}")

    @property
    def n_classes(self) -> int:
        """Return K."""
        return len(self.average_precision)

    def issue_thresholds(self) -> Float64:
        """Return the box score of each class up to which a box is an issue, shape (K,).

        Notes
        -----
        Source: Tkachenko, Thyagarajan, Mueller (2023), arXiv:2309.00832.
        """
        return THRESHOLD_FACTOR * (PRECISION_FACTOR * np.array(self.average_precision))

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": self.n_classes,
            "images": self.n_images,
            "labelled boxes": sum(self.label_counts),
            "predicted boxes": sum(self.prediction_counts),
            "mAP": float(np.mean(self.average_precision)),
        }

    def _tables(self) -> list[SmallTable]:
        labelled = np.flatnonzero(self.label_counts)
        places = labelled[lowest(np.array(self.average_precision)[labelled], N_SHOWN)]
        columns = {
            "class": names_at(self.classes, places),
            "labelled boxes": [self.label_counts[k] for k in places],
            "predicted boxes": [self.prediction_counts[k] for k in places],
            "average precision": [self.average_precision[k] for k in places],
        }
        return [SmallTable("worst predicted classes", columns, {"average precision": 1.0})]

    def _content(self) -> dict[str, Any]:
        return {
            "n_images": self.n_images,
            "classes": self.classes,
            "min_similarity": self.min_similarity,
            "average_precision": self.average_precision,
            "label_counts": self.label_counts,
            "prediction_counts": self.prediction_counts,
        }

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> DetectionModel:
        numbers = ("average_precision", "label_counts", "prediction_counts")
        cls._require_keys(content, {"n_images", "classes", "min_similarity", *numbers})
        lowest, n_images, named = (
            content["min_similarity"],
            content["n_images"],
            content["classes"] is not None,
        )
        if type(n_images) is not int or type(lowest) not in (int, float):
            raise DataError(f"{cls.NOUN}: n_images is {n_images!r}, min_similarity is {lowest!r}")
        return cls(
            min_similarity=float(lowest),
            average_precision=cls._checked_list(content, "average_precision", (int, float)),
            label_counts=cls._checked_list(content, "label_counts", (int,)),
            prediction_counts=cls._checked_list(content, "prediction_counts", (int,)),
            n_images=n_images,
            classes=cls._checked_list(content, "classes", (str,)) if named else None,
        )


@dataclass(frozen=True, slots=True)
class BoxFlags:
    """Which boxes are label issues of which kind.

    Attributes
    ----------
    overlooked : ndarray of bool, shape (predicted boxes,)
    badloc, swap : ndarray of bool, shape (label boxes,)
    """

    overlooked: Mask
    badloc: Mask
    swap: Mask


def fit_detections(
    found: Detections, n_classes: int, classes: tuple[str, ...] | None = None
) -> DetectionModel:
    """Return what some images say, as a whole data set."""
    precisions, counts = average_precisions(found, n_classes)
    return detection_model(min_similarity(found), precisions, counts, classes)


def detection_model(
    lowest: float, precisions: Float64, counts: BoxCounts, classes: tuple[str, ...] | None
) -> DetectionModel:
    """Return the model of a lowest similarity, average precisions (K, 10) and counts."""
    return DetectionModel(
        min_similarity=lowest,
        average_precision=tuple(np.minimum(precisions.mean(axis=1), 1.0).tolist()),
        label_counts=tuple(counts.labels.tolist()),
        prediction_counts=tuple(counts.predictions.sum(axis=1).tolist()),
        n_images=counts.n_images,
        classes=classes,
    )


def flag_boxes(found: Detections, scores: BoxScores, thresholds: Float64) -> BoxFlags:
    """Return which boxes score no more than the threshold of their class.

    ``thresholds`` are :meth:`DetectionModel.issue_thresholds`. A score of NaN is no issue.
    """
    of_labels = thresholds[found.labels.classes]
    return BoxFlags(
        scores.overlooked <= thresholds[found.predictions.classes],
        scores.badloc <= of_labels,
        scores.swap <= of_labels,
    )


def flagged_images(found: Detections, flags: BoxFlags) -> Mask:
    """Return which images have a box that is a label issue, shape (n,)."""
    mask = np.zeros(found.n_images, dtype=bool)
    mask[found.predictions.images[flags.overlooked]] = True
    mask[found.labels.images[flags.badloc | flags.swap]] = True
    return mask

"""Which boxes are label issues: those that score low for their class.

Source: Tkachenko, Thyagarajan, Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images in
Object Detection Data" (2023), arXiv:2309.00832.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.detection.average_precision import BoxCounts, average_precisions
from lq_spark.core.detection.images import Detections
from lq_spark.core.detection.model import DetectionModel
from lq_spark.core.detection.scores import BoxScores, min_similarity
from lq_spark.core.shared.blocks import Float64

Mask = NDArray[np.bool_]


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

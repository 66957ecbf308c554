"""Object detection on DataFrames: a row an image, with its boxes."""

from lq_spark.tasks.detection.scores import (
    DetectionModel,
    DetectionSummary,
    find_issues,
    fit,
    from_boxes,
    score,
    summarize,
    validate,
)

__all__ = [
    "DetectionModel",
    "DetectionSummary",
    "find_issues",
    "fit",
    "from_boxes",
    "score",
    "summarize",
    "validate",
]

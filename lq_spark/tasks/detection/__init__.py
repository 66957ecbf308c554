"""Object detection on DataFrames: a row an image, with its boxes."""

from lq_spark.core.detection.model import DetectionModel
from lq_spark.tasks.detection.boxes import from_boxes
from lq_spark.tasks.detection.scores import find_issues, fit, score, validate
from lq_spark.tasks.detection.summary import DetectionSummary, summarize

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

"""Semantic segmentation on DataFrames: a row an image, with a label a pixel."""

from lq_spark.core.segmentation.issues import SegmentationModel
from lq_spark.tasks.segmentation.health import SegmentationHealth, summarize
from lq_spark.tasks.segmentation.issues import find_issues, fit
from lq_spark.tasks.segmentation.scores import score, validate

__all__ = [
    "SegmentationHealth",
    "SegmentationModel",
    "find_issues",
    "fit",
    "score",
    "summarize",
    "validate",
]

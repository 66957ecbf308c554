"""Semantic segmentation on DataFrames: a row an image, with a label a pixel."""

from lq_spark.tasks.segmentation.scores import (
    SegmentationHealth,
    SegmentationModel,
    find_issues,
    fit,
    score,
    summarize,
    validate,
)

__all__ = [
    "SegmentationHealth",
    "SegmentationModel",
    "find_issues",
    "fit",
    "score",
    "summarize",
    "validate",
]

"""Semantic segmentation: label quality of images with a label a pixel, and label issues."""

from lq_spark.core.segmentation.api import (
    find_label_issues,
    get_label_quality_scores,
    issues_from_scores,
)
from lq_spark.core.segmentation.summary import (
    common_label_issues,
    filter_by_class,
)

__all__ = [
    "common_label_issues",
    "filter_by_class",
    "find_label_issues",
    "get_label_quality_scores",
    "issues_from_scores",
]

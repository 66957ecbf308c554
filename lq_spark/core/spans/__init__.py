"""Spans of tokens: label quality and label issues."""

from lq_spark.core.spans.api import (
    find_label_issues,
    get_label_quality_scores,
)

__all__ = [
    "find_label_issues",
    "get_label_quality_scores",
]

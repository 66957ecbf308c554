"""Regression: label quality and label issues of labels that are numbers."""

from lq_spark.core.regression.api import (
    find_label_issues,
    get_label_quality_scores,
)

__all__ = [
    "find_label_issues",
    "get_label_quality_scores",
]

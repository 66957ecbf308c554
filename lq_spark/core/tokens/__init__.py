"""Token classification: label quality of tokens and sentences, and label issues."""

from lq_spark.core.tokens.api import (
    common_label_issues,
    find_label_issues,
    get_label_quality_scores,
    issues_from_scores,
)
from lq_spark.core.tokens.text import (
    filter_by_token,
)

__all__ = [
    "common_label_issues",
    "filter_by_token",
    "find_label_issues",
    "get_label_quality_scores",
    "issues_from_scores",
]

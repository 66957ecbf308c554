"""Label sets: label quality, label issues and health of rows with any number of labels."""

from lq_spark.core.multilabel.api import (
    find_label_issues,
    find_multilabel_issues_per_class,
    fit,
    get_label_quality_scores,
    get_label_quality_scores_per_class,
)
from lq_spark.core.multilabel.health import (
    common_multilabel_issues,
    multilabel_health_summary,
    overall_multilabel_health_score,
    rank_classes_by_multilabel_quality,
)
from lq_spark.core.multilabel.model import MultilabelModel

__all__ = [
    "MultilabelModel",
    "common_multilabel_issues",
    "find_label_issues",
    "find_multilabel_issues_per_class",
    "fit",
    "get_label_quality_scores",
    "get_label_quality_scores_per_class",
    "multilabel_health_summary",
    "overall_multilabel_health_score",
    "rank_classes_by_multilabel_quality",
]

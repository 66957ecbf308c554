"""Label quality of rows with one label of exclusive classes."""

from lq_spark.core.multiclass.api import (
    find_top_issues,
    get_confidence_weighted_entropy_for_each_label,
    get_label_quality_scores,
    get_normalized_margin_for_each_label,
    get_self_confidence_for_each_label,
    order_label_issues,
)
from lq_spark.core.multiclass.ensemble import (
    get_label_quality_ensemble_scores,
)

__all__ = [
    "find_top_issues",
    "get_confidence_weighted_entropy_for_each_label",
    "get_label_quality_ensemble_scores",
    "get_label_quality_scores",
    "get_normalized_margin_for_each_label",
    "get_self_confidence_for_each_label",
    "order_label_issues",
]

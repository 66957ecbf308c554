"""Object detection: label quality of images with boxes, and label issues."""

from lq_spark.core.detection.api import (
    compute_badloc_box_scores,
    compute_overlooked_box_scores,
    compute_swap_box_scores,
    find_label_issues,
    get_label_quality_scores,
    issues_from_scores,
    pool_box_scores_per_image,
)
from lq_spark.core.detection.summary import (
    bounding_box_size_distribution,
    calculate_per_class_metrics,
    class_label_distribution,
    get_average_per_class_confusion_matrix,
    get_sorted_bbox_count_idxs,
    object_counts_per_image,
)

__all__ = [
    "bounding_box_size_distribution",
    "calculate_per_class_metrics",
    "class_label_distribution",
    "compute_badloc_box_scores",
    "compute_overlooked_box_scores",
    "compute_swap_box_scores",
    "find_label_issues",
    "get_average_per_class_confusion_matrix",
    "get_label_quality_scores",
    "get_sorted_bbox_count_idxs",
    "issues_from_scores",
    "object_counts_per_image",
    "pool_box_scores_per_image",
]

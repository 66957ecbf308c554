"""Several annotators: consensus labels, and the quality of labels and annotators."""

from lq_spark.core.multiannotator.api import (
    convert_long_to_wide_dataset,
    get_label_quality_multiannotator,
    get_label_quality_multiannotator_ensemble,
    get_majority_vote_label,
)

__all__ = [
    "convert_long_to_wide_dataset",
    "get_label_quality_multiannotator",
    "get_label_quality_multiannotator_ensemble",
    "get_majority_vote_label",
]

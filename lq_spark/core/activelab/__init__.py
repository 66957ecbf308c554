"""Active learning: which items to label next, or once more."""

from lq_spark.core.activelab.api import (
    get_active_learning_scores,
    get_active_learning_scores_ensemble,
)

__all__ = [
    "get_active_learning_scores",
    "get_active_learning_scores_ensemble",
]

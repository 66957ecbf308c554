"""Cross-validation: which rows are held out together, and what is predicted of them."""

from lq_spark.core.training.api import assign_folds

__all__ = ["assign_folds"]

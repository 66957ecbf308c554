"""From features to out-of-sample probabilities, and to a model trained without label issues."""

from lq_spark.tasks.training.clean_learning import CleanLearning
from lq_spark.tasks.training.columns import validate
from lq_spark.tasks.training.cross_validation import cross_val_predict

__all__ = ["CleanLearning", "cross_val_predict", "validate"]

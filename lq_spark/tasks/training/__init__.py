"""From features to out-of-sample predictions, and to a model trained without label issues."""

from lq_spark.tasks.training.clean_learning import CleanLearning
from lq_spark.tasks.training.columns import validate
from lq_spark.tasks.training.cross_validation import cross_val_predict
from lq_spark.tasks.training.numbers import cross_val_predict_numbers
from lq_spark.tasks.training.regression_clean_learning import RegressionCleanLearning

__all__ = [
    "CleanLearning",
    "RegressionCleanLearning",
    "cross_val_predict",
    "cross_val_predict_numbers",
    "validate",
]

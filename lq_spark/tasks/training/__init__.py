"""Out-of-sample predicted probabilities of a DataFrame, by cross-validation of any classifier."""

from lq_spark.tasks.training.columns import validate
from lq_spark.tasks.training.cross_validation import cross_val_predict

__all__ = ["cross_val_predict", "validate"]

"""Label quality and CleanLearning as estimators of Spark ML, for pipelines and their tuning."""

from lq_spark.tasks.ml.clean_learning import CleanLearning, CleanLearningModel
from lq_spark.tasks.ml.label_quality import LabelQuality, LabelQualityModel

__all__ = ["CleanLearning", "CleanLearningModel", "LabelQuality", "LabelQualityModel"]

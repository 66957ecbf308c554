"""Labels of exclusive classes on DataFrames: a row a label."""

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.tasks.multiclass.issues import find_issues, fit, summarize
from lq_spark.tasks.multiclass.scores import score, validate
from lq_spark.tasks.multiclass.thresholds import fit_thresholds

__all__ = [
    "NoiseModel",
    "Thresholds",
    "find_issues",
    "fit",
    "fit_thresholds",
    "score",
    "summarize",
    "validate",
]

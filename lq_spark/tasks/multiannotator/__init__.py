"""Several annotators on DataFrames: a row a label that an annotator gave."""

from lq_spark.core.multiannotator.model import CrowdModel
from lq_spark.tasks.multiannotator.checks import CrowdChecks
from lq_spark.tasks.multiannotator.results import CrowdScores
from lq_spark.tasks.multiannotator.scores import fit, score, validate

__all__ = [
    "CrowdChecks",
    "CrowdModel",
    "CrowdScores",
    "fit",
    "score",
    "validate",
]

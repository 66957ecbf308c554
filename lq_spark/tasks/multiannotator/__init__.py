"""Several annotators on DataFrames: a row a label that an annotator gave."""

from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.tasks.multiannotator.checks import MultiannotatorChecks
from lq_spark.tasks.multiannotator.results import MultiannotatorScores
from lq_spark.tasks.multiannotator.scores import fit, score, validate

__all__ = [
    "MultiannotatorChecks",
    "MultiannotatorModel",
    "MultiannotatorScores",
    "fit",
    "score",
    "validate",
]

"""Active learning on DataFrames: which items to label next, or once more."""

from lq_spark.tasks.activelab.scores import ActiveScores, score, validate
from lq_spark.tasks.multiannotator.checks import MultiannotatorChecks

__all__ = [
    "ActiveScores",
    "MultiannotatorChecks",
    "score",
    "validate",
]

"""Active learning on DataFrames: which items to label next, or once more."""

from lq_spark.tasks.activelab.scores import (
    ActiveScores,
    MultiannotatorChecks,
    score,
    validate,
)

__all__ = [
    "ActiveScores",
    "MultiannotatorChecks",
    "score",
    "validate",
]

"""Active learning on DataFrames: which items to label next, or once more."""

from lq_spark.tasks.activelab.scores import (
    ActiveScores,
    CrowdChecks,
    score,
    validate,
)

__all__ = [
    "ActiveScores",
    "CrowdChecks",
    "score",
    "validate",
]

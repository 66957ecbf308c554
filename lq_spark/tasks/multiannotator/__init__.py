"""Several annotators on DataFrames: a row a label that an annotator gave."""

from lq_spark.tasks.multiannotator.scores import (
    CrowdChecks,
    CrowdModel,
    CrowdScores,
    fit,
    score,
    validate,
)

__all__ = [
    "CrowdChecks",
    "CrowdModel",
    "CrowdScores",
    "fit",
    "score",
    "validate",
]

"""Several annotators on DataFrames: a row a label that an annotator gave."""

from lq_spark.tasks.multiannotator.scores import (
    MultiannotatorChecks,
    MultiannotatorModel,
    MultiannotatorScores,
    fit,
    score,
    validate,
)

__all__ = [
    "MultiannotatorChecks",
    "MultiannotatorModel",
    "MultiannotatorScores",
    "fit",
    "score",
    "validate",
]

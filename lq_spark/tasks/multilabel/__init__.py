"""Label sets on DataFrames: a row with any number of labels."""

from lq_spark.tasks.multilabel.scores import (
    MultilabelHealth,
    MultilabelModel,
    find_issues,
    find_issues_per_class,
    fit,
    score,
    summarize,
    validate,
)

__all__ = [
    "MultilabelHealth",
    "MultilabelModel",
    "find_issues",
    "find_issues_per_class",
    "fit",
    "score",
    "summarize",
    "validate",
]

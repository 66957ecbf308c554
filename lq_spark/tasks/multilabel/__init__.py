"""Label sets on DataFrames: a row with any number of labels."""

from lq_spark.core.multilabel.health import MultilabelHealth
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.tasks.multilabel.issues import find_issues, find_issues_per_class, fit, summarize
from lq_spark.tasks.multilabel.scores import score, validate

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

"""Token classification on DataFrames: a row a sentence, or a row a token."""

from lq_spark.core.confident.model import NoiseModel
from lq_spark.tasks.tokens.checks import validate
from lq_spark.tasks.tokens.health import TokenHealth, summarize
from lq_spark.tasks.tokens.issues import find_issues, fit
from lq_spark.tasks.tokens.scores import score

__all__ = [
    "NoiseModel",
    "TokenHealth",
    "find_issues",
    "fit",
    "score",
    "summarize",
    "validate",
]

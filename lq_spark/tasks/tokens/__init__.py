"""Token classification on DataFrames: a row a sentence, or a row a token."""

from lq_spark.tasks.tokens.scores import (
    NoiseModel,
    TokenHealth,
    find_issues,
    fit,
    score,
    summarize,
    validate,
)

__all__ = [
    "NoiseModel",
    "TokenHealth",
    "find_issues",
    "fit",
    "score",
    "summarize",
    "validate",
]

"""Class imbalance of a DataFrame: whether the rarest class has too few rows."""

from lq_spark.tasks.imbalance.health import ImbalanceHealth, summarize
from lq_spark.tasks.imbalance.issues import find_issues, score, validate

__all__ = ["ImbalanceHealth", "find_issues", "score", "summarize", "validate"]

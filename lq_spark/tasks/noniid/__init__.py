"""Whether the rows of a DataFrame are in random order, by their nearest neighbours."""

from lq_spark.tasks.noniid.health import OrderHealth, summarize
from lq_spark.tasks.noniid.issues import find_issues, score, validate

__all__ = ["OrderHealth", "find_issues", "score", "summarize", "validate"]

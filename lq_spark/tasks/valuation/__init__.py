"""How much each row of a DataFrame helps to predict the labels of the rows that it is near to."""

from lq_spark.tasks.valuation.health import ValuationHealth, summarize
from lq_spark.tasks.valuation.issues import find_issues, score, validate

__all__ = ["ValuationHealth", "find_issues", "score", "summarize", "validate"]

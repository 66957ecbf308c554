"""Groups of rows of a DataFrame whose labels a model knows less well than others."""

from lq_spark.tasks.groups.by_columns import slices
from lq_spark.tasks.groups.health import GroupHealth, summarize
from lq_spark.tasks.groups.issues import find_issues, score, validate

__all__ = ["GroupHealth", "find_issues", "score", "slices", "summarize", "validate"]

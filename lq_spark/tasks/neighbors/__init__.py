"""Nearest neighbours of the rows of a DataFrame, by their features."""

from lq_spark.tasks.neighbors.columns import validate
from lq_spark.tasks.neighbors.knn import graph

__all__ = ["graph", "validate"]

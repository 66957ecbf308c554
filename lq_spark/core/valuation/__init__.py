"""Data valuation: how much each row helps to predict the labels of the rows that it is near to."""

from lq_spark.core.valuation.api import data_shapley_knn

__all__ = ["data_shapley_knn"]

"""Class imbalance: is a class so rare that a model will hardly learn it."""

from lq_spark.core.imbalance.classes import find_class_imbalance

__all__ = ["find_class_imbalance"]

"""Outliers: rows far from all others, or of which a model is unsure between all classes."""

from lq_spark.core.outliers.api import OutOfDistribution

__all__ = ["OutOfDistribution"]

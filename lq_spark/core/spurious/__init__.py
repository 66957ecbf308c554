"""Spurious correlations: properties of the rows that alone tell the classes apart."""

from lq_spark.core.spurious.api import Correlations, find_spurious_correlations

__all__ = ["Correlations", "find_spurious_correlations"]

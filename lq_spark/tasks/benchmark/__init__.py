"""Noise for benchmarks: labels of a DataFrame that are made wrong at known rates."""

from lq_spark.tasks.benchmark.noise import noisy_labels, validate

__all__ = ["noisy_labels", "validate"]

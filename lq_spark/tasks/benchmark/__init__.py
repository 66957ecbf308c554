"""Noise for benchmarks: labels of a DataFrame that are made wrong at known rates."""

from lq_spark.core.benchmark import generate_noise_matrix_from_trace, noise_matrix_is_valid
from lq_spark.tasks.benchmark.noise import noisy_labels, validate

__all__ = ["generate_noise_matrix_from_trace", "noise_matrix_is_valid", "noisy_labels", "validate"]

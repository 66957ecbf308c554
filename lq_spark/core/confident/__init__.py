"""Confident learning: class thresholds, the confident joint, and the noise that it estimates."""

from lq_spark.core.confident.api import (
    calibrate_confident_joint,
    compute_confident_joint,
    estimate_joint,
    get_confident_thresholds,
    num_label_issues,
)
from lq_spark.core.confident.latent import (
    estimate_latent,
    estimate_py_and_noise_matrices_from_probabilities,
)

__all__ = [
    "calibrate_confident_joint",
    "compute_confident_joint",
    "estimate_joint",
    "estimate_latent",
    "estimate_py_and_noise_matrices_from_probabilities",
    "get_confident_thresholds",
    "num_label_issues",
]

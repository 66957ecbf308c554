"""Confident learning: class thresholds, the confident joint, and the noise that it estimates."""

from lq_spark.core.confident.api import (
    ESTIMATION_METHODS,
    calibrate_confident_joint,
    compute_confident_joint,
    confident_counts,
    estimate_joint,
    get_confident_thresholds,
    num_label_issues,
)
from lq_spark.core.confident.latent import (
    clipped_noise,
    converged,
    estimate_latent,
    estimate_py_and_noise_matrices_from_probabilities,
    noise_matrices,
    prior,
)

__all__ = [
    "ESTIMATION_METHODS",
    "calibrate_confident_joint",
    "clipped_noise",
    "compute_confident_joint",
    "confident_counts",
    "converged",
    "estimate_joint",
    "estimate_latent",
    "estimate_py_and_noise_matrices_from_probabilities",
    "get_confident_thresholds",
    "noise_matrices",
    "num_label_issues",
    "prior",
]

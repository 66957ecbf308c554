"""Noise matrices of the caller: P(given | true), or the reverse, a column of sum 1 a class."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import OptionError

_SLACK: Final = 1e-6
"""How far sums of probabilities may be from 1."""


def checked_noise_matrix(
    noise_matrix: ArrayLike, *, are_rates: bool = True, name: str = "noise_matrix"
) -> Float64:
    """Return a noise matrix P(given | true) as float64, shape (K, K); ``name`` is its option.

    Raises
    ------
    OptionError
        If it is not square, K is below 2, or, where its numbers must be rates, one is not from 0 to
        1, or a column does not sum to 1.
    """
    wanted = f"{name} must be a K by K array of numbers, K at least 2"
    try:
        matrix = np.asarray(noise_matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{wanted}, got {noise_matrix!r:.80}") from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise OptionError(f"{wanted}, got shape {matrix.shape}")
    if not are_rates:
        return matrix
    wrong = np.argwhere(~((matrix >= 0.0) & (matrix <= 1.0 + _SLACK)))
    if len(wrong):
        given, true = wrong[0]
        raise OptionError(
            f"{name} must have numbers from 0 to 1, got {matrix[given, true]} in row {given}, "
            f"column {true}"
        )
    sums = matrix.sum(axis=0)
    far = np.flatnonzero(np.abs(sums - 1.0) > _SLACK)
    if len(far):
        raise OptionError(
            f"each column of {name} must sum to 1, that of class {far[0]} sums to {sums[far[0]]:g}"
        )
    return matrix

"""Feature vectors and how far two of them lie apart: the same to the bit wherever it is computed.

A distance is computed in float64, in an order of operations that depends on the number of features
alone: not on which other rows are looked at in the same call.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import DataError, OptionError, require_one_of

COSINE: Final = "cosine"
EUCLIDEAN: Final = "euclidean"
METRICS: Final = (COSINE, EUCLIDEAN)

_MAX_EUCLIDEAN_FEATURES: Final = 3
"""With so few features the metric is Euclidean by default, as cleanlab chooses it."""

LARGEST: Final = 1e150
"""Features are at most this far from 0, so that sums of their squares are finite."""

_LEAST_COSINE: Final = 2.0**-53
"""The cosine distance of vectors that differ: what rounding leaves of it may be nothing."""

_PAIRS: Final = 1 << 14
"""How many pairs are looked at at once: two vectors each, in the cache up to some 100 features."""


def agreed_metric(metric: str | None, n_features: int) -> str:
    """Return the metric by name, or that of cleanlab for so many features.

    Raises OptionError for an unknown one.
    """
    if metric is None:
        return EUCLIDEAN if n_features <= _MAX_EUCLIDEAN_FEATURES else COSINE
    require_one_of("metric", metric, METRICS)
    return metric


def prepared(features: NDArray[np.floating], metric: str) -> Float64:
    """Return vectors, shape (n, d), as :func:`distances` takes them: for cosine, of length 1.

    A vector of zeros has no direction and stays as it is: its cosine distance is 1 from all others.
    """
    vectors = features.astype(np.float64)
    if metric != COSINE or not vectors.size:
        return vectors
    # By a power of two first, which rounds nothing: squares neither overflow nor vanish.
    _, powers = np.frexp(np.abs(vectors).max(axis=1))
    np.ldexp(vectors, -powers[:, np.newaxis], out=vectors)
    lengths = np.sqrt(np.add.reduce(vectors * vectors, axis=1))
    vectors /= np.where(lengths == 0.0, 1.0, lengths)[:, np.newaxis]
    return vectors


def distances(
    a: Float64, b: Float64, pairs: tuple[NDArray[np.int64], NDArray[np.int64]], metric: str
) -> Float64:
    """Return the distance of each pair (i, j), that of ``a[i]`` and ``b[j]``, shape (m,).

    It is 0 for equal vectors, and for no others; cosine distances are at most 2.

    >>> ones = prepared(np.eye(2), "cosine")
    >>> distances(ones, ones, (np.array([0, 0]), np.array([0, 1])), "cosine")
    array([0., 1.])
    """
    found = np.empty(len(pairs[0]))
    for start in range(0, len(found), _PAIRS):
        at = slice(start, start + _PAIRS)
        left, right = a[pairs[0][at]], b[pairs[1][at]]
        if metric == COSINE:
            are_equal = (left == right).all(axis=1)
            left *= right
            away = np.clip(1.0 - np.add.reduce(left, axis=1), _LEAST_COSINE, 2.0)
            found[at] = np.where(are_equal, 0.0, away)
        else:
            left -= right
            left *= left
            found[at] = np.sqrt(np.add.reduce(left, axis=1))
    return found


def checked_features(features: ArrayLike, name: str = "features") -> NDArray[np.floating]:
    """Return features as a matrix of float32 or float64; raise DataError if they are none."""
    matrix = np.asarray(features)
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf" or 0 in matrix.shape:
        raise DataError(
            f"{name} must be numbers of shape (n, d), n and d at least 1, "
            f"got shape {matrix.shape} of {matrix.dtype}"
        )
    if matrix.dtype != np.float32:
        matrix = matrix.astype(np.float64)
    usable = are_usable(matrix)
    if not usable.all():
        row = int(np.argmin(usable))
        raise DataError(
            f"{name}: not finite, or beyond {LARGEST}, in {np.count_nonzero(~usable)} rows, "
            f"for instance row {row}"
        )
    return matrix


def are_usable(features: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which rows, of shape (n, d), are finite and no number of them is too large."""
    largest = min(LARGEST, float(np.finfo(features.dtype).max))
    usable: NDArray[np.bool_] = (np.abs(features) <= largest).all(axis=1)
    return usable


def require_k(k: object, n_rows: int | None = None) -> None:
    """Raise OptionError unless k is a whole number of neighbours that n rows can have."""
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1:
        raise OptionError(f"k must be a whole number of neighbours, at least 1, got {k!r}")
    if n_rows is not None and k >= n_rows:
        raise OptionError(
            f"k must be below the number of rows, for a row is no neighbour of its own: got {k} "
            f"of {n_rows} rows"
        )

"""Neighbours of rows as positions in a table: what is checked of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.errors import DataError


def checked_neighbors(neighbors: ArrayLike) -> NDArray[np.int64]:
    """Return the positions of each row's neighbours, shape (n, k).

    Raises
    ------
    DataError
        If they are not whole numbers in two dimensions, of one row and neighbour at least, or not
        positions of these rows.
    """
    nearest = np.asarray(neighbors)
    if nearest.ndim != 2 or nearest.size == 0 or nearest.dtype.kind not in "iu":
        raise DataError(
            "neighbors must be a non-empty 2-D array of whole numbers, "
            f"got shape {nearest.shape} of {nearest.dtype}"
        )
    require_positions(nearest, len(nearest))
    return nearest.astype(np.int64, copy=False)


def require_positions(neighbors: NDArray[np.integer], n_rows: int) -> None:
    """Raise DataError unless all are positions of rows, 0 to n - 1."""
    outside = neighbors[(neighbors < 0) | (neighbors >= n_rows)]
    if len(outside):
        raise DataError(f"neighbors must be positions 0 to {n_rows - 1}, got {outside[0]}")

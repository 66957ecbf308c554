"""How many rows of each fold and class a model is trained with, where not all can be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lq_spark.errors import OptionError


def n_trained(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many rows there are outside of each fold, shape (F,); counts have shape (F, K)."""
    of_folds = counts.sum(axis=1)
    outside: NDArray[np.int64] = of_folds.sum() - of_folds
    return outside


def training_quotas(counts: NDArray[np.int64], max_rows: int) -> NDArray[np.int64]:
    """Return how many rows of each fold and class to train with, shape (F, K).

    The same share of each, but one row at least of those that have any; outside of each fold there
    are no more than ``max_rows``.

    Parameters
    ----------
    counts : ndarray of int64, shape (F, K)
    max_rows : int

    Raises
    ------
    OptionError
        If it is too few to have a row of each class of each other fold.

    Examples
    --------
    >>> training_quotas(np.array([[90, 1], [89, 2], [90, 1]]), max_rows=100)
    array([[49,  1],
           [48,  1],
           [49,  1]])
    """
    rows, cells = n_trained(counts), n_trained((counts > 0).astype(np.int64))
    if rows.max() <= max_rows:
        return counts
    if cells.max() > max_rows:
        raise OptionError(
            f"max_train_rows is {max_rows}, too few for a row of each class of each other fold, "
            f"{cells.max()}"
        )
    # A row of each cell, and of its others the share that the fullest training set can take.
    room, others = (max_rows - cells).tolist(), (rows - cells).tolist()
    part, whole = room[0], others[0]
    for free, rest in zip(room, others, strict=True):
        if free * whole < part * rest:
            part, whole = free, rest
    more = [[max(n - 1, 0) * part // whole for n in row] for row in counts.tolist()]
    return np.minimum(counts, np.array(more, dtype=np.int64) + 1)

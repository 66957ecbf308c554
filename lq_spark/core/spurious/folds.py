"""Which rows are held out together: those of a stratified k-fold that does not shuffle.

The rows are thought of class by class, the classes in the order in which they first occur, and
dealt out to the folds in turn. That says how many rows of each class a fold gets; it gets the next
ones in the order of the ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.errors import DataError


@dataclass(frozen=True, slots=True)
class Folds:
    """Where the rows of each class are cut into folds.

    Attributes
    ----------
    ends : ndarray of int64, shape (K, F)
        How many rows of a class are in a fold or an earlier one.
    """

    ends: NDArray[np.int64]

    @property
    def n_folds(self) -> int:
        """Return F."""
        return int(self.ends.shape[1])

    @property
    def n_classes(self) -> int:
        """Return K."""
        return len(self.ends)

    def of_rows(self, labels: NDArray[np.integer], ranks: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the fold in which each row is held out, shape (m,).

        Parameters
        ----------
        labels : ndarray of int, shape (m,)
            Classes, 0 to K - 1.
        ranks : ndarray of int, shape (m,)
            The place of each row among those of its class, from 0.

        Examples
        --------
        >>> folds = stratified_folds([5, 2], [0, 1], 2)
        >>> folds.of_rows(np.array([0, 0, 0, 0, 0, 1, 1]), np.array([0, 1, 2, 3, 4, 0, 1]))
        array([0, 0, 0, 1, 1, 0, 1])
        """
        fold = np.zeros(len(labels), dtype=np.int64)
        for ends in self.ends.T[:-1]:
            fold += ranks >= ends[labels]
        return fold


def stratified_folds(
    counts: Sequence[int] | NDArray[np.integer], order: Sequence[int], n_folds: int
) -> Folds:
    """Return where the rows of each class are cut into folds.

    Parameters
    ----------
    counts : sequence of int, length K
        The rows of each class.
    order : sequence of int
        The classes with a row, in the order in which they first occur.
    n_folds : int
        At least 2.

    Raises
    ------
    DataError
        If no class has as many rows as there are folds.
    """
    sizes = np.asarray(counts, dtype=np.int64)
    largest = int(sizes.max(initial=0))
    if largest < n_folds:
        raise DataError(
            f"no class has as many rows as there are folds, {n_folds}; the largest has {largest}"
        )
    there = np.asarray(order, dtype=np.int64)
    starts = np.zeros_like(sizes)
    starts[there] = np.cumsum(sizes[there]) - sizes[there]
    # Of the places from the start of a class to its end, fold f has those that leave the rest f.
    fold = np.arange(n_folds)
    held_out = _dealt(starts[:, None] + sizes[:, None], fold) - _dealt(starts[:, None], fold)
    return Folds(np.cumsum(held_out, axis=1))


def _dealt(n: NDArray[np.int64], fold: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the first ``n`` places a fold has."""
    return (n - fold - 1) // len(fold) + 1

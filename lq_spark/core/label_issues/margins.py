"""Margins of rows over pairs of classes: what pruning by noise rate orders the rows of a class by.

A table has a margin for each row and each pair of its class, far more than rows; few of them are
low. :class:`LowMargins` makes no arrays but of those.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.segments import ranges

_BLOCK_MARGINS = 1 << 17
"""Margins that are made at once: they stay in a core's cache."""

_MAX_MATRIX = 1 << 22
"""The most entries of a matrix of all pairs of classes."""

_MIN_FILLED = 0.125
"""With a smaller share of the pairs wanted, those alone are looked at, not all of a row."""


@dataclass(frozen=True, slots=True)
class ClassPairs:
    """Pairs (given, true) of classes, ordered by the given one.

    Attributes
    ----------
    true : ndarray of int64, shape (m,)
        The true class of each pair.
    starts : ndarray of int64, shape (K + 1,)
        Pairs ``starts[k]`` to ``starts[k + 1]`` are those of given class k.
    """

    true: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def ordered(
        cls, n_classes: int, given: NDArray[np.int64], true: NDArray[np.int64]
    ) -> ClassPairs:
        """Return the pairs of given classes, shape (m,) and in order, with true ones."""
        return cls(true, np.searchsorted(given, np.arange(n_classes + 1)))


@dataclass(frozen=True, slots=True)
class PairMargins:
    """For each row and each pair of its given class one entry: arrays of shape (entries,).

    Attributes
    ----------
    row, pair : ndarray of int64
    margin : ndarray of float64
        ``pred_probs[given] - pred_probs[true]``: the lowest are the least likely labels.
    """

    row: NDArray[np.int64]
    pair: NDArray[np.int64]
    margin: Float64


def pair_margins(
    labels: NDArray[np.integer], pred_probs: NDArray[np.floating], pairs: ClassPairs
) -> PairMargins:
    """Return the margins of rows, labels (n,) and pred_probs (n, K), over the pairs."""
    starts = pairs.starts[labels]
    n_pairs = pairs.starts[labels + 1] - starts
    row = np.repeat(np.arange(len(labels)), n_pairs)
    pair = ranges(starts, n_pairs)
    given = pred_probs[np.arange(len(labels)), labels].astype(np.float64)
    margin = given[row] - pred_probs[row, pairs.true[pair]].astype(np.float64)
    return PairMargins(row, pair, margin)


@dataclass(frozen=True)
class LowMargins:
    """Finds the margins of rows that are not above the limit of their pair.

    Attributes
    ----------
    n_classes : int
    pairs : ClassPairs
    limits : ndarray of float64, shape (m,)
        -inf for a pair of which none is wanted.
    """

    n_classes: int
    pairs: ClassPairs
    limits: Float64

    def find(self, labels: NDArray[np.integer], pred_probs: NDArray[np.floating]) -> PairMargins:
        """Return the low margins of rows, labels (n,) and pred_probs (n, K), ordered by row."""
        n_margins = int(np.diff(self.pairs.starts)[labels].sum())
        fits = self.n_classes**2 <= _MAX_MATRIX
        is_filled = fits and n_margins > _MIN_FILLED * pred_probs.size
        width = self.n_classes if is_filled else n_margins // max(len(labels), 1)
        step = max(1, _BLOCK_MARGINS // max(width, 1))
        find = self._find_in_matrix if is_filled else self._find_in_pairs
        parts = [
            find(labels[at : at + step], pred_probs[at : at + step], at)
            for at in range(0, len(labels), step)
        ]
        if len(parts) == 1:
            return parts[0]
        return PairMargins(
            np.concatenate([part.row for part in parts] or [np.zeros(0, dtype=np.int64)]),
            np.concatenate([part.pair for part in parts] or [np.zeros(0, dtype=np.int64)]),
            np.concatenate([part.margin for part in parts] or [np.zeros(0)]),
        )

    def _find_in_pairs(
        self, labels: NDArray[np.integer], pred_probs: NDArray[np.floating], first: int
    ) -> PairMargins:
        found = pair_margins(labels, pred_probs, self.pairs)
        low = np.flatnonzero(found.margin <= self.limits[found.pair])
        return PairMargins(found.row[low] + first, found.pair[low], found.margin[low])

    def _find_in_matrix(
        self, labels: NDArray[np.integer], pred_probs: NDArray[np.floating], first: int
    ) -> PairMargins:
        numbers, limits = self._matrices
        given = pred_probs[np.arange(len(labels)), labels].astype(np.float64)
        margins = given[:, np.newaxis] - pred_probs
        row, true = np.nonzero(margins <= limits[labels])
        return PairMargins(row + first, numbers[labels[row], true], margins[row, true])

    @cached_property
    def _matrices(self) -> tuple[NDArray[np.int64], Float64]:
        """Return the number and the limit of each pair (given, true), -1 and -inf for no pair."""
        shape = (self.n_classes, self.n_classes)
        numbers, limits = np.full(shape, -1), np.full(shape, -np.inf)
        given = np.repeat(np.arange(self.n_classes), np.diff(self.pairs.starts))
        numbers[given, self.pairs.true] = np.arange(len(self.limits))
        limits[given, self.pairs.true] = self.limits
        return numbers, limits


def lowest_of_each(
    groups: NDArray[np.int64], values: Float64, quotas: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return positions of the ``quotas[g]`` lowest values of each group g, and all that equal them.

    Shapes: groups and values (n,), quotas (number of groups,).
    """
    order = np.lexsort([values, groups])
    ordered_groups, ordered_values = groups[order], values[order]
    starts = np.searchsorted(ordered_groups, np.arange(len(quotas) + 1))
    last = np.minimum(starts[:-1] + quotas, starts[1:]) - 1
    has_rows = last >= starts[:-1]
    highest = np.full(len(quotas), -np.inf)
    highest[has_rows] = ordered_values[last[has_rows]]
    return order[ordered_values <= highest[ordered_groups]]


def margin_buckets(margin: Float64, n_buckets: int) -> NDArray[np.int64]:
    """Return the bucket, 0 to n_buckets - 1, of margins from -1 to 0: a lower one is not higher."""
    return np.clip(np.floor((margin + 1.0) * n_buckets), 0, n_buckets - 1).astype(np.int64)


def margin_levels(normalized: Float64) -> NDArray[np.int8]:
    """Return the level, 0 to 127, of normalized margins ``(margin + 1) / 2``, 0 for negative ones.

    A lower level never holds a higher margin; levels are finer where margins are low.

    >>> margin_levels((np.array([-0.5, 0.0, 0.0001, 0.25, 1.0]) + 1.0) / 2.0).tolist()
    [0, 0, 1, 63, 127]
    """
    margins = np.clip(2.0 * normalized - 1.0, 0.0, 1.0)
    levels: NDArray[np.int8] = np.floor(np.sqrt(margins) * np.iinfo(np.int8).max).astype(np.int8)
    return levels

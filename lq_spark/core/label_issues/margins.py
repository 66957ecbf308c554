"""Margins of rows over pairs of classes: what pruning by noise rate orders the rows of a class by.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.segments import ranges


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

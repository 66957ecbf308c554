"""Sums of whole numbers by group: a state that merges in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.exact import MAX_TERMS
from lq_spark.errors import DataError


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Sums of the rows of each group that has any.

    Attributes
    ----------
    groups : ndarray of int64, shape (G,)
        Ascending.
    counts : ndarray of int64, shape (G,)
        Rows of each.
    sums : ndarray of int64, shape (T, G)
        Of T whole numbers of at most 31 bits that each row has.
    """

    groups: NDArray[np.int64]
    counts: NDArray[np.int64]
    sums: NDArray[np.int64]

    def require_summable(self) -> None:
        """Raise DataError if a group has more rows than its sums can hold (2^32)."""
        if self.counts.max(initial=0) > MAX_TERMS:
            raise DataError(
                f"a group has {self.counts.max()} rows, at most {MAX_TERMS} can be summed"
            )


def partial_group_sums(groups: NDArray[np.int64], terms: NDArray[np.int64]) -> GroupSums:
    """Return the state of a batch of rows: their groups (m,) and their numbers (T, m).

    >>> state = partial_group_sums(np.array([7, 2, 7]), np.array([[1, 2, 3]]))
    >>> state.groups, state.counts, state.sums
    (array([2, 7]), array([1, 2]), array([[2, 4]]))
    """
    return _added(groups, np.ones(len(groups), dtype=np.int64), terms)


def merge_group_sums(a: GroupSums, b: GroupSums) -> GroupSums:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return _added(
        np.concatenate([a.groups, b.groups]),
        np.concatenate([a.counts, b.counts]),
        np.concatenate([a.sums, b.sums], axis=1),
    )


def _added(
    groups: NDArray[np.int64], counts: NDArray[np.int64], terms: NDArray[np.int64]
) -> GroupSums:
    distinct, place = np.unique(groups, return_inverse=True)
    totals = np.zeros((1 + len(terms), len(distinct)), dtype=np.int64)
    for total, term in zip(totals, (counts, *terms), strict=True):
        np.add.at(total, place, term)
    return GroupSums(distinct, totals[0], totals[1:])

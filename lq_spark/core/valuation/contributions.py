"""What rows contribute to the labels of others: sums of whole numbers, partial → merge → finish.

A row that is the j-th nearest of another one adds to it [same label] of the j-th less [same label]
of the k-th. The Shapley value of k-nearest-neighbour classification is the sum of these over all
rows that it is near to: whole numbers, the same in whatever order they are added.

Source: Jia et al., "Efficient Task-Specific Data Valuation for Nearest Neighbor Algorithms",
VLDB 12 (2019), arXiv:1908.08619, theorem 1, as cleanlab 2.9.0 has it: its recursion starts from 0
at the k-th neighbour, so that the sum of differences between neighbours is one difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.core.shared.positions import require_positions
from lq_spark.errors import require_number

NO_VALUE = 0.5
"""The value of a row that is nobody's neighbour: it neither helps nor harms."""

THRESHOLD = 0.5
"""Rows of a lower value are issues, by default."""

N_NEIGHBORS = 10
"""How many neighbours predict a label, by default."""


@dataclass(frozen=True, slots=True)
class Contributions:
    """What rows contribute, one entry a row that is a neighbour: arrays of int64 of one length.

    Attributes
    ----------
    rows : ndarray
        Positions of the rows, ascending.
    sums : ndarray
        Over the rows that it is a neighbour of: 1 where it has their label, less 1 where their
        k-th neighbour has it.
    """

    rows: NDArray[np.int64]
    sums: NDArray[np.int64]


def partial_contributions(neighbors: NDArray[np.integer], matches: Mask) -> Contributions:
    """Return the state of a batch of rows.

    Parameters
    ----------
    neighbors : ndarray of int, shape (m, k)
        Positions of the k nearest rows of each row of the batch, nearest first.
    matches : ndarray of bool, shape (m, k)
        Which of them have its label.

    Examples
    --------
    >>> state = partial_contributions(np.array([[7, 2]]), np.array([[True, False]]))
    >>> state.rows, state.sums
    (array([2, 7]), array([0, 1]))
    """
    counts = matches.astype(np.int64)
    return _added(neighbors.ravel(), (counts - counts[:, -1:]).ravel())


def merge_contributions(a: Contributions, b: Contributions) -> Contributions:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return _added(np.concatenate([a.rows, b.rows]), np.concatenate([a.sums, b.sums]))


def finish_values(state: Contributions, n_rows: int, k: int) -> Float64:
    """Return the value of each of all n rows, in the order of their positions, shape (n,).

    Raises
    ------
    DataError
        If a neighbour's position is not one of 0 to n - 1.
    """
    require_positions(state.rows, n_rows)
    values = np.full(n_rows, NO_VALUE)
    values[state.rows] = values_of(state.sums, n_rows, k)
    return values


def values_of(sums: ArrayLike, n_rows: int, k: int) -> Float64:
    """Return the values of rows from the sums of their contributions: 1 helps, 0 harms.

    Below 0.5 the labels near to a row are predicted worse with it than without it.

    >>> values_of([0, 4, -4], n_rows=4, k=2)
    array([0.5 , 0.75, 0.25])
    """
    values: Float64 = 0.5 * (1.0 + np.asarray(sums) / (n_rows * k))
    return values


def are_issues(values: Float64, threshold: float) -> Mask:
    """Return which rows are of too low a value."""
    return values < threshold


def require_threshold(threshold: object) -> float:
    """Return a threshold; raise OptionError unless it is from 0 to 1."""
    return require_number("threshold", threshold, 0.0, 1.0)


def _added(rows: NDArray[np.integer], terms: NDArray[np.int64]) -> Contributions:
    """Return the sums of the terms of each row."""
    distinct, place = np.unique(rows.astype(np.int64, copy=False), return_inverse=True)
    sums = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(sums, place, terms)
    return Contributions(distinct, sums)

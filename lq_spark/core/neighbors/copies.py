"""Rows of the same features, which are looked for once, and what that makes of their neighbours.

Source: cleanlab's correction for exact duplicates, as black-box runs of it show: the copies of a
row are its first neighbours, at distance 0; of many copies only the first k + 1 are anyone's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.neighbors.search import Int64, Neighbors, lowest_of_each
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.segments import ranges


class Copies(NamedTuple):
    """The rows of a data set by their features.

    Attributes
    ----------
    first : ndarray of int64, shape (s,)
        The first row of each set of equal rows.
    offsets : ndarray of int64, shape (s + 1,)
        Where the rows of each set begin, and the last ones end, in ``rows``.
    rows : ndarray of int64, shape (n,)
        The rows, by set, in their own order.
    """

    first: Int64
    offsets: Int64
    rows: Int64


def copies_of(features: NDArray[np.floating]) -> Copies:
    """Return which rows are equal in all features, shape (n, d); 0.0 and -0.0 are.

    >>> copies_of(np.array([[1.0], [0.0], [1.0], [-0.0]])).rows
    array([1, 3, 0, 2])
    """
    plain = np.ascontiguousarray(features + features.dtype.type(0))
    whole = plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1]))).ravel()
    _, of_row, counts = np.unique(whole, return_inverse=True, return_counts=True)
    rows = np.argsort(of_row, kind="stable")
    offsets = np.append(0, np.cumsum(counts))
    return Copies(rows[offsets[:-1]], offsets, rows)


def spread_over_copies(found: Neighbors, offsets: Int64, ids: Int64, k: int) -> Neighbors:
    """Return the k nearest rows of each query, of the sets that are nearest.

    Parameters
    ----------
    found : Neighbors
        Of sets: with each set in it, those that are as near and of lower first row.
    offsets, ids : ndarray of int64
        The rows of each set that is a reference, in order; the first k suffice.
    k : int
    """
    counts = np.diff(offsets)[found.reference]
    at = ranges(offsets[found.reference], counts)
    query, distance = np.repeat(found.query, counts), np.repeat(found.distance, counts)
    kept = lowest_of_each(query, distance, ids[at], k)
    return Neighbors(query[kept], ids[at[kept]], distance[kept])


def corrected(
    members: Int64, outside: Int64, distances: Float64, row: int, k: int
) -> tuple[Int64, Float64]:
    """Return the k neighbours of a row, and how far they are.

    Parameters
    ----------
    members : ndarray of int64
        The rows of its set in order, itself among them; the first k + 1 suffice.
    outside : ndarray of int64
        The nearest rows that are not of its set, k if there are as many.
    distances : ndarray of float64
        Of these.
    row, k : int
    """
    copies = members[: k + 1]
    copies = copies[copies != row][:k]
    n_others = k - len(copies)
    return (
        np.concatenate([copies, outside[:n_others]]),
        np.concatenate([np.zeros(len(copies)), distances[:n_others]]),
    )

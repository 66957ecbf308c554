"""Which columns of whole numbers have consecutive values: partial → merge → finish, in two passes.

The different values are consecutive if there are as many as fit between the lowest and the highest.
A first pass finds those two; most columns have more room between them than rows, and are done. For
the others a second pass notes each value in one bit of that room: n bits at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.errors import DataError


@dataclass(frozen=True, slots=True)
class Extent:
    """Between which values a column lies.

    Attributes
    ----------
    n_rows : int
    low, high : int
        The lowest and the highest value.
    """

    n_rows: int
    low: int
    high: int

    @property
    def room(self) -> int:
        """Return how many whole numbers there are from the lowest to the highest value."""
        return self.high - self.low + 1

    @property
    def may_be_identifier(self) -> bool:
        """Return whether it takes the second pass to know whether the values are consecutive."""
        return 1 < self.room <= self.n_rows


def find_identifier_columns(columns: Mapping[str, ArrayLike]) -> list[str]:
    """Return the names of the columns that number the rows, in the given order.

    Parameters
    ----------
    columns : mapping of str to array-like, shape (n,) each
        Only columns of an integer type can be identifiers; bool is none.

    Raises
    ------
    DataError
        If a column is not one-dimensional, or has no rows.

    Notes
    -----
    The check ``identifier_column`` of cleanlab's Datalab: the different values, in order, are
    consecutive, and there is more than one. A column of a few codes, 0 to 9 say, is taken for an
    identifier as well.

    Examples
    --------
    >>> find_identifier_columns({"id": [7, 5, 6, 8], "age": [30, 41, 41, 29], "p": [0.5] * 4})
    ['id']
    """
    found = []
    for name, column in columns.items():
        values = np.asarray(column)
        if values.ndim != 1 or values.size == 0:
            raise DataError(f"{name} must be a non-empty 1-D array, got shape {values.shape}")
        if values.dtype.kind in "iu":
            extent = partial_extent(values)
            if extent.may_be_identifier and finish_present(extent, partial_present(values, extent)):
                found.append(name)
    return found


def is_identifier(extent: Extent, n_distinct: int) -> bool:
    """Return whether a column with so many different values numbers the rows.

    For where different values are counted by other means than :func:`partial_present`.

    >>> is_identifier(Extent(4, low=5, high=8), n_distinct=4)
    True
    """
    return 1 < n_distinct == extent.room


def partial_extent(values: NDArray[np.integer]) -> Extent:
    """Return the state of the first pass of a batch of whole numbers, at least one."""
    return Extent(len(values), int(values.min()), int(values.max()))


def merge_extents(a: Extent, b: Extent) -> Extent:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return Extent(a.n_rows + b.n_rows, min(a.low, b.low), max(a.high, b.high))


def partial_present(values: NDArray[np.integer], extent: Extent) -> NDArray[np.uint8]:
    """Return the state of the second pass of a batch: a bit for each number that may be there.

    Parameters
    ----------
    values : ndarray of int, shape (m,)
    extent : Extent
        Of the whole column.

    Returns
    -------
    ndarray of uint8, shape (ceil(room / 8),)
    """
    # Differences modulo 2^64 are right for every integer type.
    offsets = values.astype(np.uint64) - np.uint64(extent.low % (1 << 64))
    present = np.zeros((extent.room + 7) // 8, dtype=np.uint8)
    bits = np.uint8(1) << (offsets & np.uint64(7)).astype(np.uint8)
    np.bitwise_or.at(present, (offsets >> np.uint64(3)).astype(np.int64), bits)
    return present


def merge_present(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return a | b


def finish_present(extent: Extent, present: NDArray[np.uint8]) -> bool:
    """Return whether the column numbers the rows."""
    return is_identifier(extent, int(np.unpackbits(present).sum()))

"""Missing values by row, by column and by pattern: partial → merge → finish on counts.

A pattern is which columns of a row are null. Patterns are packed, eight columns a byte; a data set
of C columns has at most 2^C - 1 of them, and never more than rows with a null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.errors import DataError


@dataclass(frozen=True, slots=True)
class NullCounts:
    """The nulls of rows, counted.

    Attributes
    ----------
    n_rows : int
    columns : ndarray of int64, shape (C,)
        Nulls of each column.
    patterns : ndarray of uint8, shape (P, ceil(C / 8))
        The different patterns with a null, packed, in the order of their bytes.
    counts, first_rows : ndarray of int64, shape (P,)
        How many rows have the pattern, and the lowest position of one.
    """

    n_rows: int
    columns: NDArray[np.int64]
    patterns: NDArray[np.uint8]
    counts: NDArray[np.int64]
    first_rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NullSummary:
    """What is missing in a data set.

    Attributes
    ----------
    score : float
        The share of values that are there: 1 all, 0 none; the mean of the rows' scores.
    n_issues : int
        Rows without any value.
    column_shares : ndarray of float64, shape (C,)
        The share of each column that is null.
    pattern : str or None
        The most common pattern, of equally common ones the first seen: a letter a column, 1 where
        it is null. None if nothing is.
    pattern_count, pattern_first_row : int
        How many rows have it, and the lowest position of one; 0 and -1 if nothing is null.
    """

    score: float
    n_issues: int
    column_shares: Float64
    pattern: str | None
    pattern_count: int
    pattern_first_row: int


def find_nulls(nulls: ArrayLike) -> tuple[Mask, Float64, NullSummary]:
    """Return which rows have no value at all.

    Parameters
    ----------
    nulls : array-like of bool, shape (n, C)
        Which values are null; of a table of numbers or objects, :func:`is_null`.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where all values of a row are null.
    ndarray of float64, shape (n,)
        The share of its values that are there: 1 all, 0 none.
    NullSummary

    Raises
    ------
    DataError
        If there are no rows or columns, or it is no array of bool.

    Notes
    -----
    The check ``null`` of cleanlab's Datalab.

    Examples
    --------
    >>> flags, scores, found = find_nulls([[False, True], [True, True], [False, True]])
    >>> flags, scores, found.pattern, found.pattern_count
    (array([False,  True, False]), array([0.5, 0. , 0.5]), '01', 2)
    """
    mask = np.asarray(nulls)
    if mask.ndim != 2 or mask.size == 0 or mask.dtype.kind != "b":
        raise DataError(
            f"nulls must be a non-empty 2-D array of bool, got shape {mask.shape} of {mask.dtype}"
        )
    scores = null_scores(mask)
    return scores == 0.0, scores, finish_nulls(partial_nulls(mask, np.arange(len(mask))))


def is_null(values: ArrayLike) -> Mask:
    """Return which values of an array are null: None, NaN, or no time.

    >>> is_null([["a", None], [float("nan"), 0]])
    array([[False,  True],
           [ True, False]])
    """
    array: NDArray[Any] = np.asarray(values)
    if array.dtype.kind != "O":
        differs: Mask = array != array  # from itself: NaN, and no time
        return differs
    nulls = [value is None or value != value for value in array.flat]
    return np.array(nulls, dtype=bool).reshape(array.shape)


def null_scores(nulls: Mask) -> Float64:
    """Return the share of each row's values that are there, shape (m,): 1 all, 0 none."""
    scores: Float64 = np.count_nonzero(~nulls, axis=1) / nulls.shape[1]
    return scores


def partial_nulls(nulls: Mask, rows: NDArray[np.integer]) -> NullCounts:
    """Return the state of a batch of rows.

    Parameters
    ----------
    nulls : ndarray of bool, shape (m, C)
    rows : ndarray of int, shape (m,)
        Positions of the rows in the data set, which decide what was seen first.
    """
    some = nulls.any(axis=1)
    patterns = np.packbits(nulls[some], axis=1)
    columns = np.count_nonzero(nulls, axis=0).astype(np.int64)
    ones = np.ones(len(patterns), dtype=np.int64)
    return NullCounts(len(nulls), columns, *_counted(patterns, ones, rows[some]))


def merge_nulls(a: NullCounts, b: NullCounts) -> NullCounts:
    """Return the state of the rows of ``a`` and ``b`` together."""
    counted = _counted(
        np.concatenate([a.patterns, b.patterns]),
        np.concatenate([a.counts, b.counts]),
        np.concatenate([a.first_rows, b.first_rows]),
    )
    return NullCounts(a.n_rows + b.n_rows, a.columns + b.columns, *counted)


def finish_nulls(state: NullCounts) -> NullSummary:
    """Return what is missing.

    Raises
    ------
    DataError
        If there are no rows or no columns.
    """
    n_columns = len(state.columns)
    if state.n_rows * n_columns == 0:
        raise DataError(f"there must be rows and columns, got {state.n_rows} and {n_columns}")
    score = 1.0 - int(state.columns.sum()) / (state.n_rows * n_columns)
    shares: Float64 = state.columns / state.n_rows
    if len(state.counts) == 0:
        return NullSummary(score, 0, shares, None, 0, -1)
    nulls = np.unpackbits(state.patterns, axis=1, count=n_columns)
    n_issues = int(state.counts[nulls.all(axis=1)].sum())
    most = np.lexsort((state.first_rows, -state.counts))[0]
    pattern = "".join(map(str, nulls[most]))
    count, first = int(state.counts[most]), int(state.first_rows[most])
    return NullSummary(score, n_issues, shares, pattern, count, first)


def _counted(
    patterns: NDArray[np.uint8], counts: NDArray[np.int64], rows: NDArray[np.integer]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return the different patterns, the sum of their counts, and their lowest rows."""
    distinct, place = np.unique(patterns, axis=0, return_inverse=True)
    totals = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(totals, place.ravel(), counts)
    first = np.full(len(distinct), np.iinfo(np.int64).max)
    np.minimum.at(first, place.ravel(), rows)
    return distinct, totals, first

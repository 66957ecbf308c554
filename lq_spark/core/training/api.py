"""The fold in which each row is held out, of whole arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.checks import checked_labels
from lq_spark.core.training.folds import (
    N_FOLDS,
    dealt_folds,
    hash_folds,
    require_held_out,
    require_trainable,
    seeded_codes,
    stratified_starts,
)
from lq_spark.errors import DataError, require_whole_number


def assign_folds(
    ids: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    n_folds: int = N_FOLDS,
    stratified: bool = True,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return the fold in which each row is held out, shape (n,).

    Parameters
    ----------
    ids : array-like of int, shape (n,)
        What tells the rows apart. The fold of a row does not depend on the order of the rows.
    labels : array-like of int, shape (n,), optional
        Given labels, from 0. Without them, as where labels are numbers, all rows are dealt out as
        those of one class.
    n_folds : int
        At least 2.
    stratified : bool
        Whether the rows of each class are dealt out to the folds in turn, in the order of a hash of
        their ids: folds differ by at most one row, in each class and altogether. If not, the hash
        alone says the fold.
    groups : array-like of int, shape (n,), optional
        Rows of one group are held out together: the groups are dealt out to the folds in turn, in
        the order of a hash, and classes are not looked at.
    seed : int
        Of the hash.

    Returns
    -------
    ndarray of int64, shape (n,)
        From 0 to ``n_folds - 1``.

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If ids occur twice, there are fewer than 2 classes, or a class or group has too few rows.

    Examples
    --------
    >>> assign_folds(range(8), [0, 0, 0, 0, 1, 1, 1, 1], n_folds=2)
    array([0, 1, 0, 1, 0, 1, 1, 0])
    """
    require_whole_number("n_folds", n_folds, 2)
    require_whole_number("seed", seed, 0)
    keys = np.asarray(ids, dtype=np.int64)
    given = checked_labels(np.zeros(len(keys), np.int64) if labels is None else labels)
    if len(keys) != len(given) or len(np.unique(keys)) < len(keys):
        raise DataError(f"ids must be {len(given)} different numbers, one a label")
    if len(given) and given.min() < 0:
        raise DataError(f"labels must be at least 0, got {given.min()}")
    codes = seeded_codes(keys, seed)
    counts = np.bincount(given).astype(np.int64)
    if groups is not None:
        values, of_row = np.unique(np.asarray(groups, dtype=np.int64), return_inverse=True)
        order = seeded_codes(values, seed).argsort()
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(values))
        folds = dealt_folds(ranks, n_folds)[of_row]
    elif stratified:
        order = np.lexsort((codes, given))
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(given)) - np.repeat(np.cumsum(counts) - counts, counts)
        folds = dealt_folds(ranks, n_folds, stratified_starts(counts, n_folds)[given])
    else:
        folds = hash_folds(codes, n_folds)
    cells = np.bincount(folds * len(counts) + given, minlength=n_folds * len(counts))
    if labels is None:
        require_held_out(cells)
    else:
        require_trainable(cells.reshape(n_folds, -1), stratified=stratified and groups is None)
    return folds

"""Rows that hang together by pairs, and which one of them to keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Mask
from lq_spark.core.shared.checks import checked_scores
from lq_spark.errors import DataError


def connected(n_rows: int, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the component of each row, shape (n,): the lowest row that pairs lead to.

    Parameters
    ----------
    n_rows : int
    a, b : ndarray of int64, shape (p,)
        The rows of each pair, in any order.

    Notes
    -----
    The whole is the same as of the components of some pairs with the other pairs: so pairs may be
    taken part by part.

    Examples
    --------
    >>> connected(5, np.array([4, 3]), np.array([1, 4]))
    array([0, 1, 2, 1, 1])
    """
    component = np.arange(n_rows)
    while True:
        left, right = component[a], component[b]
        apart = left != right
        if not apart.any():
            return component
        left, right = left[apart], right[apart]
        # The lower of two components takes the other in; then each row looks up where its own went.
        np.minimum.at(component, np.maximum(left, right), np.minimum(left, right))
        while not np.array_equal(further := component[component], component):
            component = further


def rows_to_keep(component: ArrayLike, label_quality: ArrayLike | None = None) -> Mask:
    """Return one row of each component: the one whose label is best, or the first.

    Parameters
    ----------
    component : array-like of int, shape (n,)
        The component of each row, a number; as found by the functions of this package.
    label_quality : array-like of float, shape (n,), optional
        1 clean, 0 suspect. Of equally good rows the first is kept.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    DataError
        If lengths differ, components are no whole numbers, or a quality is NaN.

    Examples
    --------
    >>> rows_to_keep([0, 1, 0, 0], label_quality=[0.5, 0.9, 0.75, 0.25])
    array([False,  True,  True, False])
    """
    groups = np.asarray(component)
    if groups.ndim != 1 or (groups.size and groups.dtype.kind not in "iu"):
        raise DataError(
            f"component must be a 1-D array of whole numbers, got shape {groups.shape} of "
            f"{groups.dtype}"
        )
    quality = np.zeros(len(groups))
    if label_quality is not None:
        quality = checked_scores("label_quality", label_quality)
        if len(quality) != len(groups):
            raise DataError(f"component has {len(groups)} rows, label_quality {len(quality)}")
        if np.isnan(quality).any():
            row = int(np.argmax(np.isnan(quality)))
            raise DataError(f"label_quality must be numbers, got nan at row {row}")
    order = np.lexsort((-quality, groups))
    ordered = groups[order]
    kept = np.zeros(len(groups), dtype=bool)
    kept[order[np.append(True, ordered[1:] != ordered[:-1])[: len(groups)]]] = True
    return kept

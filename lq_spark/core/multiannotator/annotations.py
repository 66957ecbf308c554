"""Labels of several annotators in long form: one row a label, sorted by item, then annotator.

A table of a million items by fifty thousand annotators has a few labels an item: no array here has
items times annotators elements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.segments import owners
from lq_spark.errors import DataError


@dataclass(frozen=True, slots=True)
class Annotations:
    """The labels of items, item after item, those of an item ordered by annotator.

    Attributes
    ----------
    annotators : ndarray of int64, shape (m,)
        Who gave each label, in 0..n_annotators-1; at most once an item.
    labels : ndarray of int64, shape (m,)
        Each in 0..n_classes-1.
    offsets : ndarray of int64, shape (n + 1,)
        Item i has the labels ``offsets[i]`` to ``offsets[i + 1] - 1``: at least one.
    n_annotators, n_classes : int
        Of the whole data set, also where these are a part of its items.
    """

    annotators: NDArray[np.int64]
    labels: NDArray[np.int64]
    offsets: NDArray[np.int64]
    n_annotators: int
    n_classes: int

    @property
    def n_items(self) -> int:
        """Return n."""
        return len(self.offsets) - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Return how many labels each item has, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def items(self) -> NDArray[np.int64]:
        """Return the item of each label, shape (m,)."""
        return owners(self.offsets)

    def between(self, start: int, stop: int) -> Annotations:
        """Return the items ``start`` to ``stop - 1``, numbered from 0."""
        first, last = self.offsets[start], self.offsets[stop]
        return Annotations(
            self.annotators[first:last],
            self.labels[first:last],
            self.offsets[start : stop + 1] - first,
            self.n_annotators,
            self.n_classes,
        )


@dataclass(frozen=True, slots=True)
class Votes:
    """The different labels of each item, item after item, ordered by class.

    Attributes
    ----------
    items, labels, counts : ndarray of int64, shape (v,)
        The item, the class, and how many annotators gave it that class.
    offsets : ndarray of int64, shape (n + 1,)
        Item i has the votes ``offsets[i]`` to ``offsets[i + 1] - 1``.
    vote_of : ndarray of int64, shape (m,)
        To which vote each label of the annotations belongs.
    """

    items: NDArray[np.int64]
    labels: NDArray[np.int64]
    counts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    vote_of: NDArray[np.int64]

    @property
    def ranks(self) -> NDArray[np.int64]:
        """Return the place of each vote among those of its item, shape (v,)."""
        return np.arange(len(self.items)) - self.offsets[self.items]


def count_votes(annotations: Annotations) -> Votes:
    """Return which classes each item was given, and how often.

    Examples
    --------
    >>> given = checked_annotations([0, 0, 0, 1], [0, 1, 2, 0], [2, 0, 2, 1], n_classes=3)
    >>> votes = count_votes(given)
    >>> votes.items, votes.labels, votes.counts
    (array([0, 0, 1]), array([0, 2, 1]), array([1, 2, 1]))
    """
    n_items, n_classes = annotations.n_items, annotations.n_classes
    keys = annotations.items * n_classes + annotations.labels
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.ones(len(keys), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    items, labels = np.divmod(ordered[starts], n_classes)
    vote_of = np.empty(len(keys), dtype=np.int64)
    vote_of[order] = np.cumsum(first) - 1
    counts = np.diff(np.append(starts, len(keys)))
    return Votes(items, labels, counts, np.searchsorted(items, np.arange(n_items + 1)), vote_of)


def checked_annotations(
    items: ArrayLike,
    annotators: ArrayLike,
    labels: ArrayLike,
    *,
    n_classes: int,
    n_items: int | None = None,
    n_annotators: int | None = None,
) -> Annotations:
    """Return labels in any order as sorted annotations.

    Parameters
    ----------
    items, annotators, labels : array-like of int, shape (m,)
        Which item each label belongs to, who gave it, and its class.
    n_classes : int
        K.
    n_items, n_annotators : int, optional
        How many there are; by default up to the highest number given.

    Raises
    ------
    DataError
        If the columns differ in length, a number is out of range, an annotator labelled an item
        twice, or an item has no label.

    Examples
    --------
    >>> checked_annotations([1, 0], [0, 0], [1, 0], n_classes=2).labels
    array([0, 1])
    """
    columns = [
        _whole(*column) for column in zip(_COLUMNS, (items, annotators, labels), strict=True)
    ]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1 or not lengths[0]:
        raise DataError(
            f"items, annotators and labels must have one length of at least 1, got {lengths}"
        )
    limits = [n_items, n_annotators, n_classes]
    for i, (name, column) in enumerate(zip(_COLUMNS, columns, strict=True)):
        limit = limits[i]
        if limit is None:
            limits[i] = limit = int(column.max()) + 1
        bad = np.flatnonzero((column < 0) | (column >= limit))
        if len(bad):
            raise DataError(
                f"{name} must lie in 0..{limit - 1}, got {column[bad[0]]} for item "
                f"{columns[0][bad[0]]} ({len(bad)} such labels)"
            )
    return _sorted(
        *columns, n_items=limits[0] or 0, n_annotators=limits[1] or 0, n_classes=n_classes
    )


_COLUMNS = ("items", "annotators", "labels")


def _whole(name: str, column: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(column)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "biu"):
        raise DataError(
            f"{name} must be a 1-D array of whole numbers, got shape {array.shape} of {array.dtype}"
        )
    return array.astype(np.int64, copy=False)


def _sorted(
    items: NDArray[np.int64],
    annotators: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    n_items: int,
    n_annotators: int,
    n_classes: int,
) -> Annotations:
    keys = items * n_annotators + annotators
    if not (keys[1:] > keys[:-1]).all():
        order = np.argsort(keys, kind="stable")
        keys, items, annotators, labels = (x[order] for x in (keys, items, annotators, labels))
        twice = np.flatnonzero(keys[1:] == keys[:-1])
        if len(twice):
            raise DataError(
                f"an annotator may label an item once, got item {items[twice[0]]} labelled again "
                f"by annotator {annotators[twice[0]]} ({len(twice)} such labels)"
            )
    offsets = np.searchsorted(items, np.arange(n_items + 1))
    empty = np.flatnonzero(offsets[1:] == offsets[:-1])
    if len(empty):
        raise DataError(
            f"each item must have a label, got none for item {empty[0]} ({len(empty)} such items)"
        )
    return Annotations(annotators, labels, offsets, n_annotators, n_classes)

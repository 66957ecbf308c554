"""Which rows are held out together, by a seeded hash: the same however the rows are split.

A hash of the id alone says the fold; or, stratified, the place of the hash among those of the class
does, which takes the ranks of the hashes but leaves nothing to chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.mixing import mixed
from lq_spark.errors import DataError

N_FOLDS: Final = 5

_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
"""Of SplitMix64, so that 0 is not mixed to 0."""


def seeded_codes(keys: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return a number of each key that looks random: of different keys different ones.

    >>> seeded_codes(np.array([1, 2]), seed=0) % 100
    array([30, 41])
    """
    start = mixed(np.array([int(seed) % (1 << 64)], dtype=np.uint64) + _STEP)
    codes = mixed((np.ascontiguousarray(keys).view(np.uint64) ^ start) + _STEP)
    return codes.view(np.int64)


def hash_folds(codes: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Return the fold that a code says."""
    return codes % n_folds


def stratified_starts(counts: Sequence[int] | NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Return the fold that the first row of each class is dealt to: that after the last one's.

    >>> stratified_starts([3, 4, 2], n_folds=5)
    array([0, 3, 2])
    """
    sizes = np.asarray(counts, dtype=np.int64)
    starts: NDArray[np.int64] = (np.cumsum(sizes) - sizes) % n_folds
    return starts


def reseeded(codes: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Return the codes for the folds of another round of models: of round 0 as they are.

    >>> codes = seeded_codes(np.arange(3), seed=0)
    >>> (reseeded(codes, 0) == codes).all(), (reseeded(codes, 1) == codes).any()
    (np.True_, np.False_)
    """
    return seeded_codes(codes, number) if number else codes


def dealt_folds(
    ranks: NDArray[np.int64], n_folds: int, starts: NDArray[np.int64] | int = 0
) -> NDArray[np.int64]:
    """Return the folds of rows that are dealt out in the order of their ranks, from 0."""
    return (ranks + starts) % n_folds


def require_trainable(
    counts: NDArray[np.int64],
    classes: Sequence[str] | None = None,
    *,
    stratified: bool,
    groups: str | None = None,
) -> None:
    """Raise DataError unless the rows outside of each fold are of all classes that occur.

    Parameters
    ----------
    counts : ndarray of int64, shape (F, K)
        The rows of each fold and class.
    classes : sequence of str, length K, optional
    stratified : bool
        Whether each class has been dealt out to the folds, so that its rows alone can be too few.
    groups : str, optional
        What the groups are called, where those are dealt out.
    """
    n_folds, of_classes = len(counts), counts.sum(axis=0)
    require_two_classes(of_classes)
    is_rare = (of_classes > 0) & (of_classes < n_folds)
    if stratified and (few := np.flatnonzero(is_rare)).size:
        more = f" ({len(few)} such classes)" if len(few) > 1 else ""
        raise DataError(
            f"class {_name(few[0], classes)} has {of_classes[few[0]]} rows, fewer than n_folds, "
            f"{n_folds}{more}; take fewer folds, or leave such rows out"
        )
    require_held_out(counts.sum(axis=1), groups=groups)
    missing = np.argwhere((of_classes - counts == 0) & (of_classes > 0))
    if len(missing):
        fold, label = missing[0]
        raise DataError(
            f"fold {fold} leaves no rows of class {_name(label, classes)} to train with, which "
            f"has {of_classes[label]} in all; take other folds, or leave such rows out"
        )


def require_held_out(
    of_folds: NDArray[np.int64], *, groups: str | None = None, option: str = "n_folds"
) -> None:
    """Raise DataError unless each fold holds rows out; how many it does, shape (F,).

    ``groups`` is what the groups are called, where those are dealt out; ``option`` the number of
    folds.
    """
    if n_empty := int((of_folds == 0).sum()):
        what = "the table has too few rows" if groups is None else f"{groups} has too few values"
        raise DataError(
            f"{what} for {option} = {len(of_folds)}: {n_empty} folds hold none out; "
            "take fewer folds"
        )


def require_two_classes(of_classes: NDArray[np.int64], rows: str = "the rows") -> None:
    """Raise DataError unless rows are of two classes at least; how many there are of each."""
    n_there = int((of_classes > 0).sum())
    if n_there < 2:
        there = "1 class" if n_there else "no class"
        raise DataError(f"{rows} are of {there}; a classifier needs at least 2 to tell apart")


def _name(label: np.integer, classes: Sequence[str] | None) -> str:
    return str(label) if classes is None else repr(classes[int(label)])

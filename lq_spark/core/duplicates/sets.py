"""Many texts as sets of shingles, each shingle a number, and how alike pairs of them are, exactly.

Source: Broder, "On the resemblance and containment of documents", SEQUENCES (1997).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.duplicates.shingles import ShingleRule, shingles
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.segments import offsets_of, ranges

_MOST_ENTRIES: Final = 1 << 20
"""Shingles that are looked up at once, and those of one text more."""


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """The shingles of texts.

    Attributes
    ----------
    numbers : ndarray of int64
        Text after text, each once a text; the same of equal shingles, and of no others.
    offsets : ndarray of int64, shape (n + 1,)
        Where those of each text are.
    n_shingles : int
        How many different ones there are.
    """

    numbers: NDArray[np.int64]
    offsets: NDArray[np.int64]
    n_shingles: int


def shingle_sets(texts: Iterable[str], rule: ShingleRule) -> ShingleSets:
    """Return the shingles of texts as numbers.

    >>> sets = shingle_sets(["a b", "a b c"], ShingleRule("word", 2))
    >>> sets.offsets, sets.n_shingles
    (array([0, 1, 3]), 2)
    """
    number_of: dict[str, int] = {}
    found, lengths = [], []
    for text in texts:
        own = shingles(text, rule)
        lengths.append(len(own))
        of_text = (number_of.setdefault(shingle, len(number_of)) for shingle in own)
        found.append(np.fromiter(of_text, dtype=np.int64, count=len(own)))
    numbers = np.concatenate([np.zeros(0, dtype=np.int64), *found])
    return ShingleSets(numbers, offsets_of(lengths), len(number_of))


def similarities(sets: ShingleSets, a: NDArray[np.int64], b: NDArray[np.int64]) -> Float64:
    """Return how alike the texts of pairs are, shape (p,): what is in both by what is in any.

    Parameters
    ----------
    sets : ShingleSets
    a, b : ndarray of int64, shape (p,)
        The texts of each pair, which have shingles; fast where those of one ``a`` come together.

    Examples
    --------
    >>> sets = shingle_sets(["abc", "bcd"], ShingleRule("character", 1))
    >>> similarities(sets, np.array([0]), np.array([1]))
    array([0.5])
    """
    sizes, starts = np.diff(sets.offsets), sets.offsets[:-1]
    both = np.zeros(len(a), dtype=np.int64)
    is_in = np.zeros(sets.n_shingles, dtype=bool)
    turns = np.flatnonzero(np.diff(a)) + 1
    for run in np.split(np.arange(len(a)), turns) if len(a) else ():
        own = sets.numbers[starts[a[run[0]]] :][: sizes[a[run[0]]]]
        is_in[own] = True
        parts = np.cumsum(sizes[b[run]]) // _MOST_ENTRIES
        for part in np.split(run, np.flatnonzero(np.diff(parts)) + 1):
            others = b[part]
            entries = sets.numbers[ranges(starts[others], sizes[others])]
            firsts = offsets_of(sizes[others])[:-1]
            both[part] = np.add.reduceat(is_in[entries], firsts, dtype=np.int64)
        is_in[own] = False
    return both / (sizes[a] + sizes[b] - both)

"""Near duplicates among texts: found by MinHash, and each compared exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.duplicates.components import connected
from lq_spark.core.duplicates.minhash import (
    band_codes,
    bands_for,
    pairs_of_equal,
    signatures,
)
from lq_spark.core.duplicates.sets import shingle_sets, similarities
from lq_spark.core.duplicates.shingles import (
    LENGTHS,
    ShingleRule,
    checked_texts,
    shingle_codes,
)
from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.errors import require_one_of, require_share, require_whole_number

SIMILARITY: Final = 0.8
"""From this similarity on two texts are near duplicates, by default."""


@dataclass(frozen=True, slots=True)
class NearDuplicateTexts:
    """Which texts are near duplicates of which others.

    Attributes
    ----------
    a, b : ndarray of int64, shape (p,)
        The rows of each pair, a below b, in order. Of equal texts the first is in pairs with other
        texts, and each later one with the first alone.
    similarity : ndarray of float64, shape (p,)
        The Jaccard similarity of their shingles, 1 the same.
    is_exact_duplicate : ndarray of bool, shape (n,)
        Whether there is an equal text.
    component : ndarray of int64, shape (n,)
        The lowest row that a chain of pairs leads to; of most rows themselves.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    similarity: Float64
    is_exact_duplicate: Mask
    component: NDArray[np.int64]

    @property
    def is_near_duplicate(self) -> Mask:
        """Return whether each row is in a pair, shape (n,)."""
        found = np.zeros(len(self.component), dtype=bool)
        found[self.a] = found[self.b] = True
        return found


def find_near_duplicate_texts(
    texts: Iterable[str],
    *,
    threshold: float = SIMILARITY,
    kind: str = "word",
    n: int | None = None,
    seed: int = 0,
) -> NearDuplicateTexts:
    """Return which texts are near duplicates.

    Parameters
    ----------
    texts : iterable of str, length n
        Compared as they are (:mod:`lq_spark.core.duplicates.shingles`).
    threshold : float
        Above 0, at most 1. Texts are near duplicates whose similarity is at least this.
    kind : {"word", "character"}
        What a shingle is a run of.
    n : int, optional
        How long it is; 2 words or 5 characters by default.
    seed : int
        Of the hash functions, at least 0.

    Returns
    -------
    NearDuplicateTexts
        Each pair is compared exactly, so that all that are found are similar; a pair that is just
        as similar as the threshold is found with a probability of 0.99, a more similar one with a
        higher one, equal texts always. Texts without words, or characters, are similar to none but
        equal ones.

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If a text is none.

    Notes
    -----
    What is found depends on the seed, not on the order of the texts. All pairs of a group of m
    texts that are much alike, but not equal, are compared, m(m - 1)/2 of them.

    Sources: those of :mod:`lq_spark.core.duplicates.minhash`.

    Examples
    --------
    >>> texts = ["a cat sat on the mat today", "a cat sat on the mat", "it rains"]
    >>> found = find_near_duplicate_texts(texts, threshold=0.75)
    >>> found.a, found.b, found.similarity.round(4), found.component
    (array([0]), array([1]), array([0.8333]), array([0, 0, 2]))
    """
    require_share("threshold", threshold)
    require_one_of("kind", kind, LENGTHS)
    require_whole_number("seed", seed, 0)
    rule = ShingleRule(kind, LENGTHS[kind] if n is None else n)
    rows = checked_texts(texts)
    first_of: dict[str, int] = {}
    first = np.array([first_of.setdefault(text, row) for row, text in enumerate(rows)], dtype=int)
    distinct = list(first_of)
    places = np.fromiter(first_of.values(), dtype=np.int64, count=len(distinct))
    a, b, similarity = _similar(distinct, rule, threshold, seed)
    copies = np.flatnonzero(first != np.arange(len(rows)))
    left = np.concatenate([places[a], first[copies]])
    right = np.concatenate([places[b], copies])
    values = np.concatenate([similarity, np.ones(len(copies))])
    order = np.lexsort((right, left))
    is_exact = np.bincount(first, minlength=len(rows))[first] > 1
    component = connected(len(rows), left, right)
    return NearDuplicateTexts(left[order], right[order], values[order], is_exact, component)


def _similar(
    texts: list[str], rule: ShingleRule, threshold: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Float64]:
    """Return the pairs of distinct texts that are similar enough, and how similar they are."""
    codes, offsets = shingle_codes(texts, rule)
    some = np.flatnonzero(np.diff(offsets))
    bands = band_codes(signatures(codes, offsets, seed=seed)[some], bands_for(threshold))
    a, b = (some[side] for side in pairs_of_equal(bands))
    compared, places = np.unique(np.concatenate([a, b]), return_inverse=True)
    sets = shingle_sets((texts[place] for place in compared.tolist()), rule)
    similarity = similarities(sets, places[: len(a)], places[len(a) :])
    kept = similarity >= threshold
    return a[kept], b[kept], similarity[kept]

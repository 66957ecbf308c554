"""Texts as sets of shingles, runs of n words or characters.

Texts are taken as they are: they differ where they differ in case, or in how Unicode composes a
letter. Whoever wants these alike normalizes the texts first, for instance by
``unicodedata.normalize("NFKC", text).casefold()``. Words are what is between spaces of any kind;
how many spaces there are counts for shingles of characters alone.

Source: Broder, "On the resemblance and containment of documents", SEQUENCES (1997).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.mixing import UInt64, mixed
from lq_spark.core.shared.segments import offsets_of
from lq_spark.errors import DataError, require_one_of, require_whole_number

KINDS: Final = ("word", "character")
LENGTHS: Final = {"word": 2, "character": 5}
"""Of a shingle, by default."""


@dataclass(frozen=True, slots=True)
class ShingleRule:
    """What a shingle is.

    Attributes
    ----------
    kind : {"word", "character"}
    n : int
        How many of them are one shingle. A shorter text is one shingle, an empty one has none.
    """

    kind: str = "word"
    n: int = LENGTHS["word"]

    def __post_init__(self) -> None:
        require_one_of("kind", self.kind, KINDS)
        require_whole_number("n", self.n, 1)

    def units(self, text: str) -> Sequence[str]:
        """Return the words or characters of a text."""
        return text.split() if self.kind == "word" else text


def shingles(text: str, rule: ShingleRule) -> frozenset[str]:
    """Return the shingles of a text.

    >>> sorted(shingles("to be or not to be", ShingleRule("word", 2)))
    ['be or', 'not to', 'or not', 'to be']
    >>> shingles("be", ShingleRule("character", 5))
    frozenset({'be'})
    """
    units = rule.units(text)
    between = " " if rule.kind == "word" else ""
    last = max(len(units) - rule.n, 0)
    return frozenset(between.join(units[i : i + rule.n]) for i in range(last + 1 if units else 0))


def shingle_codes(texts: Sequence[str], rule: ShingleRule) -> tuple[UInt64, NDArray[np.int64]]:
    """Return a number for each shingle of each text; equal ones have the same, in every process.

    Returns
    -------
    codes : ndarray of uint64
        Text after text; a shingle that comes twice is there twice.
    offsets : ndarray of int64, shape (n + 1,)
        Where those of each text are.

    Examples
    --------
    >>> codes, offsets = shingle_codes(["a b a b", "", "a b"], ShingleRule("word", 2))
    >>> offsets, codes[0] == codes[2] == codes[3]
    (array([0, 3, 3, 4]), np.True_)
    """
    units, starts = _unit_codes(texts, rule)
    counts = np.diff(starts)
    # What a shingle's units are multiplied by: so their order matters.
    factors = mixed(np.arange(1, rule.n + 1, dtype=np.uint64)) | np.uint64(1)
    padded = np.concatenate([units, np.zeros(rule.n - 1, dtype=np.uint64)])
    n_shingles = np.where(counts > 0, np.maximum(counts - rule.n + 1, 1), 0)
    offsets = offsets_of(n_shingles)
    first = np.arange(offsets[-1]) + np.repeat(starts[:-1] - offsets[:-1], n_shingles)
    short = np.repeat(np.minimum(counts, rule.n), n_shingles)
    codes = np.zeros(len(first), dtype=np.uint64)
    for place, factor in enumerate(factors):
        codes += np.where(place < short, padded[first + place] * factor, np.uint64(0))
    return mixed(codes), offsets


def checked_texts(texts: Iterable[object]) -> list[str]:
    """Return texts as a list; raise DataError if one is something else, with its row."""
    if isinstance(texts, str):
        raise DataError(f"texts must be a list of texts, got one: {texts!r:.80}")
    found = []
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"texts must be texts, got {text!r:.80} at row {row}")
        found.append(str(text))
    return found


def _unit_codes(texts: Sequence[str], rule: ShingleRule) -> tuple[UInt64, NDArray[np.int64]]:
    """Return a number for each word or character, text after text, and where each text's are."""
    if rule.kind == "character":
        points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        return mixed(points.astype(np.uint64) + np.uint64(1)), offsets_of(list(map(len, texts)))
    words = [text.split() for text in texts]
    code_of: dict[str, int] = {}
    for word in {word for of_text in words for word in of_text}:
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        code_of[word] = int.from_bytes(digest, "little")
    n_words = list(map(len, words))
    flat = (code_of[word] for of_text in words for word in of_text)
    return np.fromiter(flat, dtype=np.uint64, count=sum(n_words)), offsets_of(n_words)

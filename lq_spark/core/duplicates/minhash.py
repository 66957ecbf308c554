"""MinHash: which texts may be alike, from a few numbers a text, without comparing all pairs.

A signature holds the lowest hash of a text's shingles under each of many hash functions. Two texts
agree in a place with the probability that is their Jaccard similarity s. With bands of r places
each, they agree in all places of one of b bands with the probability ``1 - (1 - s^r)^b``.

Sources: Broder (1997); Dietzfelbinger, Hagerup, Katajainen, Penttonen, "A Reliable Randomized
Algorithm for the Closest-Pair Problem", Journal of Algorithms 25 (1997) (multiply-shift hashing);
Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3 (bands).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.mixing import UInt64, mixed
from lq_spark.core.shared.segments import ranges

UInt32 = NDArray[np.uint32]

N_HASHES: Final = 128
"""Numbers of a signature: 512 bytes a text."""

FOUND: Final = 0.99
"""How likely a pair is to be found that is just as similar as the threshold; others more so."""

_MOST_HASHED: Final = 1 << 18
"""Hashes computed at once: 2 MiB, and one long text is hashed part by part."""


class Bands(NamedTuple):
    """How signatures are compared.

    Attributes
    ----------
    n_bands : int
    n_places : int
        Of each band.
    """

    n_bands: int
    n_places: int

    def found(self, similarity: float) -> float:
        """Return how likely two texts of this similarity are to be compared."""
        return float(1.0 - (1.0 - similarity**self.n_places) ** self.n_bands)


def bands_for(threshold: float, n_hashes: int = N_HASHES) -> Bands:
    """Return the bands that lead to the fewest pairs and find those that are similar enough.

    >>> bands_for(0.8)
    Bands(n_bands=21, n_places=6)
    """
    choices = [Bands(n_hashes // places, places) for places in range(1, n_hashes + 1)]
    good = [bands for bands in choices if bands.found(threshold) >= FOUND]
    return good[-1] if good else choices[0]


def signatures(
    codes: UInt64, offsets: NDArray[np.int64], *, seed: int = 0, n_hashes: int = N_HASHES
) -> UInt32:
    """Return the signature of each text, shape (n, n_hashes).

    A text's signature does not depend on the others; one without shingles has the highest numbers.

    Parameters
    ----------
    codes, offsets
        As of :func:`lq_spark.core.duplicates.shingles.shingle_codes`.
    seed : int
        Of the hash functions ``(a · code + b) mod 2^64``, of which the upper half is kept.
    n_hashes : int
    """
    rng = np.random.default_rng(seed)
    factors, shifts = rng.integers(0, 2**64, (2, n_hashes), dtype=np.uint64)
    factors |= np.uint64(1)
    lowest = np.full((len(offsets) - 1, n_hashes), np.iinfo(np.uint32).max, dtype=np.uint32)
    step = max(1, _MOST_HASHED // n_hashes)
    for start in range(0, len(codes), step):
        part = codes[start : start + step]
        # The texts that have shingles here: those that start here, and one that started before.
        first = int(np.searchsorted(offsets, start, side="right")) - 1
        last = int(np.searchsorted(offsets, start + len(part), side="left"))
        begins = np.maximum(offsets[first:last] - start, 0)
        texts = np.arange(first, last)[np.diff(begins, append=len(part)) > 0]
        begins = np.maximum(offsets[texts] - start, 0)
        hashes = ((part[:, np.newaxis] * factors + shifts) >> np.uint64(32)).astype(np.uint32)
        lowest[texts] = np.minimum(lowest[texts], np.minimum.reduceat(hashes, begins, axis=0))
    return lowest


def band_codes(signature: UInt32, bands: Bands) -> NDArray[np.int64]:
    """Return a number for each band of each signature, shape (n, n_bands).

    Signatures that agree in a band have the same; others hardly ever, nor have those of two bands.
    """
    found = np.empty((len(signature), bands.n_bands), dtype=np.uint64)
    for band in range(bands.n_bands):
        code = np.full(len(signature), band, dtype=np.uint64)
        for place in range(band * bands.n_places, (band + 1) * bands.n_places):
            code = mixed(code + np.uint64(0x9E3779B97F4A7C15)) ^ signature[:, place]
        found[:, band] = mixed(code)
    return found.view(np.int64)


def pairs_of_equal(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs (a, b), a below b, of texts with an equal number in one of the columns.

    Parameters
    ----------
    codes : ndarray of int64, shape (n, n_bands)

    Returns
    -------
    tuple of two ndarray of int64
        In order, each once.

    Examples
    --------
    >>> pairs_of_equal(np.array([[1, 5], [1, 6], [2, 5], [1, 6]]))
    (array([0, 0, 0, 1]), array([1, 2, 3, 3]))
    """
    n_texts = len(codes)
    found = np.zeros(0, dtype=np.int64)
    for column in codes.T:
        order = np.argsort(column, kind="stable")
        ends = np.searchsorted(column[order], column[order], side="right")
        place = np.arange(n_texts)
        n_after = ends - place - 1
        a, b = np.repeat(order, n_after), order[ranges(place + 1, n_after)]
        found = np.union1d(found, a * n_texts + b)
    return found // n_texts, found % n_texts

"""Orders of rows at random: numpy's, as cleanlab draws them, and such as need no memory.

A hashed order is known for one row without the others: a Feistel network shuffles the numbers below
the next power of two, and a row that lands beyond the last one is shuffled again until it is back.
Tasks of a distributed run so agree on an order of any number of rows by a few keys.

Source: Luby, Rackoff, "How to construct pseudorandom permutations from pseudorandom functions",
SIAM J. Comput. 17 (1988); cycle walking: Black, Rogaway, "Ciphers with arbitrary finite domains",
CT-RSA (2002).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

EXACT_UP_TO: Final = 10_000_000
"""Rows up to which orders are numpy's: an array of 80 MB that each task can hold."""

_N_ROUNDS = 8
"""Four are enough for large halves; halves of few bits need some more to look random."""


class Permutation(Protocol):
    """An order of the rows of a data set."""

    def of(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the new positions of rows, in the same shape."""


@dataclass(frozen=True, slots=True)
class ArrayPermutation:
    """An order that is written down: the new position of each row, shape (n,)."""

    positions: NDArray[np.int64]

    def of(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the new positions of rows, in the same shape."""
        positions: NDArray[np.int64] = self.positions[rows]
        return positions


@dataclass(frozen=True, slots=True)
class HashPermutation:
    """An order that is computed row by row.

    Attributes
    ----------
    n_rows : int
    keys : tuple of int
        One of 64 bits for each round, an even number of them.
    """

    n_rows: int
    keys: tuple[int, ...]

    @classmethod
    def seeded(cls, n_rows: int, seed: int, index: int) -> HashPermutation:
        """Return one of the orders of a seed: the same in each process, and on each machine.

        >>> HashPermutation.seeded(5, seed=0, index=3).of(np.arange(5))
        array([4, 0, 1, 2, 3])
        """
        words = np.random.SeedSequence([seed, index]).generate_state(_N_ROUNDS, np.uint64)
        return cls(n_rows, tuple(words.tolist()))

    def of(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the new positions of rows, in the same shape."""
        moved = self._shuffled(rows.astype(np.uint64).ravel())
        outside = np.flatnonzero(moved >= self.n_rows)
        while len(outside):
            moved[outside] = self._shuffled(moved[outside])
            outside = outside[moved[outside] >= self.n_rows]
        return moved.astype(np.int64).reshape(rows.shape)

    def _shuffled(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return numbers below the next power of two as others of them, one to one."""
        n_bits = max(2, (self.n_rows - 1).bit_length())
        high_bits, low_bits = np.uint64(n_bits // 2), np.uint64(n_bits - n_bits // 2)
        high, low = numbers >> low_bits, numbers & _mask(low_bits)
        for key in self.keys:
            high, low = low, high ^ (_hashed(low, key) & _mask(high_bits))
            high_bits, low_bits = low_bits, high_bits
        return (high << low_bits) | low


def permutations(
    n_rows: int, n_permutations: int, seed: int, exact_up_to: int = EXACT_UP_TO
) -> Iterator[Permutation]:
    """Yield orders of n rows: up to ``exact_up_to`` rows those that cleanlab has of the seed."""
    if n_rows <= exact_up_to:
        random = np.random.RandomState(seed)
        for _ in range(n_permutations):
            yield ArrayPermutation(random.permutation(n_rows))
    else:
        for index in range(n_permutations):
            yield HashPermutation.seeded(n_rows, seed, index)


def _mask(n_bits: np.uint64) -> np.uint64:
    return (np.uint64(1) << n_bits) - np.uint64(1)


def _hashed(numbers: NDArray[np.uint64], key: int) -> NDArray[np.uint64]:
    """Return numbers with their bits mixed: the finalizer of splitmix64."""
    mixed = numbers + np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))

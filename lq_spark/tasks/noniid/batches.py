"""The functions of rows whose neighbours are positions: Arrow in, Arrow out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lq_spark.core.noniid.permutations import Permutation, permutations
from lq_spark.core.noniid.rows import non_iid_scores
from lq_spark.core.noniid.search import StatisticSearch, partial_counts
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.numbers import array_of, bytes_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.neighbors.searches import GroupFunction
from lq_spark.tasks.shared.names import NON_IID_SCORE

PLACE, PLACES, COUNTS = "__lq_place", "__lq_places", "__lq_counts"


@dataclass(frozen=True)
class Orders:
    """In which orders a table is looked at: its own first, then random ones.

    Attributes
    ----------
    n_permutations, seed, exact_up_to : int
        As for :func:`lq_spark.core.noniid.permutations.permutations`.
    """

    n_permutations: int
    seed: int
    exact_up_to: int

    def counts(
        self,
        rows: NDArray[np.int64],
        neighbors: NDArray[np.int64],
        n_rows: int,
        searches: Sequence[StatisticSearch | None],
    ) -> NDArray[np.int64]:
        """Return the counts of each search, one an order, one after the other; of None nothing."""
        own: list[Permutation | None] = [None]
        drawn = permutations(n_rows, self.n_permutations, self.seed, self.exact_up_to)
        # Searches first: of the orders that come after the last one none is drawn.
        return np.concatenate(
            [
                partial_counts(rows, neighbors, search, order)
                for search, order in zip(searches, itertools.chain(own, drawn), strict=False)
                if search is not None
            ]
        )


def scores_batch(n_rows: int) -> BatchFunction:
    """Return (position, positions of the neighbours) -> score."""

    def run(places: pa.Array, neighbors: pa.Array) -> dict[str, pa.Array]:
        rows, nearest = _positions(places, neighbors)
        return {NON_IID_SCORE: array_of(non_iid_scores(rows, nearest, n_rows))}

    return run


def counts_group(
    orders: Orders, n_rows: int, searches: Sequence[StatisticSearch | None]
) -> GroupFunction:
    """Return (positions, positions of the neighbours of some rows) -> their counts, as bytes."""

    def run(group: pa.Table) -> pa.Table:
        columns = (group[name].combine_chunks() for name in (PLACE, PLACES))
        counts = orders.counts(*_positions(*columns), n_rows, searches)
        return pa.table([bytes_of([counts.tobytes()])], names=[COUNTS])

    return run


def added_counts(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Return the sum of the counts of several groups."""
    total: NDArray[np.int64] = np.frombuffer(batch.column(0)[0].as_py(), np.int64).copy()
    for one in batch.column(0)[1:]:
        total += np.frombuffer(one.as_py(), np.int64)
    return total


class First(NamedTuple):
    """The lowest score, and the first position that has it."""

    score: float
    place: int


def first_of(batch: pa.RecordBatch) -> First:
    """Return the row of lowest score of (score, position)."""
    scores, places = map(values_of, batch.columns)
    lowest = scores.min()
    return First(float(lowest), int(places[scores == lowest].min()))


def _positions(
    places: pa.Array, neighbors: pa.Array
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    values = values_of(flat_lists(neighbors).values)
    return values_of(places), values.reshape(len(places), -1)

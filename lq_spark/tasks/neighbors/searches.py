"""The functions of groups of rows that are searched: Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from lq_spark.core.neighbors.copies import spread_over_copies
from lq_spark.core.neighbors.search import Int64, Neighbors, lowest_of_each, nearest
from lq_spark.core.neighbors.vectors import prepared
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.arrow import FlatLists, byte_rows, flat_lists
from lq_spark.engine.key_order import plain_keys
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.tasks.neighbors.batches import DISTANCES, ID, IDS, NEIGHBORS, VECTOR
from lq_spark.tasks.shared.batches import list_array

LOW, HIGH, BLOCK, BUCKET = "__lq_low", "__lq_high", "__lq_block", "__lq_bucket"
PROBES = "__lq_probes"

GroupFunction = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class Search:
    """What is searched for.

    Attributes
    ----------
    k : int
    metric : str
    n_features : int
    dtype : dtype
        float32 or float64: of a feature.
    """

    k: int
    metric: str
    n_features: int
    dtype: DTypeLike

    def matrix(self, vectors: pa.Array | pa.ChunkedArray) -> NDArray[np.floating]:
        """Return features, shape (n, d), from their bytes."""
        return byte_rows(vectors, self.dtype, self.n_features)

    def vectors(self, vectors: pa.Array | pa.ChunkedArray) -> Float64:
        """Return features as they are compared, shape (n, d), from their bytes."""
        return self.prepared(self.matrix(vectors))

    def prepared(self, features: NDArray[np.floating]) -> Float64:
        """Return features, shape (n, d), as they are compared."""
        return prepared(features, self.metric)


def search_group(search: Search) -> GroupFunction:
    """Return (two blocks of sets of equal rows) -> the nearest rows of the other one's sets.

    The columns of a group: IDS, the rows of a set in order; VECTOR; BLOCK, and LOW and HIGH, the
    two blocks, which may be one. It gives ID, the first row of a set, NEIGHBORS and DISTANCES.
    """
    k, metric = search.k, search.metric

    def run(group: pa.Table) -> pa.Table:
        sets = flat_lists(group[IDS])
        ranks = ranks_of(sets.values)
        vectors = search.vectors(group[VECTOR])
        first = ranks[sets.offsets[:-1]]
        of_block = values_of(group[BLOCK])
        low, high = (np.flatnonzero(of_block == group[end][0].as_py()) for end in (LOW, HIGH))
        is_one = bool(group[LOW][0] == group[HIGH][0])
        found = []
        for queries, references in ((low, high),) if is_one else ((low, high), (high, low)):
            near = nearest(
                vectors[queries], vectors[references], first[references], k, metric, same=is_one
            )
            near = Neighbors(queries[near.query], references[near.reference], near.distance)
            found.append(spread_over_copies(near, sets.offsets, ranks, k))
        keys, by_rank = sets.values.take(array_of(sets.offsets[:-1])), _by_rank(sets.values, ranks)
        return pa.concat_tables(_lists(near, keys, by_rank) for near in found)

    return run


def references_group(search: Search, *, apart: bool = False) -> GroupFunction:
    """Return (queries, and sets of equal rows as references) -> the nearest rows of each query.

    The columns of a group: ID, the query's, null of a reference; IDS, the rows of a set in order,
    null of a query; VECTOR; and PROBES, the lists that a query looks at, or the list that a
    reference is in, null where all look at all. It gives ID, NEIGHBORS and DISTANCES of the queries
    that have any.

    Parameters
    ----------
    search : Search
    apart : bool
        Whether a query is not its own neighbour: the queries are the first rows of sets.
    """
    k, metric = search.k + apart, search.metric

    def run(group: pa.Table) -> pa.Table:
        is_query = pc.is_null(group[IDS])
        queries, references = group.filter(is_query), group.filter(pc.invert(is_query))
        keys, sets = queries[ID].combine_chunks(), flat_lists(references[IDS])
        ranks = ranks_of(sets.values)
        firsts = array_of(sets.offsets[:-1])
        first = ranks[sets.offsets[:-1]]
        asking, answering = search.vectors(queries[VECTOR]), search.vectors(references[VECTOR])
        found = [Neighbors(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
        for some, others in _in_lists(queries[PROBES], references[PROBES]):
            near = nearest(asking[some], answering[others], first[others], k, metric, same=False)
            found.append(Neighbors(some[near.query], others[near.reference], near.distance))
        near = Neighbors(*map(np.concatenate, zip(*found, strict=True)))
        if apart:
            own, other = keys.take(array_of(near.query)), sets.values.take(firsts)
            is_other = values_of(pc.not_equal(own, other.take(array_of(near.reference))))
            near = Neighbors(*(part[is_other] for part in near))
        near = spread_over_copies(near, sets.offsets, ranks, search.k)
        return _lists(near, keys, _by_rank(sets.values, ranks))

    return run


def _in_lists(
    queries: pa.ChunkedArray, references: pa.ChunkedArray
) -> Iterator[tuple[Int64, Int64]]:
    """Yield the queries that look at a list, and the references in it, for each list."""
    if queries.null_count:
        yield np.arange(len(queries)), np.arange(len(references))
        return
    probes, listed = flat_lists(queries), flat_lists(references)
    looking, wanted = _by_list(probes)
    for_list, there = _by_list(listed)
    for number, others in there.items():
        if number in wanted:
            yield looking[wanted[number]], for_list[others]


def _by_list(lists: FlatLists) -> tuple[Int64, dict[int, slice]]:
    """Return rows in the order of the lists that they have, and where those of each list are."""
    numbers = values_of(lists.values)
    order = np.argsort(numbers, kind="stable")
    there, starts = np.unique(numbers[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    places = zip(there.tolist(), starts.tolist(), ends.tolist(), strict=True)
    return lists.rows[order], {number: slice(start, end) for number, start, end in places}


def merge_group(k: int) -> GroupFunction:
    """Return (ID, NEIGHBORS, DISTANCES of some blocks) -> those of all blocks together."""

    def run(group: pa.Table) -> pa.Table:
        keys = group[ID].combine_chunks().dictionary_encode()
        neighbors, distances = flat_lists(group[NEIGHBORS]), flat_lists(group[DISTANCES])
        query = values_of(keys.indices).astype(np.int64)[neighbors.rows]
        away, ranks = values_of(distances.values), ranks_of(neighbors.values)
        kept = lowest_of_each(query, away, ranks, k)
        counts = np.bincount(query[kept], minlength=len(keys.dictionary))
        return _table(keys.dictionary, neighbors.values.take(array_of(kept)), away[kept], counts)

    return run


def ranks_of(keys: pa.Array) -> Int64:
    """Return the place of each key in their order; the same for equal ones."""
    values = plain_keys(keys)
    if pa.types.is_integer(values.type):
        return np.unique(values_of(values), return_inverse=True)[1]
    encoded = values.dictionary_encode()
    order = values_of(pc.sort_indices(encoded.dictionary)).astype(np.int64)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    ranks: Int64 = place[values_of(encoded.indices)]
    return ranks


def _by_rank(keys: pa.Array, ranks: Int64) -> pa.Array:
    """Return the different keys, in their order."""
    return keys.take(array_of(np.unique(ranks, return_index=True)[1]))


def _lists(near: Neighbors, keys: pa.Array, by_rank: pa.Array) -> pa.Table:
    """Return the neighbours of each query that has any; ``keys`` are the queries'."""
    queries, counts = np.unique(near.query, return_counts=True)
    neighbors = by_rank.take(array_of(near.reference))
    return _table(keys.take(array_of(queries)), neighbors, near.distance, counts)


def _table(keys: pa.Array, neighbors: pa.Array, distances: Float64, counts: Int64) -> pa.Table:
    offsets = np.append(0, np.cumsum(counts))
    lists = [list_array(neighbors, offsets), list_array(array_of(distances), offsets)]
    return pa.table([keys, *lists], names=[ID, NEIGHBORS, DISTANCES])

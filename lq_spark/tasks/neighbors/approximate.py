"""The nearest neighbours of distinct rows, most of them: each compared with the rows near to it.

Rows are in lists (:mod:`lq_spark.core.neighbors.lists`), and a row is compared with those of a few
lists, exactly. How few is read off a sample of rows whose exact neighbours are known; a second
sample says how many neighbours are found. Lists that lie near to each other are compared in one
task, so that a row goes to few of them; a list that is too long for one is in several, and so are
the rows that look at it. What is found depends on the seed, not on partitions, blocks or engine.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, StructField, StructType

from lq_spark.core.neighbors.lists import (
    centroids_of,
    lists_in_groups,
    nearest_lists,
    probes_for,
    recall_of,
)
from lq_spark.core.neighbors.search import Int64, lowest_of_each, nearest
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.mixing import row_codes
from lq_spark.core.shared.segments import offsets_of, ranges
from lq_spark.engine.inputs import column
from lq_spark.engine.kept import kept
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction, column_input
from lq_spark.engine.verbs import map_groups, reduce_rows, select, with_mapped
from lq_spark.tasks.neighbors.batches import ID, IDS, VECTOR
from lq_spark.tasks.neighbors.exact import merged_lists, rows_of_block
from lq_spark.tasks.neighbors.searches import (
    BLOCK,
    PROBES,
    Search,
    ranks_of,
    references_group,
)
from lq_spark.tasks.shared.batches import list_array

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SAMPLED: Final = 1000
"""Rows that say how many lists to look at; and as many others that say what is found."""

_ROWS_OF_A_LIST: Final = 50
"""As many rows, on average, does a centroid come from."""

_MOST_LISTS: Final = 1 << 14

_QUERIES_OF_A_TASK: Final = 4
"""How many times as many rows may look at a block as are in it."""

_TRAINING_BYTES: Final = 256 << 20
"""How much the rows that centroids come from may take, on the driver."""

_OF_TRAINING, _OF_CHOICE, _OF_MEASURE = range(3)

LIST = "__lq_list"
_ASKED_IN, _ANSWERS_IN = "__lq_asked_in", "__lq_answers_in"
_QUERY, _AWAY = "__lq_query", "__lq_away"


@dataclass(frozen=True)
class _Sample:
    """Rows, in an order of their own: their ids, and their vectors, shape (n, d)."""

    ids: pa.Array
    vectors: Float64


def approximate_neighbors(
    sets: DataFrame,
    n_sets: int,
    search: Search,
    recall: float,
    seed: int,
    schema: StructType,
    stack: ExitStack,
) -> tuple[DataFrame, float]:
    """Return the first row of each set with the k nearest rows of other sets; and the recall.

    Parameters
    ----------
    sets : DataFrame
        ID, IDS and VECTOR.
    n_sets : int
    search : Search
    recall : float
        The share of the true neighbours that is to be found, above 0 and below 1.
    seed : int
    schema : StructType
        Of the result: ID, NEIGHBORS and DISTANCES.
    stack : ExitStack
        Until it ends, the rows that the result is made of are kept.

    Returns
    -------
    DataFrame
    float
        The mean share of the true neighbours of a sample of rows that is found.
    """
    n_lists = max(1, min(int(n_sets**0.5), _MOST_LISTS, _most_trained(search) // _ROWS_OF_A_LIST))
    training = _sample(sets, n_sets, n_lists * _ROWS_OF_A_LIST, search, seed, _OF_TRAINING)
    centroids = centroids_of(training.vectors, min(n_lists, len(training.ids)), search.metric, seed)
    listed = stack.enter_context(kept(_listed(sets, search, centroids)))
    sizes = _sizes(listed, len(centroids))
    choice, measure = (
        _sample(sets, n_sets, _SAMPLED, search, seed, purpose)
        for purpose in (_OF_CHOICE, _OF_MEASURE)
    )
    ranks, queries = _ranks_of_true(listed, choice, search, centroids)
    n_probes = probes_for(recall, ranks, queries, len(centroids))
    found, _ = recall_of(n_probes, *_ranks_of_true(listed, measure, search, centroids))
    layout = _layout(centroids, sizes, n_probes, choice.vectors, n_sets, search)
    function, inputs = layout.places_batch(search), [column_input(VECTOR), column_input(LIST)]
    placed = stack.enter_context(kept(with_mapped(listed, function, inputs, _PLACES)))
    asking = placed.select(
        F.explode(_ASKED_IN).alias(BLOCK),
        column(ID),
        F.lit(None).cast(sets.schema[IDS].dataType).alias(IDS),
        VECTOR,
        PROBES,
    )
    answering = placed.select(
        F.explode(_ANSWERS_IN).alias(BLOCK),
        F.lit(None).cast(sets.schema[ID].dataType).alias(ID),
        IDS,
        VECTOR,
        F.array(LIST).alias(PROBES),
    )
    pairs = asking.unionAll(answering)
    function, n_tasks = references_group(search, apart=True), layout.n_tasks
    parts = map_groups(pairs, [BLOCK], function, schema, n_tasks=n_tasks)
    n_buckets = -(-n_sets // rows_of_block(search.n_features))
    return merged_lists(parts, n_buckets, search, schema), found


_PLACES = StructType(
    [StructField(name, ArrayType(IntegerType())) for name in (PROBES, _ASKED_IN, _ANSWERS_IN)]
)


def _sample(
    sets: DataFrame, n_sets: int, n: int, search: Search, seed: int, purpose: int
) -> _Sample:
    """Return some n rows, which ones a hash of their features says."""
    [start] = np.random.SeedSequence([seed, purpose]).generate_state(1, np.uint64).tolist()
    share = min(1.0, n / n_sets)
    limit = np.uint64(min(int(share * 2.0**64), 2**64 - 1))

    def partial(batch: pa.RecordBatch) -> pa.Table:
        codes = row_codes(search.matrix(batch[VECTOR]), start)
        some = pa.Table.from_batches([batch]).append_column(_QUERY, array_of(codes))
        return some.filter(array_of(codes <= limit))

    rows = cast("pa.Table", reduce_rows(select(sets, ID, VECTOR), partial, _both)).sort_by(_QUERY)
    return _Sample(rows[ID].combine_chunks(), search.vectors(rows[VECTOR]))


def _both(a: pa.Table, b: pa.Table) -> pa.Table:
    return pa.concat_tables([a, b])


def _listed(sets: DataFrame, search: Search, centroids: Float64) -> DataFrame:
    """Return sets with the list of each, LIST."""

    def run(vectors: pa.Array) -> dict[str, pa.Array]:
        lists = nearest_lists(search.vectors(vectors), centroids, 1, search.metric)
        return {LIST: array_of(lists[:, 0])}

    schema = StructType([StructField(LIST, IntegerType())])
    return with_mapped(sets, run, [column_input(VECTOR)], schema)


def _sizes(listed: DataFrame, n_lists: int) -> Int64:
    """Return how many rows are in each list, shape (n_lists,)."""

    def partial(batch: pa.RecordBatch) -> Int64:
        return np.bincount(values_of(batch.column(0)), minlength=n_lists)

    return cast("Int64", reduce_rows(select(listed, LIST), partial, np.add))


def _ranks_of_true(
    listed: DataFrame, sample: _Sample, search: Search, centroids: Float64
) -> tuple[NDArray[np.integer], Int64]:
    """Return how many lists come before that of each true neighbour of a sample, and whose it is.

    The neighbours are those among all rows, of which there is one a set.
    """
    ids, vectors, k, metric = sample.ids, sample.vectors, search.k, search.metric

    def partial(batch: pa.RecordBatch) -> pa.Table:
        keys, others = batch[ID], search.vectors(batch[VECTOR])
        near = nearest(vectors, others, ranks_of(keys), k + 1, metric, same=False)
        queries, places = array_of(near.query), array_of(near.reference)
        columns = [queries, keys.take(places), array_of(near.distance), batch[LIST].take(places)]
        found = pa.table(columns, names=[_QUERY, ID, _AWAY, LIST])
        return found.filter(pc.not_equal(ids.take(queries), found[ID].combine_chunks()))

    def merge(a: pa.Table, b: pa.Table) -> pa.Table:
        both = pa.concat_tables([a, b])
        ranks = ranks_of(both[ID].combine_chunks())
        kept = lowest_of_each(values_of(both[_QUERY]), values_of(both[_AWAY]), ranks, k)
        return both.take(array_of(kept))

    found = cast("pa.Table", reduce_rows(select(listed, ID, VECTOR, LIST), partial, merge))
    found = merge(found, found.slice(0, 0))  # of one batch alone there are k + 1
    order = nearest_lists(vectors, centroids, len(centroids), metric)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(len(centroids), dtype=np.int32)[np.newaxis], axis=1)
    queries: Int64 = values_of(found[_QUERY])
    return place[queries, values_of(found[LIST])], queries


@dataclass(frozen=True)
class _Layout:
    """Which lists a row looks at, and in which tasks rows are compared.

    Attributes
    ----------
    centroids : ndarray of float64, shape (n_lists, d)
    sizes : ndarray of int64, shape (n_lists,)
        Rows of each list.
    n_probes : int
    groups : ndarray of int32, shape (n_lists,)
        The group of each list.
    n_asking, n_answering : ndarray of int64, shape (n_groups,)
        In how many parts the rows are that look at a group, and those that are in it: each of these
        is compared with each of those, in a task of its own.
    """

    centroids: Float64
    sizes: Int64
    n_probes: int
    groups: NDArray[np.int32]
    n_asking: Int64
    n_answering: Int64

    @property
    def n_tasks(self) -> int:
        """Return how many tasks there are."""
        return int((self.n_asking * self.n_answering).sum())

    def places_batch(self, search: Search) -> BatchFunction:
        """Return (vectors, the list of each) -> the lists it looks at, the tasks it is in."""
        first = offsets_of(self.n_asking * self.n_answering)[:-1]

        def run(features: pa.Array, of_list: pa.Array) -> dict[str, pa.Array]:
            codes = row_codes(search.matrix(features), 0)
            vectors = search.vectors(features)
            rows, lists = _probes(vectors, self.centroids, self.sizes, self.n_probes, search)
            row, group = _pairs(rows, self.groups[lists], len(first))
            part = (codes[row] % self.n_asking[group].astype(np.uint64)).astype(np.int64)
            n_parts = self.n_answering[group]
            asked = ranges(first[group] + part * n_parts, n_parts)
            own = self.groups[values_of(of_list)]
            n_times, step = self.n_asking[own], self.n_answering[own]
            place = (codes % step.astype(np.uint64)).astype(np.int64)
            answers = np.repeat(first[own] + place, n_times) + np.repeat(step, n_times) * ranges(
                np.zeros_like(n_times), n_times
            )
            n_rows = len(features)
            return {
                PROBES: _lists(lists, np.bincount(rows, minlength=n_rows)),
                _ASKED_IN: _lists(asked, np.bincount(row, n_parts, n_rows).astype(np.int64)),
                _ANSWERS_IN: _lists(answers, n_times),
            }

        return run


def _probes(
    vectors: Float64, centroids: Float64, sizes: Int64, n_probes: int, search: Search
) -> tuple[Int64, Int64]:
    """Return (rows, lists), ordered by row: each looks at lists that hold enough rows for k."""
    n_rows = len(vectors)
    near = nearest_lists(vectors, centroids, n_probes, search.metric)
    counts = np.full(n_rows, n_probes)
    lists = near.ravel().astype(np.int64)
    short = np.flatnonzero(sizes[near].sum(axis=1) <= search.k)
    if not len(short) or n_probes == len(centroids):
        return np.repeat(np.arange(n_rows), counts), lists
    order = nearest_lists(vectors[short], centroids, len(centroids), search.metric)
    is_short_of = np.cumsum(sizes[order], axis=1) <= search.k
    counts[short] = np.minimum(is_short_of.sum(axis=1) + 1, len(centroids))
    whole = np.zeros((n_rows, counts.max()), dtype=np.int64)
    whole[:, :n_probes] = near
    whole[short] = order[:, : counts.max()]
    is_wanted = np.arange(counts.max()) < counts[:, np.newaxis]
    return np.repeat(np.arange(n_rows), counts), whole[is_wanted]


def _layout(
    centroids: Float64,
    sizes: Int64,
    n_probes: int,
    sample: Float64,
    n_sets: int,
    search: Search,
) -> _Layout:
    """Return a layout whose tasks are as large as those of an exact search."""
    n_rows = rows_of_block(search.n_features)
    groups = lists_in_groups(centroids, sizes, n_rows)
    in_group = np.bincount(groups, sizes)
    rows, lists = _probes(sample, centroids, sizes, n_probes, search)
    _, group = _pairs(rows, groups[lists], len(in_group))
    asking = np.bincount(group, minlength=len(in_group)) * (n_sets / len(sample))
    n_asking, n_answering = (
        np.maximum(np.ceil(of / most), 1.0).astype(np.int64)
        for of, most in ((asking, _QUERIES_OF_A_TASK * n_rows), (in_group, n_rows))
    )
    return _Layout(centroids, sizes, n_probes, groups, n_asking, n_answering)


def _pairs(rows: Int64, groups: NDArray[np.integer], n_groups: int) -> tuple[Int64, Int64]:
    """Return each (row, group) once, ordered by row."""
    row, group = np.divmod(np.unique(rows * n_groups + groups), n_groups)
    return row, group


def _lists(values: Int64, counts: Int64) -> pa.Array:
    return list_array(array_of(values.astype(np.int32)), offsets_of(counts))


def _most_trained(search: Search) -> int:
    """Return from how many rows centroids may come: they are on the driver."""
    return max(_ROWS_OF_A_LIST, _TRAINING_BYTES // (8 * search.n_features))

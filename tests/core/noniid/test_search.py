"""The statistic from counts in ranges is, to the bit, that of all counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.noniid import search as module
from lq_spark.core.noniid.permutations import HashPermutation
from lq_spark.core.noniid.search import StatisticSearch, narrowed, partial_counts
from lq_spark.core.noniid.statistic import finish_statistic, partial_index_distances


def random_neighbors(rng, n_rows, k, spread):
    """Return k other rows of each row, most of them up to ``spread`` away."""
    away = np.maximum(1, np.abs(rng.normal(size=(n_rows, k)) * spread).astype(np.int64))
    rows = np.arange(n_rows)[:, np.newaxis]
    return np.where(rows + away < n_rows, rows + away, (rows - 1 - away) % n_rows % (rows + 1))


def searched(neighbors, n_parts=3, permutation=None):
    """Return the statistic, in how many passes, and how many ranges the largest of them has."""
    n_rows, rows, n_ranges = len(neighbors), np.arange(len(neighbors)), []
    search = StatisticSearch.of_all(n_rows, neighbors.size)
    while not search.is_done:
        assert (search.starts[1:] >= search.ends[:-1]).all()
        counts = [
            partial_counts(part, neighbors[part], search, permutation)
            for part in np.array_split(rows, n_parts)
        ]
        n_ranges.append(len(search.starts))
        search = narrowed(search, sum(counts))
    return search.reached, n_ranges


@st.composite
def tables(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_rows = draw(st.integers(2, 400))
    neighbors = random_neighbors(rng, n_rows, draw(st.integers(1, 6)), 10 ** draw(st.floats(0, 3)))
    is_self = neighbors == np.arange(n_rows)[:, np.newaxis]
    return np.where(is_self, (neighbors + 1) % n_rows, neighbors)


@settings(deadline=None, suppress_health_check=["function_scoped_fixture"])
@given(neighbors=tables(), few=st.booleans(), least=st.sampled_from([1, 2, 7, 1 << 12]))
def test_it_is_the_statistic_of_all_counts(neighbors, few, least):
    n_rows = len(neighbors)
    for order in (None, HashPermutation.seeded(n_rows, 0, 1)):
        counts = partial_index_distances(np.arange(n_rows), neighbors, n_rows, order)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_LEAST_RANGES", least)
            patch.setattr(module, "_PER_ROOT", 0 if few else 1)
            patch.setattr(module, "_PARTS", 2 if few else 8)
            assert searched(neighbors, permutation=order)[0] == finish_statistic(counts)


def test_few_ranges_are_counted_of_many_rows():
    n_rows = 1_000_000
    rng = np.random.default_rng(0)
    near = np.stack([(np.arange(n_rows) + step) % n_rows for step in (1, 2, 7)], axis=1)
    order = rng.permutation(n_rows)
    shuffled = np.empty_like(near)
    shuffled[order] = order[near]
    for neighbors in (near, shuffled):
        counts = partial_index_distances(np.arange(n_rows), neighbors, n_rows)
        statistic, n_ranges = searched(neighbors)
        assert statistic == finish_statistic(counts)
        assert len(n_ranges) <= 3
        assert max(n_ranges) < 10_000

"""Approximate neighbours: the same whatever the partitions, and as many as is said."""

import logging

import numpy as np
import pytest

from lq_spark import neighbors
from lq_spark.core.neighbors import knn_graph
from lq_spark.errors import OptionError
from lq_spark.tasks.neighbors import approximate, exact, features

N, K = 600, 5


def vectors_like(seed=0, n_copies=60):
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(25, 8))
    rows = middles[rng.integers(0, 25, N)] + 0.6 * rng.normal(size=(N, 8))
    rows[rng.permutation(N)[:n_copies]] = rows[0]
    return rows


@pytest.fixture
def table(spark):
    rows = [(f"r{n:03}", row) for n, row in enumerate(vectors_like().tolist())]
    return spark.createDataFrame(rows, "id string, features array<double>")


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 50)
    monkeypatch.setattr(approximate, "_QUERIES_OF_A_TASK", 1)


def lists_of(edges):
    """Return {id: ([neighbour], [distance])} of a table of edges."""
    found = {}
    for row in sorted(edges.collect(), key=lambda row: (row["id"], row["rank"])):
        near, away = found.setdefault(row["id"], ([], []))
        near.append(row["neighbor"])
        away.append(row["distance"])
    return found


def recall_in(caplog):
    [record] = [r for r in caplog.records if r.name == features.__name__]
    n_rows, reached, wanted = record.args
    return n_rows, reached, wanted


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_recall_that_is_said_is_that_of_the_rows(table, small_blocks, caplog, metric):
    caplog.set_level(logging.INFO, features.__name__)
    found = lists_of(neighbors.graph(table, k=K, metric=metric, recall=0.8))
    whole = vectors_like()
    _, first = np.unique(whole, axis=0, return_index=True)
    n_rows, reached, wanted = recall_in(caplog)
    assert (n_rows, wanted) == (len(first), 0.8)
    assert 0.8 <= reached < 1.0

    # Samples of so few rows are all of them, of which there is one a set of copies.
    first = np.sort(first)
    true = knn_graph(whole[first], k=K, metric=metric)
    of_first = {f"r{row:03}" for row in first}
    shares = []
    for place, row in enumerate(first):
        near = {f"r{first[one]:03}" for one in true.neighbors[place]}
        shares.append(len(near & of_first.intersection(found[f"r{row:03}"][0])) / K)
    # A copy among the neighbours takes the place of others.
    assert np.mean(shares) == pytest.approx(reached, abs=0.03)


def test_without_copies_it_is_so_exactly(spark, small_blocks, caplog):
    caplog.set_level(logging.INFO, features.__name__)
    whole = vectors_like(seed=1, n_copies=0)
    rows = [(n, row) for n, row in enumerate(whole.tolist())]
    df = spark.createDataFrame(rows, "id int, features array<double>")
    found = lists_of(neighbors.graph(df, k=K, recall=0.7))
    true = knn_graph(whole, k=K)
    shares = [len(set(found[n][0]) & set(true.neighbors[n].tolist())) / K for n in range(N)]
    assert recall_in(caplog)[1] == pytest.approx(np.mean(shares), rel=1e-12)
    distance = {
        (n, int(other)): away
        for n in range(N)
        for other, away in zip(true.neighbors[n], true.distances[n], strict=True)
    }
    for n, (near, away) in found.items():
        assert len(near) == len(set(near) - {n}) == K
        assert away == sorted(away)
        for other, of_pair in zip(near, away, strict=True):
            assert distance.get((n, other), of_pair) == of_pair


@pytest.mark.parametrize("n_partitions", [2, pytest.param(7, marks=pytest.mark.spark), 64])
def test_partitions_and_blocks_do_not_matter(table, monkeypatch, n_partitions):
    expected = lists_of(neighbors.graph(table.coalesce(1), k=K, recall=0.6))
    assert len(expected) == N
    shuffled = table.orderBy("features").repartition(n_partitions)
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 20)
    monkeypatch.setattr(approximate, "_QUERIES_OF_A_TASK", 1)
    assert lists_of(neighbors.graph(shuffled, k=K, recall=0.6)) == expected
    assert lists_of(neighbors.graph(shuffled, k=K, recall=0.6, seed=1)) != expected


def test_a_recall_of_1_is_exact_and_a_lower_one_is_not(table, small_blocks):
    true = lists_of(neighbors.graph(table, k=K))
    assert lists_of(neighbors.graph(table, k=K, recall=1.0)) == true
    assert lists_of(neighbors.graph(table, k=K, recall=0.5)) != true


@pytest.mark.parametrize("k", [30, 200, N - 1])
def test_each_row_has_k_neighbors_however_short_its_lists_are(table, small_blocks, k):
    found = lists_of(neighbors.graph(table, k=k, recall=0.05))
    assert len(found) == N
    assert {len(near) for near, _ in found.values()} == {k}
    if k == N - 1:
        assert found == lists_of(neighbors.graph(table, k=k))


def test_large_tables_are_searched_approximately_by_default(table, monkeypatch, caplog):
    caplog.set_level(logging.INFO, features.__name__)
    true = lists_of(neighbors.graph(table, k=K))
    assert not caplog.records
    monkeypatch.setattr(features, "MOST_PRODUCTS", 100_000.0)
    assert lists_of(neighbors.graph(table, k=K)) != true
    assert recall_in(caplog)[2] == 0.95


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_few_rows(table, rows):
    some = table.orderBy("id").limit(rows)
    found = lists_of(neighbors.graph(some, recall=0.5))
    assert found == lists_of(neighbors.graph(some))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recall": 0}, "recall must be a number above 0 and at most 1, got 0"),
        ({"recall": 1.5}, "recall must be a number above 0 and at most 1, got 1.5"),
        ({"recall": "high"}, "recall must be a number above 0 and at most 1, got 'high'"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_wrong_options_are_refused(table, options, message):
    with pytest.raises(OptionError, match=message):
        neighbors.graph(table, **options)

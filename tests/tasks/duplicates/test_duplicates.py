"""Near duplicates of tables: those of core, whatever the partitions and the blocks."""

import numpy as np
import pytest

from lq_spark import duplicates
from lq_spark.core.duplicates import find_near_duplicates, rows_to_keep
from lq_spark.core.neighbors import knn_graph
from lq_spark.tasks.duplicates import passes
from lq_spark.tasks.neighbors import exact

N = 110


def features_like(seed=0):
    """Return rows of which some are copies, some nearly, and some in a chain of near ones."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(N, 5))
    features[40:55] = features[rng.integers(0, 10, 15)]
    features[60:66] = features[60] + 1e-4 * rng.normal(size=(6, 5))
    features[70:90] = features[70] + np.arange(20)[:, None] * 2e-3 * rng.normal(size=5)
    return features[rng.permutation(N)]


@pytest.fixture
def table(spark):
    features = features_like()
    quality = np.random.default_rng(1).integers(0, 4, N) / 4
    rows = [(f"r{n:03}", features[n].tolist(), float(quality[n])) for n in range(N)]
    return spark.createDataFrame(rows, "id string, features array<double>, quality double")


@pytest.mark.parametrize("n_partitions", [1, pytest.param(7, marks=pytest.mark.spark)])
def test_they_are_those_of_core(table, monkeypatch, n_partitions):
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 40)
    monkeypatch.setattr(passes, "_PAIRS_OF_A_BUCKET", 9)
    quality = np.random.default_rng(1).integers(0, 4, N) / 4
    options = {"k": 4, "metric": "euclidean", "threshold": 0.1}
    graph = knn_graph(features_like(), k=4, metric="euclidean")
    expected = find_near_duplicates(graph.neighbors, graph.distances, threshold=0.1)
    rows = table.repartition(n_partitions)
    issues = duplicates.find_issues(rows, **options, label_quality="quality")
    found = issues.orderBy("id").collect()
    assert [row["is_near_duplicate_issue"] for row in found] == expected.is_near_duplicate.tolist()
    copies = [row["is_exact_duplicate_issue"] for row in found]
    assert copies == expected.is_exact_duplicate.tolist()
    assert [row["near_duplicate_score"] for row in found] == expected.score.tolist()
    nearest = [row["distance_to_nearest_neighbor"] for row in found]
    assert nearest == expected.distance_to_nearest.tolist()
    sets = [[f"r{n:03}" for n in expected.set_of(row)] for row in range(N)]
    assert [row["near_duplicate_set"] for row in found] == sets
    groups = [f"r{n:03}" for n in expected.component]
    assert [row["duplicate_group"] for row in found] == groups
    kept = rows_to_keep(expected.component, quality)
    assert [row["keep"] for row in found] == kept.tolist()
    assert 20 < expected.is_near_duplicate.sum() < 60
    assert len(set(groups)) < len({min(s) for s in sets if s}) + N  # chains are put together


def test_the_first_of_a_group_is_kept_where_no_quality_says_otherwise(table):
    found = duplicates.find_issues(table, metric="euclidean")
    rows = found.collect()
    assert all(row["keep"] == (row["id"] == row["duplicate_group"]) for row in rows)
    health = duplicates.summarize(table, metric="euclidean")
    assert health.n_rows == N
    assert health.n_near == sum(row["is_near_duplicate_issue"] for row in rows) > 0
    assert health.n_exact == sum(row["is_exact_duplicate_issue"] for row in rows) > 0
    in_groups = [row["duplicate_group"] for row in rows if row["is_near_duplicate_issue"]]
    assert health.n_groups == len(set(in_groups))
    assert health.n_to_drop == len(in_groups) - len(set(in_groups))


def test_a_chain_of_any_length_is_one_group(spark):
    at = np.concatenate([np.arange(70) * 1e-3, 1e3 + np.arange(130) * 10.0])
    rows = [(int(n), [float(x)]) for n, x in enumerate(at)]
    table = spark.createDataFrame(rows, "id int, features array<double>")
    found = duplicates.find_issues(table, k=2, threshold=0.13)
    groups = dict(found.select("id", "duplicate_group").collect())
    assert [groups[n] for n in range(70)] == [0] * 70
    assert [groups[n] for n in range(70, 200)] == list(range(70, 200))


def test_tables_without_pairs_and_without_rows(spark):
    far = spark.createDataFrame(
        [(1, [0.0]), (2, [1.0]), (3, [5.0])], "id int, features array<double>"
    )
    for table, n_rows in ((far, 3), (far.where("id = 1"), 1), (far.where("id = 0"), 0)):
        rows = duplicates.find_issues(table, n_features=1).collect()
        assert len(rows) == n_rows
        assert all(row["keep"] and row["near_duplicate_set"] == [] for row in rows)
        assert not any(row["is_near_duplicate_issue"] for row in rows)
        assert duplicates.summarize(table, n_features=1).n_to_drop == 0

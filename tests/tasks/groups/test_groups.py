"""Groups of tables: the clusters and scores of core, whatever the partitions and the ids."""

import numpy as np
import pytest

from lq_spark import groups, neighbors
from lq_spark.core.groups import dbscan_labels, find_underperforming_group
from lq_spark.core.neighbors import knn_graph
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError
from lq_spark.tasks.neighbors import exact

N, K = 240, 3


def data(seed=0):
    """Return features in clumps and chains, labels, and probabilities that one clump is bad at."""
    rng = np.random.default_rng(seed)
    of_clump = rng.integers(0, 5, N)
    features = rng.normal(size=(5, 4))[of_clump] * 3.0 + 0.2 * rng.normal(size=(N, 4))
    features[:30] = 30.0 + 0.3 * np.arange(30)[:, None]
    features[40:48] = features[40]
    labels = rng.integers(0, K, N)
    probs = rng.dirichlet(np.ones(K), N) * 0.2
    bad = of_clump == 3
    bad[:30] = False
    probs[np.arange(N), np.where(bad, (labels + 1) % K, labels)] += 0.8
    order = rng.permutation(N)
    return features[order], labels[order], probs[order]


@pytest.fixture
def table(spark):
    features, labels, probs = data()
    ids = [f"r{n:03}" for n in range(N)]
    columns = (ids, features.tolist(), labels.tolist(), probs.tolist())
    schema = "id string, features array<double>, label int, pred_probs array<double>"
    return spark.createDataFrame(list(zip(*columns, strict=True)), schema)


def found_in(rows, *names):
    return [[row[name] for row in rows.orderBy("id").collect()] for name in names]


FOUND = ("cluster", "is_underperforming_group_issue", "underperforming_group_score")


@pytest.mark.parametrize(
    ("options", "n_partitions"),
    [({"eps": 0.9, "metric": "euclidean", "k": 6}, 1), ({"eps": 0.9, "metric": "euclidean"}, 7)],
)
def test_clusters_and_scores_are_those_of_core(table, monkeypatch, options, n_partitions):
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 70)
    features, labels, probs = data()
    graph = knn_graph(features, k=options.get("k"), metric="euclidean")
    clusters = dbscan_labels(graph.neighbors, graph.distances, eps=0.9)
    flags, scores, expected = find_underperforming_group(labels, probs, clusters, threshold=0.4)
    rows = table.repartition(n_partitions)
    issues = groups.find_issues(rows, **options, threshold=0.4)
    assert issues.columns == [*rows.columns, FOUND[1], FOUND[2], FOUND[0]]
    assert found_in(issues, *FOUND) == [clusters.tolist(), flags.tolist(), scores.tolist()]
    assert clusters.max() > 3
    assert 0 < flags.sum() < N
    health = groups.summarize(rows, **options, threshold=0.4)
    assert (health.n_rows, health.n_issues) == (N, flags.sum())
    assert health.clusters == tuple(expected.clusters.tolist())
    assert health.performance == tuple(expected.performance.tolist())
    assert (health.worst, health.score) == (expected.worst, expected.score)
    assert found_in(groups.score(rows, **options), FOUND[2]) == [scores.tolist()]
    edges = neighbors.graph(rows, k=options.get("k"), metric="euclidean")
    given = groups.find_issues(rows, graph=edges, eps=0.9, threshold=0.4)
    assert found_in(given, *FOUND) == found_in(issues, *FOUND)


@pytest.mark.parametrize("min_samples", [1, 2, 3, 4])
def test_chains_that_lead_one_way_are_followed_to_their_end(spark, min_samples):
    # Each near the next, the last ids first: what reaches a row comes from far.
    n = 60
    rng = np.random.default_rng(min_samples)
    at = np.cumsum(rng.choice([0.1, 0.4, 3.0], n, p=[0.5, 0.45, 0.05]))[rng.permutation(n)]
    features = np.column_stack([at, np.zeros(n)])
    graph = knn_graph(features, k=5)
    labels = dbscan_labels(
        graph.neighbors, graph.distances, eps=0.45, min_samples=min_samples
    ).tolist()
    rows = [(i, row, 0, [0.9, 0.1]) for i, row in enumerate(features.tolist())]
    df = spark.createDataFrame(
        rows, "id int, features array<double>, label int, pred_probs array<double>"
    )
    found = groups.find_issues(
        df.repartition(3), k=5, eps=0.45, min_samples=min_samples, min_cluster_samples=1
    )
    assert found_in(found, "cluster") == [labels]
    assert len(set(labels)) > 2


@pytest.mark.spark
@pytest.mark.parametrize("n_partitions", [1, 7])
def test_given_clusters_are_those_of_core(table, spark, n_partitions):
    _, labels, probs = data()
    clusters = np.random.default_rng(2).integers(-1, 6, N) * 10
    clusters[clusters < 0] = -1
    clusters[clusters == 30] = 20
    clusters[probs[np.arange(N), labels] < 0.3] = 30
    clusters[:4] = 777  # too few
    flags, scores, expected = find_underperforming_group(labels, probs, clusters, threshold=0.4)
    given = [(f"r{n:03}", int(cluster)) for n, cluster in enumerate(clusters)]
    rows = table.join(spark.createDataFrame(given, "id string, c smallint"), "id")
    options = {"clusters": "c", "threshold": 0.4}
    issues = groups.find_issues(rows.repartition(n_partitions), **options)
    assert issues.columns == [*rows.columns, FOUND[1], FOUND[2]]
    assert found_in(issues, *FOUND[1:]) == [flags.tolist(), scores.tolist()]
    assert 0 < flags.sum() < N
    health = groups.summarize(rows, **options)
    assert (health.worst, health.clusters) == (expected.worst, (0, 10, 20, 30, 40, 50))


def test_what_has_no_groups_is_refused(table):
    with pytest.raises(DataError, match="no cluster has 5 rows"):
        groups.find_issues(table.where("id < 'r005'"), eps=0.0)
    one = table.selectExpr("*", "1 c", "cast(null as int) none", "'a' text")
    assert groups.summarize(one, clusters="c").score == 1.0
    with pytest.raises(InvalidRowsError, match="240 of 240 rows cannot be scored; groups"):
        groups.find_issues(one, clusters="none")
    reasons = groups.validate(one, clusters="none").select("invalid_reason").distinct().collect()
    assert [tuple(row) for row in reasons] == [("null cluster",)]
    with pytest.raises(ColumnError, match="clusters: column 'text' is string; allowed are whole"):
        groups.find_issues(one, clusters="text")
    for name, value in (("eps", 0.3), ("k", 3), ("features", "features"), ("graph", one)):
        with pytest.raises(OptionError, match=f"{name} is given, which does not go with clusters"):
            groups.find_issues(one, clusters="c", **{name: value})

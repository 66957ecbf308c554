"""A graph that the user has: taken for one of features, and refused where it is not one."""

import numpy as np
import pytest

from lq_spark import duplicates, neighbors, outliers
from lq_spark.errors import ColumnError, DataError, OptionError

N, K = 40, 3

EDGES = "id string, neighbor string, rank int, distance double"
RING = [
    (f"r{n}", f"r{(n + step) % 6}", rank, rank / 8.0)
    for n in range(6)
    for rank, step in ((1, 1), (2, 5))
]


@pytest.fixture
def table(spark):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N, 5)) * (1.0 + 4.0 * (rng.random((N, 1)) < 0.1))
    features[7] = features[3]
    rows = [(f"r{n:02}", features[n].tolist()) for n in range(N)]
    return spark.createDataFrame(rows, "`row id` string, features array<double>")


@pytest.fixture
def ring(spark):
    return spark.createDataFrame([(f"r{n}", n) for n in range(6)], "id string, n int")


def sorted_rows(df):
    return sorted(map(tuple, df.drop("features").collect()))


def test_it_gives_what_features_give(table):
    edges = neighbors.graph(table, id="row id", k=K, metric="cosine").repartition(5)
    options = {"id": "row id", "features": "features", "k": K, "metric": "cosine"}
    given = {"id": "row id", "graph": edges, "metric": "cosine"}
    for find in (outliers.find_issues, outliers.score, duplicates.find_issues):
        expected = sorted_rows(find(table, **options))
        assert sorted_rows(find(table.repartition(3), **given)) == expected
    assert outliers.summarize(table, **given) == outliers.summarize(table, **options)
    assert duplicates.summarize(table, **given) == duplicates.summarize(table, **options)


def test_whole_numbers_of_another_type_are_the_same_ids(table, spark):
    rows = table.selectExpr("cast(substr(`row id`, 2) as int) id", "features")
    edges = neighbors.graph(rows, k=K).selectExpr(
        "cast(id as bigint) id", "cast(neighbor as bigint) neighbor", "rank", "distance"
    )
    expected = sorted_rows(duplicates.find_issues(rows, k=K))
    assert sorted_rows(duplicates.find_issues(rows, graph=edges)) == expected


def test_without_a_metric_no_distance_but_0_is_none(ring, spark):
    near = [(*edge[:3], edge[3] * 1e-9) for edge in RING]
    graph = spark.createDataFrame(near, EDGES)
    of_unknown = outliers.score(ring, graph=graph).first()["outlier_score"]
    assert of_unknown == pytest.approx(np.exp(-(1.5 / 8.0) * 1e-3), rel=1e-12)
    assert outliers.score(ring, graph=graph, metric="euclidean").first()["outlier_score"] == 1.0


def edges_with(place, *edge):
    return [*RING[:place], tuple(edge), *RING[place + 1 :]]


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (RING[:-1], "graph: id 'r5' has fewer than the 2 edges of others (1 such ids)"),
        (RING[:-2], "graph: id 'r5' has no edges (1 such ids)"),
        ([], "graph: id 'r0' has no edges (6 such ids)"),
        ([*RING, ("x", "r0", 1, 0.5)], "graph: id 'x' has edges, and is not in the table (1"),
        (edges_with(2, "r1", "x", 1, 0.125), "graph: id 'r1' has a neighbor that is not in the"),
        (edges_with(2, "r1", None, 1, 0.125), "graph: id 'r1' has a neighbor that is not in the"),
        (edges_with(2, "r1", "r1", 1, 0.125), "graph: id 'r1' has itself as a neighbor (1 such"),
        (edges_with(2, "r1", "r0", 1, 0.125), "graph: id 'r1' has a neighbor twice (1 such ids)"),
        ([*RING, RING[4]], "graph: id 'r2' has a neighbor twice (1 such ids)"),
        (edges_with(2, "r1", "r2", 1, None), "graph: id 'r1' has distances that are null, not fi"),
        (edges_with(2, "r1", "r2", 1, float("nan")), "graph: id 'r1' has distances that are null"),
        (edges_with(2, "r1", "r2", 1, -0.5), "graph: id 'r1' has distances that are null, not fi"),
        (edges_with(3, "r1", "r0", 2, float("inf")), "graph: id 'r1' has distances that are null"),
        (edges_with(2, "r1", "r2", 1, 0.375), "graph: id 'r1' has distances that do not ascend w"),
        (edges_with(2, "r1", "r2", 2, 0.125), "graph: id 'r1' has ranks other than 1, 2, 3 and s"),
        (edges_with(2, "r1", "r2", None, 0.125), "graph: id 'r1' has ranks other than 1, 2, 3 an"),
        (edges_with(3, "r1", "r0", 3, 0.25), "graph: id 'r1' has ranks other than 1, 2, 3 and so"),
        (edges_with(2, "r1", "r2", 0, 0.125), "graph: id 'r1' has ranks other than 1, 2, 3 and s"),
    ],
    ids=str,
)
@pytest.mark.spark
def test_what_is_not_a_graph_of_the_rows_is_refused(ring, spark, edges, message):
    graph = spark.createDataFrame(edges, EDGES)
    with pytest.raises(DataError) as raised:
        outliers.find_issues(ring, graph=graph)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ("drop", {}, ColumnError, "graph: no column 'rank' in the table"),
        ("text", {}, ColumnError, "graph: column 'distance' is string; allowed are whole numbers,"),
        ("ids", {}, ColumnError, "graph: column 'id' is int, and the ids of the table, 'id', are"),
        ("none", {"k": 2}, OptionError, "k is given, which does not go with graph"),
        ("none", {"features": "n"}, OptionError, "features is given, which does not go with graph"),
        ("none", {"metric": "far"}, OptionError, "metric must be one of 'cosine', 'euclidean'"),
    ],
)
def test_wrong_columns_and_options_are_refused(ring, spark, change, options, error, message):
    graph = spark.createDataFrame(RING, EDGES)
    changed = {
        "none": graph,
        "drop": graph.drop("rank"),
        "text": graph.selectExpr("id", "neighbor", "rank", "'x' distance"),
        "ids": graph.selectExpr("1 id", "neighbor", "rank", "distance"),
    }[change]
    for find in (outliers.find_issues, duplicates.find_issues):
        with pytest.raises(error, match=message):
            find(ring, graph=changed, **options)

"""Jobs whose rows are compared by a graph of neighbours that is there, in place of features."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark.core.neighbors import knn_graph
from lq_spark.errors import OptionError

N, K = 90, 6


def table_of(rng):
    """Return rows of features with labels; the ids are not the places of the rows."""
    features, labels = rng.normal(size=(N, 5)), rng.integers(0, 3, N)
    features[10:13] = features[10]
    probs = 0.8 * np.eye(3)[labels] + 0.2 / 3
    return pa.table(
        {
            "id": np.arange(N) * 3 + 1,
            "features": list(features),
            "label": labels,
            "pred_probs": list(probs),
            "time": rng.permutation(N),
        }
    )


def edges_of(table):
    """Return the edges of its graph, in the order of nothing."""
    graph = knn_graph(np.array(table["features"].to_pylist()), k=K)
    ids = table["id"].to_numpy()
    edges = {
        "id": np.repeat(ids, K),
        "neighbor": ids[graph.neighbors].ravel(),
        "rank": np.tile(np.arange(1, K + 1), N),
        "distance": graph.distances.ravel(),
    }
    return pa.table(edges).take(np.random.default_rng(0).permutation(N * K))


TASKS = {
    "outliers": {},
    "duplicates": {"threshold": 0.5},
    "valuation": {},
    "noniid": {"order": "time"},
    "groups": {"eps": 0.9, "min_samples": 3, "min_cluster_samples": 2},
}


@pytest.fixture
def table():
    return table_of(np.random.default_rng(1))


@pytest.mark.parametrize("task", TASKS)
def test_a_graph_in_place_of_features_gives_the_same_scores(task, table, run, tmp_path, by_id):
    edges = tmp_path / "edges"
    edges.mkdir()
    pq.write_table(edges_of(table), edges / "edges.parquet")
    by_features = run(table, task, k=K, **TASKS[task])
    by_graph = run(table, task, graph=str(edges), output=str(tmp_path / "again"), **TASKS[task])
    found = [by_id(done.scores, table["id"]) for done in (by_features, by_graph)]
    assert found[0].equals(found[1])
    assert by_graph.config.features is None
    assert by_graph.config.inputs[1].name == str(edges)


@pytest.mark.parametrize("task", TASKS)
def test_a_graph_of_other_rows_stops_the_run(task, table, run, tmp_path):
    edges = tmp_path / "edges"
    edges.mkdir()
    given = edges_of(table)
    pq.write_table(given.filter(pa.compute.field("id") != 4), edges / "edges.parquet")
    done = run(table, task, graph=str(edges), ends=1, **TASKS[task])
    assert "graph: id 4 has no edges (1 such ids)" in done.error


@pytest.mark.parametrize(
    ("task", "keys", "message"),
    [
        ("outliers", {"k": 3}, "k is given, which does not go with graph"),
        ("outliers", {"save_fitted": "./f"}, "save_fitted is given, which does not go with graph"),
        ("outliers", {"pred_probs": "p"}, "graph and pred_probs are given together"),
        ("duplicates", {"features": "x"}, "features and graph are given together"),
        ("duplicates", {"text": "t"}, "graph and text are given together"),
        ("duplicates", {"n": 3}, "n is given, which does not go with graph"),
        ("valuation", {"recall": 0.5}, "recall is given, which does not go with graph"),
        ("noniid", {"n_features": 3}, "n_features is given, which does not go with graph"),
        ("groups", {"clusters": "c"}, "graph and clusters are given together"),
        ("groups", {"seed": 3}, "seed is given, which does not go with graph"),
        ("groups", {"output": "./edges"}, "must be different places"),
    ],
    ids=str,
)
def test_a_key_that_does_not_go_with_a_graph_is_refused(task, keys, message):
    with pytest.raises(OptionError) as error:
        config_of(task, **{"input": "./in", "output": "./out", "graph": "./edges", **keys})
    assert message in str(error.value)


def test_seeds_and_counts_that_still_say_something_go_with_a_graph():
    places = {"input": "./in", "output": "./out", "graph": "./edges"}
    assert config_of("noniid", **places, seed=3).seed == 3
    assert config_of("valuation", **places, k=3).k == 3

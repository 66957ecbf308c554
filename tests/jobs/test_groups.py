"""The job of underperforming groups: a run by spark-submit, given clusters, slices, a gate."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark.core.groups import dbscan_labels, find_underperforming_group
from lq_spark.core.neighbors import knn_graph
from lq_spark.errors import OptionError

N, K = 200, 3


def data():
    rng = np.random.default_rng(0)
    of_clump = rng.integers(0, 4, N)
    features = np.eye(4, 6)[of_clump] * 5.0 + 0.2 * rng.normal(size=(N, 6))
    labels = rng.integers(0, K, N)
    probs = rng.dirichlet(np.ones(K), N) * 0.2
    probs[np.arange(N), np.where(of_clump == 2, (labels + 1) % K, labels)] += 0.8
    return features, labels, probs, of_clump


def table_of():
    features, labels, probs, of_clump = data()
    return pa.table(
        {
            "id": np.arange(N),
            "label": labels,
            "pred_probs": list(probs),
            "features": list(features),
            "clump": of_clump,
            "kind": np.where(of_clump == 2, "bad", "good"),
        }
    )


def test_a_good_run_finds_clusters_and_the_worst_of_them(
    submit, write_folder, tmp_path, by_id, read_metrics
):
    features, labels, probs, _ = data()
    write_folder(table_of(), tmp_path / "in")
    done = submit(
        *("--task", "groups", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *("--threshold", "0.3", "--by", "kind", "--min-rows", "20"),
        *("--fail-if", "worse_slices > 0"),
    )
    assert done.code == 3, done.stderr
    graph = knn_graph(features)
    clusters = dbscan_labels(graph.neighbors, graph.distances)
    flags, scores, expected = find_underperforming_group(labels, probs, clusters, threshold=0.3)
    found = by_id(pq.read_table(tmp_path / "out"), pa.array(np.arange(N)))
    assert found.column_names[2:] == [
        *("is_underperforming_group_issue", "underperforming_group_score", "cluster")
    ]
    assert found["cluster"].to_pylist() == clusters.tolist()
    assert found["is_underperforming_group_issue"].to_pylist() == flags.tolist()
    assert found["underperforming_group_score"].to_pylist() == scores.tolist()
    assert 20 < flags.sum() < 80
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["clusters", None] == len(expected.clusters)
    assert metrics["worst_group_score", None] == expected.score
    assert metrics["underperforming_rows", None] == flags.sum()
    assert metrics["worse_slices", None] == 1
    assert f"underperforming group: cluster {expected.worst}, {flags.sum()} of 200" in done.stdout
    assert "worse slices: 1 of 2 compared" in done.stdout
    assert "kind = bad" in done.stdout


def test_given_clusters_are_compared(run, by_id):
    _, labels, probs, of_clump = data()
    done = run(table_of(), "groups", clusters="clump", threshold=0.3)
    flags, scores, _ = find_underperforming_group(labels, probs, of_clump, threshold=0.3)
    found = by_id(done.scores, pa.array(np.arange(N)))
    assert found["is_underperforming_group_issue"].to_pylist() == flags.tolist()
    assert found["underperforming_group_score"].to_pylist() == scores.tolist()
    assert "cluster" not in found.column_names
    assert "underperforming group: cluster 2" in done.printed


def test_a_table_without_clusters_fails(run):
    done = run(table_of(), "groups", eps=0.0, ends=1)
    assert done.error == "no cluster has 5 rows: 0 clusters, the largest of 0"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"clusters": "c", "features": "f"}, "features and clusters are given together; one"),
        ({"clusters": "c", "min_samples": 3}, "min_samples is given, which does not go with clu"),
        ({"min_rows": 50}, "min_rows is given, so by must name columns"),
        ({"by": []}, "by"),
        ({"metric": "cosin"}, "metric must be one of 'cosine', 'euclidean', got 'cosin'"),
        ({"threshold": 1.5}, "threshold"),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused(keys, message):
    with pytest.raises(OptionError) as error:
        config_of("groups", input="./in", output="./out", **keys)
    assert message in str(error.value)

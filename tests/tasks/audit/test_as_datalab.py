"""An audit of random tables is cleanlab's Datalab of them, check by check, ties aside."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from cleanlab.datalab.datalab import Datalab
from scipy.sparse import csr_matrix

from lq_spark import audit
from lq_spark.core.neighbors import knn_graph

N, K = 240, 4


def data(seed, n_features=6):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, N)
    features = (rng.normal(size=(K, n_features)) * 3)[truth] + rng.normal(size=(N, n_features))
    features[:3] *= 4.0
    features[20:24] = features[24:28] + 1e-9
    labels = np.where(rng.random(N) < 0.1, (truth + 1) % K, truth)
    labels[labels == 3] = rng.choice([2, 3], (labels == 3).sum(), p=[0.95, 0.05])
    labels[:12] = 3
    probs = rng.dirichlet(np.full(K, 0.4), N) + 2.0 * np.eye(K)[truth]
    return features, labels, probs / probs.sum(axis=1, keepdims=True)


@pytest.fixture(params=[0, 1])
def given(request):
    return data(request.param)


def table_of(spark, features, labels, probs, **columns):
    ids = np.arange(len(features)) * 5 + 2
    rows = {"id": ids, "label": labels, "features": features.tolist(), "probs": probs.tolist()}
    return spark.createDataFrame(pd.DataFrame({**rows, **columns}))


def datalab_of(labels, task="classification", checks=None, **given):
    data = {"y": [*labels]} if labels is not None else {"x": [*range(N)]}
    lab = Datalab(data, label_name="y" if labels is not None else None, task=task, verbosity=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lab.find_issues(**given, issue_types=checks)
    return lab


def assert_same(found, lab):
    """Assert that the checks, their scores and flags are those of cleanlab."""
    assert found.failed == {}
    theirs = lab.issue_summary
    if "null" in {*found.summary["check"]} - {*theirs["issue_type"]}:  # it sees no table
        found = dataclasses.replace(found, summary=found.summary.drop(0))
    assert found.summary["check"].tolist() == theirs["issue_type"].tolist()
    np.testing.assert_allclose(found.summary["score"], theirs["score"], atol=1e-6)
    assert found.summary["num_issues"].tolist() == theirs["num_issues"].tolist()
    ours = found.issues.toPandas().sort_values("id", ignore_index=True)
    for name in theirs["issue_type"]:
        scores = lab.issues[f"{name}_score"]
        np.testing.assert_allclose(ours[f"{name}_score"], scores, atol=1e-6, err_msg=name)
        flags = lab.issues[f"is_{name}_issue"]
        assert ours[f"is_{name}_issue"].tolist() == flags.tolist(), name
    flags = [f"is_{name}_issue" for name in theirs["issue_type"]]
    assert ours["num_issues"].tolist() == ours[flags].sum(axis=1).tolist()
    health = theirs["score"].mean()
    if found.summary.index[0] == 0:
        assert found.statistics["health_score"] == pytest.approx(health, abs=1e-6)
    return ours


@pytest.mark.spark
def test_all_that_is_given_is_looked_at(spark):
    features, labels, probs = data(0)
    df = table_of(spark, features, labels, probs)
    found = audit.find_issues(df, label="label", pred_probs="probs", features="features")
    lab = datalab_of(labels, pred_probs=probs, features=features)
    ours = assert_same(found, lab)
    assert (found.summary["num_issues"] > 0).sum() >= 3
    names = lab.get_issues("label")
    assert ours["given_label"].tolist() == names["given_label"].tolist()
    assert ours["predicted_label"].tolist() == names["predicted_label"].tolist()
    near = lab.get_issues("near_duplicate")
    np.testing.assert_allclose(
        ours["distance_to_nearest_neighbor"], near["distance_to_nearest_neighbor"], atol=1e-6
    )
    sets = [sorted((np.array(ids) - 2) // 5) for ids in ours["near_duplicate_set"]]
    assert sets == [sorted(places) for places in near["near_duplicate_sets"]]
    assert found.statistics["num_rows"] == N
    assert found.statistics["class_names"] == ("0", "1", "2", "3")
    assert found.statistics["knn_metric"] == lab.info["statistics"]["knn_metric"] == "cosine"
    joint = lab.get_info("label")["confident_joint"]
    np.testing.assert_allclose(found.info["label"].confident_joint, joint, atol=1e-9)


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ({"pred_probs": "probs", "label": "label"}, {"pred_probs"}),
        ({"features": "features", "label": "label"}, {"features"}),
        ({"features": "features"}, {"features"}),
    ],
    ids=str,
)
def test_what_is_not_given_is_not_looked_at(spark, given, columns, names):
    features, labels, probs = given
    df = table_of(spark, features, labels, probs)
    kept = {"pred_probs": probs, "features": features}
    lab = datalab_of(labels if "label" in columns else None, **{name: kept[name] for name in names})
    found = audit.find_issues(df, **columns)
    assert_same(found, lab)


def test_numbers_are_looked_at_as_of_regression(spark, given):
    features, *_ = given
    rng = np.random.default_rng(5)
    labels = features[:, 0] + rng.normal(size=N) * 0.1
    predictions = features[:, 0] + rng.normal(size=N) * 0.1
    labels[7] += 30.0
    rows = pd.DataFrame({"id": range(N), "y": labels, "p": predictions, "f": features.tolist()})
    df = spark.createDataFrame(rows)
    lab = datalab_of(labels, task="regression", pred_probs=predictions, features=features)
    found = audit.find_issues(df, label="y", pred_probs="p", features="f", task="regression")
    ours = assert_same(found, lab)
    assert ours["is_label_issue"][7]
    assert ours["given_label"].tolist() == labels.tolist()


def test_sets_are_looked_at_as_of_multilabel(spark, given):
    features, *_ = given
    rng = np.random.default_rng(5)
    truth = rng.random((N, 3)) < 0.4
    truth[np.arange(N), rng.integers(0, 3, N)] = True
    probs = np.clip(0.8 * truth + 0.1 + rng.normal(size=(N, 3)) * 0.05, 0, 1)
    is_given = truth ^ (rng.random((N, 3)) < 0.05)
    is_given[~is_given.any(axis=1), 0] = True
    labels = [np.flatnonzero(row).tolist() for row in is_given]
    rows = pd.DataFrame({"id": range(N), "y": labels, "p": probs.tolist(), "f": features.tolist()})
    schema = "id bigint, y array<int>, p array<double>, f array<double>"
    df = spark.createDataFrame(rows, schema)
    lab = datalab_of(labels, task="multilabel", pred_probs=probs, features=features)
    found = audit.find_issues(df, label="y", pred_probs="p", features="f", task="multilabel")
    assert_same(found, lab)


def test_a_graph_stands_in_for_features(spark, given):
    features, labels, probs = given
    graph = knn_graph(features, k=7)
    ids = np.arange(N) * 5 + 2
    edges = {
        "id": np.repeat(ids, 7),
        "neighbor": ids[graph.neighbors].ravel(),
        "rank": np.tile(np.arange(1, 8), N),
        "distance": graph.distances.ravel(),
    }
    df = table_of(spark, features, labels, probs)
    columns = {"label": "label", "pred_probs": "probs", "metric": "cosine"}
    edges = spark.createDataFrame(pd.DataFrame(edges))
    checks = {"underperforming_group": {"eps": 0.01}, "data_valuation": {"k": 5}}
    checks |= {name: {} for name in ("outlier", "near_duplicate", "non_iid")}
    found = audit.find_issues(df, **columns, graph=edges, checks=checks)
    ends = np.arange(0, N * 7 + 1, 7)
    matrix = csr_matrix((graph.distances.ravel(), graph.neighbors.ravel(), ends), (N, N))
    of_theirs = {name: {} for name in ("outlier", "near_duplicate", "non_iid")}
    of_theirs["underperforming_group"] = {"clustering_kwargs": {"eps": 0.01}}
    of_theirs["data_valuation"] = {"k": 5}
    lab = datalab_of(labels, checks=of_theirs, pred_probs=probs, knn_graph=matrix)
    assert_same(found, lab)
    assert found.statistics["knn_k"] == 7

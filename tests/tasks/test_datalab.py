"""The checks of a whole data set, scikit-learn's digits, as cleanlab's Datalab makes them."""

import warnings

import numpy as np
import pytest
from cleanlab.datalab.datalab import Datalab
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from lq_spark import duplicates, groups, imbalance, neighbors, noniid, nulls, outliers, valuation
from lq_spark.core.neighbors import knn_graph


@pytest.fixture(scope="module")
def digits():
    """Return features, with some rows far off and some there twice, labels and probabilities."""
    features, labels = load_digits(return_X_y=True)
    features, labels = features[:900] / 16.0, labels[:900]
    rng = np.random.default_rng(0)
    is_odd = rng.random(900) < 0.05
    features[is_odd] = rng.random((is_odd.sum(), 64))
    features[rng.permutation(np.flatnonzero(~is_odd))[:20]] = features[~is_odd][:20]
    labels[rng.random(900) < 0.05] = 3
    model = LogisticRegression(max_iter=200)
    probs = cross_val_predict(model, features, labels, cv=3, method="predict_proba")
    return features, labels, probs, is_odd


def checked(labels, checks, **given):
    lab = Datalab({"y": labels}, label_name="y", verbosity=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lab.find_issues(**given, issue_types=checks)
    return lab


@pytest.fixture(scope="module")
def datalab(digits):
    features, labels, _, _ = digits
    names = ("null", "outlier", "near_duplicate", "class_imbalance")
    return checked(labels, {name: {} for name in names}, features=features)


@pytest.fixture(scope="module")
def datalab_of_graph(digits):
    """Of the same neighbours: which of equally near ones come first is by chance in cleanlab."""
    features, labels, probs, _ = digits
    graph = knn_graph(features, k=10)
    ends = np.arange(0, 9001, 10)
    matrix = csr_matrix((graph.distances.ravel(), graph.neighbors.ravel(), ends), (900, 900))
    checks = {
        "non_iid": {},
        "data_valuation": {},
        "underperforming_group": {"clustering_kwargs": {"eps": 0.05}, "threshold": 0.9},
    }
    return checked(labels, checks, knn_graph=matrix, pred_probs=probs, features=features)


@pytest.fixture
def table(spark, digits):
    features, labels, probs, _ = digits
    rows = zip(range(900), features.tolist(), labels.tolist(), probs.tolist(), strict=True)
    schema = "id int, features array<double>, label int, pred_probs array<double>"
    return spark.createDataFrame(list(rows), schema).repartition(5)


def assert_like(found, lab, check, tolerance=1e-12):
    """Compare flags and scores, and what they sum up to."""
    rows = found.orderBy("id").collect()
    theirs = lab.get_issues(check)
    flags = np.array([row[f"is_{check}_issue"] for row in rows])
    scores = np.array([row[f"{check}_score"] for row in rows])
    np.testing.assert_array_equal(flags, theirs[f"is_{check}_issue"])
    np.testing.assert_allclose(scores, theirs[f"{check}_score"], atol=tolerance)
    return flags, scores


def test_outliers(table, datalab, digits):
    flags, scores = assert_like(outliers.find_issues(table), datalab, "outlier")
    assert 0 < flags.sum() < 100
    *_, is_odd = digits
    theirs = datalab.get_issues("outlier")["outlier_score"]
    ours = roc_auc_score(is_odd, -scores)
    assert ours == pytest.approx(roc_auc_score(is_odd, -theirs), abs=1e-6)
    assert ours > 0.99


def test_near_duplicates(table, datalab):
    found = duplicates.find_issues(table)
    flags, _ = assert_like(found, datalab, "near_duplicate")
    assert 20 < flags.sum() < 200
    theirs = datalab.get_issues("near_duplicate")
    for row in found.collect():
        of_row = theirs.loc[row["id"]]
        assert set(row["near_duplicate_set"]) == set(of_row["near_duplicate_sets"].tolist())
        nearest = of_row["distance_to_nearest_neighbor"]
        assert row["distance_to_nearest_neighbor"] == pytest.approx(nearest, abs=1e-12)


def test_the_order_of_the_rows(table, datalab_of_graph):
    assert_like(noniid.find_issues(table), datalab_of_graph, "non_iid", 1e-9)
    [p_value] = datalab_of_graph.get_issue_summary("non_iid")["score"]
    assert noniid.summarize(table).p_value == pytest.approx(p_value, abs=1e-9)


def test_data_valuation(table, datalab_of_graph):
    flags, _ = assert_like(valuation.find_issues(table), datalab_of_graph, "data_valuation")
    assert 0 < flags.sum() < 200


def test_underperforming_groups(table, datalab_of_graph):
    found = groups.find_issues(table, eps=0.05, threshold=0.9)
    _, scores = assert_like(found, datalab_of_graph, "underperforming_group")
    assert scores.min() < 1.0
    assert len({row["cluster"] for row in found.collect()}) > 3
    graph = neighbors.graph(table)
    again = groups.find_issues(table, graph=graph, eps=0.05, threshold=0.9)
    assert_like(again, datalab_of_graph, "underperforming_group")


def test_class_imbalance_and_nulls(table, datalab):
    assert_like(imbalance.find_issues(table), datalab, "class_imbalance")
    columns = [f"features[{place}] x{place}" for place in range(64)]
    assert_like(nulls.find_issues(table.selectExpr("id", *columns), id="id"), datalab, "null")

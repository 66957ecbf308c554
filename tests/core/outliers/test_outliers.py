"""Outliers by features and by probabilities: cleanlab's numbers."""

import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
from cleanlab import Datalab
from cleanlab.outlier import OutOfDistribution as Cleanlab
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lq_spark.core.neighbors import knn_graph
from lq_spark.core.outliers import OutOfDistribution
from lq_spark.core.outliers.distances import are_far, largest_typical, mean_distances
from lq_spark.core.shared.quantiles import median_ranks, quantile
from lq_spark.errors import DataError, OptionError


def theirs(params, new=None, **inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = Cleanlab(params)
        scores = fitted.fit_score(**inputs, verbose=False)
        return scores if new is None else (scores, fitted.score(**new))


def features_like(shape, n_rows, n_features, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_rows, n_features))
    if shape == "copies":
        features = features[rng.integers(0, max(2, n_rows // 3), n_rows)]
    if shape == "one value":
        features = np.ones((n_rows, n_features))
    if shape == "float32":
        features = features.astype(np.float32)
    return features


@pytest.mark.parametrize("params", [{}, {"k": 3, "t": 2.5}], ids=str)
@pytest.mark.parametrize("n_rows", [8, 100, 101, 300])
@pytest.mark.parametrize("n_features", [1, 3, 4, 30])
@pytest.mark.parametrize("shape", ["normal", "copies", "one value", "float32"])
def test_scores_of_features_are_those_of_cleanlab(shape, n_features, n_rows, params):
    features = features_like(shape, n_rows, n_features)
    new = features_like(shape, 20, n_features, seed=1)
    fitted = OutOfDistribution(params)
    scores = fitted.fit_score(features=features)
    expected, of_new = theirs(params, features=features, new={"features": new})
    tolerance = 1e-5 if shape == "float32" else 1e-9
    np.testing.assert_allclose(scores, expected, atol=tolerance)
    np.testing.assert_allclose(fitted.score(features=new), of_new, atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_classes=st.sampled_from([2, 3, 7, 40, 150]),
    method=st.sampled_from(["entropy", "least_confidence", "gen"]),
    adjusted=st.booleans(),
    n_largest=st.sampled_from([1, 3, 100]),
    is_sparse=st.booleans(),
)
def test_scores_of_probabilities_are_those_of_cleanlab(
    seed, n_classes, method, adjusted, n_largest, is_sparse
):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(n_classes, 0.4), 60)
    if is_sparse:
        probs = np.where(probs < 0.1, 0.0, probs) + 1e-9 * (probs.max(axis=1) < 0.1)[:, None]
        probs /= probs.sum(axis=1, keepdims=True)
    labels = np.append(np.arange(n_classes), rng.integers(0, n_classes, 60))[:60]
    params = {"method": method, "adjust_pred_probs": adjusted, "M": n_largest, "gamma": 0.2}
    inputs = {"pred_probs": probs, **({"labels": labels} if adjusted else {})}
    fitted = OutOfDistribution(params)
    scores = fitted.fit_score(**inputs)
    expected, of_new = theirs(params, **inputs, new={"pred_probs": probs[:7]})
    if n_classes > 60 and adjusted:
        return  # cleanlab makes thresholds of classes that are not there of other numbers
    np.testing.assert_allclose(scores, expected, atol=1e-9)
    np.testing.assert_allclose(fitted.score(pred_probs=probs[:7]), of_new, atol=1e-9)


def test_thresholds_may_be_given():
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    params = {"confident_thresholds": [0.2, 0.5, 0.3]}
    scores = OutOfDistribution(params).fit_score(pred_probs=probs)
    cleanlabs = {"confident_thresholds": np.array([0.2, 0.5, 0.3])}
    np.testing.assert_allclose(scores, theirs(cleanlabs, pred_probs=probs), atol=1e-12)


@pytest.mark.parametrize("threshold", [0.37037, 0.1, 0.9, 0.0])
def test_outliers_are_those_of_datalab(threshold):
    rng = np.random.default_rng(2)
    features = rng.normal(size=(120, 5)) * (1 + 9 * (rng.random((120, 1)) < 0.1))
    features[3:6] = features[3]
    lab = Datalab({"n": list(range(120))})
    lab.find_issues(features=features, issue_types={"outlier": {"threshold": threshold}})
    found = lab.get_issues("outlier")
    means = mean_distances(knn_graph(features).distances)
    limit = largest_typical(*np.quantile(means, [0.25, 0.75]), threshold)
    assert are_far(means, limit).tolist() == found["is_outlier_issue"].tolist()
    scores = OutOfDistribution().fit_score(features=features)
    np.testing.assert_allclose(scores, found["outlier_score"], atol=1e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.05, 0.25, 0.5, 0.75, 1.0, 1 / 3]),
)
def test_quantiles_are_those_of_numpy(numbers, share):
    ordered = sorted(numbers)
    found = quantile(len(numbers), share)
    value = found.of(ordered[found.low - 1], ordered[found.high - 1])
    assert value == np.quantile(numbers, share)
    low, high = (ordered[rank - 1] for rank in median_ranks(len(numbers)))
    assert (low + high) / 2.0 == np.median(numbers)


@pytest.mark.parametrize(
    ("name", "auroc"),
    [
        *(("outliers_vowels", 0.960), ("outliers_pendigits", 0.724)),
        *(("outliers_mammography", 0.615), ("embeddings_cable_vit", None)),
    ],
)
def test_real_outliers_rank_as_by_cleanlab(name, auroc, shared_data):
    table = pq.read_table(shared_data / f"{name}.parquet")
    features, is_outlier = np.stack(table["features"].to_numpy()), np.asarray(table["is_outlier"])
    ours = roc_auc_score(is_outlier, 1 - OutOfDistribution().fit_score(features=features))
    of_cleanlab = roc_auc_score(is_outlier, 1 - theirs({}, features=features))
    assert ours == pytest.approx(of_cleanlab, abs=1e-6)
    if auroc is not None:
        assert ours == pytest.approx(auroc, abs=1e-3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"K": 3}, "params may have 'k', .*, got 'K'"),
        ({"method": "entropie"}, "did you mean 'entropy'"),
        ({"M": 0}, "n_largest must be a whole number of at least 1"),
        ({"t": 0.0}, "t must be a number above 0"),
        ({"k": 1.5}, "k must be a whole number"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_refused(params, message):
    with pytest.raises(OptionError, match=message):
        OutOfDistribution(params)


def test_what_does_not_go_together_is_refused():
    features, probs = [[0.0], [1.0], [3.0]], [[0.5, 0.5], [0.1, 0.9]]
    for inputs in ({}, {"features": features, "pred_probs": probs}):
        with pytest.raises(OptionError, match="give features or pred_probs, one of them"):
            OutOfDistribution().fit(**inputs)
    with pytest.raises(OptionError, match="labels are needed"):
        OutOfDistribution().fit(pred_probs=probs)
    with pytest.raises(OptionError, match="adjust_pred_probs is False"):
        OutOfDistribution({"adjust_pred_probs": False}).fit(pred_probs=probs, labels=[0, 1])
    with pytest.raises(OptionError, match="labels are given, which go with pred_probs"):
        OutOfDistribution().fit(features=features, labels=[0, 1, 0])
    with pytest.raises(OptionError, match="fit it to features first"):
        OutOfDistribution().score(features=features)
    with pytest.raises(OptionError, match="fit it to pred_probs and labels first"):
        OutOfDistribution().score(pred_probs=probs)
    with pytest.raises(OptionError, match=r"shape \(2,\)"):
        OutOfDistribution({"confident_thresholds": [0.1]}).fit(pred_probs=probs)
    fitted = OutOfDistribution({"k": 2})
    fitted.fit(features=features)
    with pytest.raises(DataError, match="features has 2 columns, it was fitted to 1"):
        fitted.score(features=[[1.0, 2.0]])
    with pytest.raises(DataError):
        OutOfDistribution({"adjust_pred_probs": False}).fit(pred_probs=[[0.5, np.nan]])

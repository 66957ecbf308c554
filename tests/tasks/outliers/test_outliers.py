"""Outliers of tables: those of core, to the bit, whatever the partitions."""

import numpy as np
import pytest

from lq_spark import outliers
from lq_spark.core.neighbors import knn_graph
from lq_spark.core.outliers import OutOfDistribution
from lq_spark.core.outliers.distances import are_far, largest_typical, mean_distances
from lq_spark.errors import ColumnError, InvalidRowsError, OptionError
from lq_spark.tasks.neighbors import exact

N = 120


def data(seed=0):
    rng = np.random.default_rng(seed)
    features = 3.0 + rng.normal(size=(N, 5)) * (0.3 + 3.0 * (rng.random((N, 1)) < 0.08))
    features[3:9] = features[3]
    probs = rng.dirichlet(np.full(4, 0.3), N)
    probs[:7] = 0.25
    return features, probs, rng.integers(0, 4, N)


@pytest.fixture
def table(spark):
    features, probs, labels = data()
    columns = (range(N), features.tolist(), probs.tolist(), labels.tolist())
    schema = "id bigint, features array<double>, pred_probs array<double>, label int"
    return spark.createDataFrame(list(zip(*columns, strict=True)), schema)


def found_in(rows):
    found = sorted((row["id"], row["is_outlier_issue"], row["outlier_score"]) for row in rows)
    return [row[1] for row in found], [row[2] for row in found]


@pytest.mark.parametrize("n_partitions", [1, pytest.param(7, marks=pytest.mark.spark)])
def test_outliers_by_features_are_those_of_core(table, monkeypatch, n_partitions):
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 40)
    features, _, _ = data()
    for options in ({}, {"k": 3, "t": 2.0, "metric": "euclidean", "threshold": 0.6}):
        rows = table.repartition(n_partitions)
        issues = outliers.find_issues(rows, features="features", **options)
        assert issues.columns == [*rows.columns, "is_outlier_issue", "outlier_score"]
        flags, scores = found_in(issues.collect())
        params = {name: options[name] for name in ("k", "t", "metric") if name in options}
        assert scores == OutOfDistribution(params).fit_score(features=features).tolist()
        graph = knn_graph(features, k=options.get("k"), metric=options.get("metric"))
        means = mean_distances(graph.distances)
        limit = largest_typical(
            *np.quantile(means, [0.25, 0.75]), options.get("threshold", 0.37037)
        )
        assert flags == are_far(means, limit).tolist()
        assert 0 < sum(flags) < N


@pytest.mark.parametrize("method", ["entropy", "least_confidence", "gen"])
@pytest.mark.parametrize("label", [None, "label"])
@pytest.mark.parametrize("n_partitions", [1, 5])
def test_outliers_by_probabilities_are_those_of_core(table, method, label, n_partitions):
    _, probs, labels = data()
    rows = table.repartition(n_partitions)
    how = {"pred_probs": "pred_probs", "label": label, "method": method}
    issues = outliers.find_issues(rows, **how, threshold=0.6)
    flags, scores = found_in(issues.collect())
    fitted = OutOfDistribution({"method": method, "adjust_pred_probs": label is not None})
    expected = fitted.fit_score(pred_probs=probs, labels=None if label is None else labels)
    assert scores == expected.tolist()
    assert flags == (expected < 0.6 * np.median(expected)).tolist()
    assert method == "gen" or 0 < sum(flags) < N
    scored = outliers.score(rows, **how).orderBy("id").collect()
    assert [row["outlier_score"] for row in scored] == expected.tolist()
    health = outliers.summarize(rows, **how, threshold=0.6)
    assert (health.n_rows, health.n_outliers) == (N, sum(flags))
    assert health.mean_score == pytest.approx(expected.mean(), abs=1e-12)


@pytest.mark.parametrize("by", [{"features": "features"}, {"pred_probs": "pred_probs"}])
def test_a_table_without_rows_has_no_outliers(table, by):
    nothing = table.where("id < 0")
    assert outliers.find_issues(nothing, **by, **_sizes(by)).collect() == []
    assert outliers.summarize(nothing, **by, **_sizes(by)).n_rows == 0


def _sizes(by):
    return {"n_features": 5} if "features" in by else {"n_classes": 4}


@pytest.mark.spark
def test_rows_that_cannot_be_scored_are_named(table):
    bad = table.selectExpr(
        "id",
        "IF(id = 2, NULL, features) AS features",
        "IF(id = 5, array(0.5D, 0.25D, 0.5D, 0.5D), pred_probs) AS pred_probs",
        "IF(id = 6, 9, label) AS label",
    )
    named = {"features": {2: "null features"}, "pred_probs": {5: "probabilities do not sum to 1"}}
    for by, reasons in named.items():
        checked = outliers.validate(bad, id="id", **{by: by}).where("invalid_reason IS NOT NULL")
        assert dict(checked.select("id", "invalid_reason").collect()) == reasons
    both = outliers.validate(bad, pred_probs="pred_probs", label="label")
    assert both.where("invalid_reason IS NOT NULL").count() == 2
    with pytest.raises(InvalidRowsError, match="1 of 120 rows cannot be scored, for want of"):
        outliers.find_issues(bad, features="features")
    with pytest.raises(Exception, match="rows that cannot be scored with K = 4 classes"):
        outliers.find_issues(bad, pred_probs="pred_probs").collect()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"features": "features", "pred_probs": "pred_probs"}, OptionError, "are both given; one"),
        ({"features": "features", "label": "label"}, OptionError, "label is given, which does not"),
        ({"pred_probs": "pred_probs", "k": 3}, OptionError, "k is given, which does not go with p"),
        (
            {"features": "features", "threshold": 2.0},
            OptionError,
            "threshold must be a number from",
        ),
        ({"features": "features", "t": 0.0}, OptionError, "t must be a number above 0"),
        ({"pred_probs": "pred_probs", "method": "ent"}, OptionError, "method must be one of"),
        ({"pred_probs": "pred_probs", "n_largest": 0}, OptionError, "n_largest must be a whole"),
        ({"features": "feature"}, ColumnError, "features: no column 'feature'"),
        ({"features": "features", "id": "label"}, InvalidRowsError, "id: column 'label' has nulls"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(table, options, error, message):
    with pytest.raises(error, match=message):
        outliers.find_issues(table, **options)

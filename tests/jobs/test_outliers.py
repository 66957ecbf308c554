"""The job of outliers: its configuration, a run by spark-submit, rows set aside."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of, parsed

from lq_spark.core.neighbors import knn_graph
from lq_spark.core.outliers import OutOfDistribution
from lq_spark.core.outliers.distances import are_far, largest_typical, mean_distances
from lq_spark.errors import OptionError

PLACES = {"input": "data/in", "output": "data/out"}


def embeddings(n_rows=150, seed=0):
    """Return features around one point, a few far off, a few the same."""
    rng = np.random.default_rng(seed)
    features = 3.0 + rng.normal(size=(n_rows, 6)) * 0.3
    features[:7] += rng.normal(size=(7, 6)) * 4.0
    features[20:26] = features[20]
    return features


def table_of(features, ids=None):
    ids = np.arange(len(features)) if ids is None else ids
    return pa.table({"id": ids, "features": list(features), "path": [f"{n}.png" for n in ids]})


def expected(features):
    scores = OutOfDistribution().fit_score(features=features)
    means = mean_distances(knn_graph(features).distances)
    return scores, are_far(means, largest_typical(*np.quantile(means, [0.25, 0.75])))


def test_features_are_looked_at_unless_there_are_probabilities():
    assert config_of("outliers", **PLACES).features == "features"
    assert config_of("outliers", **PLACES, pred_probs="p").features is None
    assert config_of("outliers", **PLACES, features=["x", "y"]).features == ["x", "y"]
    told = {"--features": "features", "--pred-probs": "pred_probs"}
    for flag, key in told.items():
        assert parsed("outliers", flag, "x")[key] == "x"
        assert parsed("outliers", flag, "x,y")[key] == ["x", "y"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"features": "x", "pred_probs": "p"}, "features and pred_probs are given together; "),
        ({"label": "y"}, "label is given, which does not go with features"),
        ({"pred_probs": "p", "k": 3}, "k is given, which does not go with pred_probs"),
        ({"metric": "cosin"}, "metric must be one of 'cosine', 'euclidean', got 'cosin'"),
        ({"pred_probs": "p", "method": "ent"}, "method must be one of 'entropy', "),
        ({"threshold": 1.5}, "threshold"),
        ({"t": 0.0}, "t"),
        ({"fail_if": ["label_issues > 1"]}, "fail_if: a metric must be one of 'rows', "),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused(keys, message):
    with pytest.raises(OptionError) as error:
        config_of("outliers", **PLACES, **keys)
    assert message in str(error.value)


def test_a_good_run_finds_outliers_and_tells_of_them(
    submit, write_folder, tmp_path, by_id, read_metrics
):
    features = embeddings()
    table = table_of(features)
    write_folder(table, tmp_path / "in")
    done = submit(
        *("--task", "outliers", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *("--keep-columns", "path", "--fail-if", "outliers > 100"),
    )
    assert done.code == 0, done.stderr
    found = by_id(pq.read_table(tmp_path / "out"), table["id"])
    assert found.column_names == ["id", "path", "is_outlier_issue", "outlier_score"]
    scores, flags = expected(features)
    assert found["outlier_score"].to_pylist() == scores.tolist()
    assert found["is_outlier_issue"].to_pylist() == flags.tolist()
    assert 3 < flags.sum() < 20
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["outliers", None] == flags.sum()
    assert metrics["issue_rate", None] == flags.sum() / 150
    assert metrics["mean_outlier_score", None] == pytest.approx(scores.mean(), abs=1e-12)
    _, _, lowest = done.stdout.partition("lowest outlier score (1 typical, 0 an outlier):\n")
    shown = [line.split()[0] for line in lowest.splitlines()[1:11]]
    assert shown == np.argsort(scores, kind="stable")[:10].astype(str).tolist()


def test_rows_set_aside_leave_the_others_the_scores_of_their_own(run, by_id):
    features = embeddings()
    given = features.copy()
    given[30, 2] = np.nan
    done = run(table_of(given), "outliers", on_invalid="quarantine")
    assert done.reasons == {"feature not finite": 1}
    assert done.quarantine["id"].to_pylist() == [30]
    fit = np.arange(150) != 30
    found = by_id(done.scores, pa.array(np.arange(150)[fit]))
    assert found["outlier_score"].to_pylist() == expected(features[fit])[0].tolist()


def test_rows_of_another_length_stop_a_run_that_guessed_it(run):
    features = [row[:5] if n == 4 else row for n, row in enumerate(embeddings())]
    done = run(table_of(features), "outliers", on_invalid="quarantine", ends=1)
    assert "6 features were read off the first row, give n_features" in done.error
    done = run(table_of(features), "outliers", on_invalid="quarantine", n_features=6)
    assert done.reasons == {"features of wrong length": 1}


@pytest.mark.parametrize("label", [None, "label"])
def test_outliers_by_probabilities(run, by_id, label):
    rng = np.random.default_rng(0)
    probs, labels = rng.dirichlet(np.full(3, 0.2), 90), rng.integers(0, 3, 90)
    probs[:4] = 1 / 3
    table = pa.table({"id": np.arange(90), "p": list(probs), "label": labels})
    keys = {} if label is None else {"label": label}
    done = run(table, "outliers", pred_probs="p", threshold=0.5, **keys)
    fitted = OutOfDistribution({"adjust_pred_probs": label is not None})
    scores = fitted.fit_score(pred_probs=probs, labels=None if label is None else labels)
    found = by_id(done.scores, table["id"])
    assert found["outlier_score"].to_pylist() == scores.tolist()
    flags = (scores < 0.5 * np.median(scores)).tolist()
    assert found["is_outlier_issue"].to_pylist() == flags
    assert 0 < sum(flags) < 90


def test_an_approximate_run_says_how_much_of_the_neighbors_it_found(run, by_id):
    table, found = table_of(embeddings(600)), []
    limit = {"recall": 0.4, "fail_if": ["neighbor_recall < 0.4"]}
    for keys in ({}, limit, {**limit, "seed": 5}):
        done = run(table, "outliers", k=4, **keys)
        recall = done.metrics["neighbor_recall", None]
        text = f"neighbours are approximate: {recall:.2%} of the nearest found, in a sample of rows"
        assert (text in done.printed) == bool(keys)
        assert 0.4 <= recall < 1.0 if keys else recall == 1.0
        found.append(by_id(done.scores, table["id"])["outlier_score"].to_pylist())
    assert found[0] != found[1] != found[2]

"""The job of data valuation: a run by spark-submit, rows set aside, an approximate search."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark.core.neighbors import knn_graph
from lq_spark.core.valuation import data_shapley_knn
from lq_spark.errors import OptionError

PLACES = {"input": "data/in", "output": "data/out"}
NAMES = np.array(["cat", "dog", "sea horse"])


def data(n_rows=120, seed=0):
    """Return features around three points, and labels, some of which are of another one."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n_rows)
    features = rng.normal(size=(n_rows, 5)) + 3.0 * np.eye(5)[truth]
    labels = np.where(rng.random(n_rows) < 0.15, rng.integers(0, 3, n_rows), truth)
    return features, labels


def table_of(features, labels):
    ids = np.arange(len(features))
    paths = [f"{n}.png" for n in ids]
    columns = {"id": ids, "label": NAMES[labels].tolist(), "features": list(features)}
    return pa.table({**columns, "path": paths})


def expected(features, labels, k=10):
    return data_shapley_knn(labels, neighbors=knn_graph(features, k=k).neighbors, k=k)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"metric": "cosin"}, "metric must be one of 'cosine', 'euclidean', got 'cosin'"),
        ({"threshold": 1.5}, "threshold"),
        ({"k": 0}, "k"),
        ({"classes": ["a", "b"]}, "classes"),
        ({"fail_if": ["outliers > 1"]}, "fail_if: a metric must be one of 'rows', "),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused(keys, message):
    with pytest.raises(OptionError) as error:
        config_of("valuation", **PLACES, **keys)
    assert message in str(error.value)


def test_a_good_run_says_which_rows_help_and_which_harm(
    submit, write_folder, tmp_path, by_id, read_metrics
):
    features, labels = data()
    table = table_of(features, labels)
    write_folder(table, tmp_path / "in")
    done = submit(
        *("--task", "valuation", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *("--keep-columns", "path", "--fail-if", "data_valuation_issues > 100"),
    )
    assert done.code == 0, done.stderr
    found = by_id(pq.read_table(tmp_path / "out"), table["id"])
    added = ["is_data_valuation_issue", "data_valuation_score"]
    assert found.column_names == ["id", "label", "path", *added]
    values = expected(features, labels)
    assert found["data_valuation_score"].to_pylist() == values.tolist()
    assert found["is_data_valuation_issue"].to_pylist() == (values < 0.5).tolist()
    n_issues = int((values < 0.5).sum())
    assert 5 < n_issues < 40
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["data_valuation_issues", None] == n_issues
    assert metrics["issue_rate", None] == n_issues / 120
    assert metrics["mean_data_valuation_score", None] == pytest.approx(values.mean(), abs=1e-12)
    assert metrics["neighbor_recall", None] == 1.0
    assert f"rows that harm {n_issues:,} of 120, {n_issues / 120:.2%}" in done.stdout
    _, _, lowest = done.stdout.partition("lowest score (1 helps, 0 harms):\n")
    shown = [line.split()[0] for line in lowest.splitlines()[1:11]]
    assert shown == np.argsort(values, kind="stable")[:10].astype(str).tolist()


def test_rows_set_aside_leave_the_others_the_values_of_their_own(run, by_id):
    features, labels = data()
    table = table_of(features, labels).to_pylist()
    table[30]["label"], table[40]["features"] = None, [1.0, np.nan, 0.0, 0.0, 0.0]
    done = run(pa.Table.from_pylist(table), "valuation", k=4, on_invalid="quarantine")
    assert done.reasons == {"null label": 1, "feature not finite": 1}
    assert sorted(done.quarantine["id"].to_pylist()) == [30, 40]
    fit = ~np.isin(np.arange(120), [30, 40])
    found = by_id(done.scores, pa.array(np.arange(120)[fit]))
    assert (
        found["data_valuation_score"].to_pylist() == expected(*(d[fit] for d in data()), 4).tolist()
    )


def test_rows_of_another_length_stop_a_run_that_guessed_it(run):
    features, labels = data()
    given = [row[:3] if n == 4 else row for n, row in enumerate(features)]
    done = run(table_of(given, labels), "valuation", on_invalid="quarantine", ends=1)
    assert "5 features were read off the first row, give n_features to be certain" in done.error


def test_an_approximate_run_says_how_much_of_the_neighbors_it_found(run):
    done = run(table_of(*data(600)), "valuation", k=4, recall=0.4)
    recall = done.metrics["neighbor_recall", None]
    assert 0.4 <= recall < 1.0
    assert f"neighbours are approximate: {recall:.2%} of the nearest found" in done.printed

"""The job of the order of the rows: a run by spark-submit, rows set aside, and the gate."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark.core.neighbors import knn_graph
from lq_spark.core.noniid import find_non_iid
from lq_spark.errors import OptionError

PLACES = {"input": "data/in", "output": "data/out"}
N = 120
TIMES = np.random.default_rng(2).permutation(N)
"""When a row came, in minutes."""


def features_in_order(seed=0):
    """Return features that drift with time."""
    rng = np.random.default_rng(seed)
    return TIMES[:, np.newaxis] / 60.0 + rng.normal(size=(N, 4)) * 0.4 + 2.0


def table_of(features):
    start = datetime.datetime(2026, 11, 28)
    times = [start + datetime.timedelta(minutes=int(minute)) for minute in TIMES]
    return pa.table({"id": np.arange(N), "features": list(features), "time": times})


def expected(features, order, k=10, **options):
    """Return what core has of the rows in an order, row by row as they are given."""
    place = np.argsort(np.argsort(order))
    nearest = knn_graph(features, k=k).neighbors
    in_order = np.empty_like(nearest)
    in_order[place] = place[nearest]
    flags, scores, found = find_non_iid(in_order, **options)
    return flags[place].tolist(), scores[place].tolist(), found


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"metric": "cosin"}, "metric must be one of 'cosine', 'euclidean', got 'cosin'"),
        ({"num_permutations": 1}, "num_permutations"),
        ({"significance_threshold": 1.5}, "significance_threshold"),
        ({"seed": -1}, "seed"),
        ({"fail_if": ["issue_rate > 1"]}, "fail_if: a metric must be one of 'rows', "),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused(keys, message):
    with pytest.raises(OptionError) as error:
        config_of("noniid", **PLACES, **keys)
    assert message in str(error.value)


def test_a_run_finds_rows_that_came_together_and_the_gate_fails_it(
    submit, write_folder, tmp_path, by_id, read_metrics
):
    features = features_in_order()
    table = table_of(features)
    write_folder(table, tmp_path / "in")
    done = submit(
        *("--task", "noniid", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *("--order", "time", "--fail-if", "non_iid_p_value < 0.05"),
    )
    assert done.code == 3, done.stderr
    found = by_id(pq.read_table(tmp_path / "out"), table["id"])
    assert found.column_names == ["id", "time", "is_non_iid_issue", "non_iid_score"]
    flags, scores, judged = expected(features, TIMES)
    assert found["is_non_iid_issue"].to_pylist() == flags
    assert found["non_iid_score"].to_pylist() == scores
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["non_iid_statistic", None] == judged.statistic
    assert metrics["non_iid_p_value", None] == judged.p_value < 0.05
    assert metrics["non_iid_issues", None] == sum(flags) == 1
    assert metrics["mean_non_iid_score", None] == pytest.approx(np.mean(scores), abs=1e-12)
    assert f"order of {N} rows by time: not random, p-value {judged.p_value:.4f} " in done.stdout
    _, _, lowest = done.stdout.partition("(1 neighbours all over the table, 0 in one place):\n")
    shown = [line.split()[0] for line in lowest.splitlines()[1:11]]
    assert shown == np.argsort(scores, kind="stable")[:10].astype(str).tolist()


def test_by_the_id_the_same_rows_are_in_random_order(run, by_id):
    features = features_in_order()
    done = run(table_of(features), "noniid", num_permutations=9, seed=3)
    judged = expected(features, np.arange(N), num_permutations=9, seed=3)[2]
    assert done.metrics["non_iid_p_value", None] == judged.p_value > 0.05
    assert done.metrics["non_iid_issues", None] == 0
    assert f"order of {N} rows by id: random, p-value {judged.p_value:.4f} " in done.printed


def test_rows_without_a_place_are_set_aside(run, by_id):
    rows = table_of(features_in_order()).to_pylist()
    rows[30]["time"], rows[40]["features"], rows[50]["time"] = None, None, rows[51]["time"]
    table = pa.Table.from_pylist(rows)
    done = run(table, "noniid", order="time", ends=1)
    assert "4 of 120 rows cannot be scored" in done.error
    done = run(table, "noniid", order="time", k=3, on_invalid="quarantine")
    assert done.reasons == {"null order": 1, "null features": 1, "duplicate order": 2}
    fit = ~np.isin(np.arange(N), [30, 40, 50, 51])
    found = by_id(done.scores, pa.array(np.arange(N)[fit]))
    flags, scores, _ = expected(features_in_order()[fit], TIMES[fit], 3)
    assert found["non_iid_score"].to_pylist() == scores
    assert found["is_non_iid_issue"].to_pylist() == flags


def test_one_row_is_in_no_order(run):
    done = run(table_of(features_in_order()).slice(0, 1), "noniid", ends=1)
    assert done.error == "there are fewer than 2 rows, which are in no order"

"""What is recorded of runs that fail, and what is asked of the places of all that they write."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

import lq_spark
from lq_spark.engine.kinds import engine_of

GOOD = [0.7, 0.2, 0.1]
LABELS = [0, 1, 2, 1, 0]
PROBS = [GOOD, [0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.3, 0.4, 0.3], [0.2, 0.2, 0.6]]


def with_rows(ids, labels, pred_probs):
    """Return five good rows, ids 0 to 4, and further ones."""
    return pa.table(
        {
            "id": [*range(5), *ids],
            "label": pa.array([*LABELS, *labels], pa.int32()),
            "pred_probs": [*PROBS, *pred_probs],
        }
    )


def test_a_failed_run_leaves_the_earlier_tables_and_adds_one_row_to_the_metrics(
    run, spark, snapshot, tmp_path
):
    run(with_rows([], [], []), on_invalid="quarantine")
    tables = ["scores", "scores_quarantine"]
    before = [snapshot(tmp_path / table) for table in tables]
    metrics = tmp_path / "scores_metrics"
    metrics_before, n_before = snapshot(metrics), pq.read_table(metrics).num_rows
    started = datetime.datetime.now(datetime.timezone.utc)
    run(with_rows([5], [9], [GOOD]), ends=1)
    assert [snapshot(tmp_path / table) for table in tables] == before
    metrics_now = snapshot(metrics)
    assert metrics_before.items() <= metrics_now.items()
    assert len([name for name in metrics_now if name.endswith(".parquet")]) == 2

    rows = pq.read_table(metrics)
    assert rows.num_rows == n_before + 1
    places = {"input": str(tmp_path / "input.parquet"), "output": str(tmp_path / "scores")}
    [row] = [row for row in rows.to_pylist() if row["status"] == "failed"]
    assert row.pop("run_id") not in {
        run_id
        for run_id, status in zip(*(rows[c].to_pylist() for c in ("run_id", "status")), strict=True)
        if status != "failed"
    }
    started_at = row.pop("started_at").replace(tzinfo=datetime.timezone.utc)
    assert datetime.timedelta(0) < started_at - started < datetime.timedelta(minutes=1)
    assert row == {
        "source": places["input"],
        "source_version": None,
        "output": places["output"],
        "config_fingerprint": config_of(**places).fingerprint,
        "lq_spark_version": lq_spark.__version__,
        "engine": str(engine_of(spark)),
        "status": "failed",
        "metric": "failed",
        "class": "InvalidRowsError",
        "value": 1.0,
    }


@pytest.mark.parametrize(
    ("option", "place", "recorded"),
    [
        ("save_thresholds", "{tmp}/file/thresholds.json", ["TableError"]),
        ("metrics", "{tmp}/file/metrics", []),
        ("save_thresholds", "{tmp}/folder", ["TableError"]),
        ("save_thresholds", "file://{tmp}/thresholds.json", []),  # a config that is not valid
        ("metrics", "{tmp}/file", []),
        ("metrics", "nowhere://host/metrics", []),
    ],
)
def test_a_run_that_cannot_write_all_it_was_asked_for_writes_nothing(
    option, place, recorded, run, snapshot, failed_runs, tmp_path
):
    (tmp_path / "file").write_text("nothing lies below a file\n")
    (tmp_path / "folder").mkdir()
    run(with_rows([], [], []))
    before = snapshot(tmp_path / "scores")
    told = {option: place.format(tmp=tmp_path)}
    done = run(with_rows([5], [0], [GOOD]), ends=(1, 2), **told)
    assert done.error.startswith(f"{option}: ")
    assert snapshot(tmp_path / "scores") == before
    assert failed_runs(tmp_path / "scores_metrics") == recorded

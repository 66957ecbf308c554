import signal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import paths_below

N_CLASSES = 10


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A table whose scores take a while to write: (labels, pred_probs, path)."""
    n_rows = 3_000_000
    rng = np.random.default_rng(7)
    pred_probs = rng.random((n_rows, N_CLASSES), dtype=np.float32)
    pred_probs /= pred_probs.sum(axis=1, keepdims=True)
    labels = rng.integers(0, N_CLASSES, n_rows)
    lists = pa.FixedSizeListArray.from_arrays(pred_probs.ravel(), N_CLASSES)
    table = pa.table(
        {
            "id": np.arange(n_rows),
            "label": labels,
            "pred_probs": lists.cast(pa.list_(pa.float32())),
        }
    )
    path = tmp_path_factory.mktemp("large") / "source.parquet"
    pq.write_table(table, path, row_group_size=n_rows // 20)
    return labels, pred_probs, path


@pytest.fixture
def killed(submit_command, kill_while_it_writes):
    """Start the job, and kill it a while after it has begun to write to a place."""

    def run(place, *arguments, by_spark=False):
        line = submit_command(
            # Small batches in small tasks: slow enough to be hit.
            *arguments,
            **{
                "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
                "spark.sql.files.maxPartitionBytes": "1m",
            },
        )
        if by_spark:
            code = kill_while_it_writes(*line, (place / "_temporary").exists, 1.5)
        else:
            code = kill_while_it_writes(*line, lambda: paths_below(place), 0)
        assert code == -signal.SIGKILL, "the job had ended"
        assert place.exists()

    return run


@pytest.mark.spark
def test_a_killed_run_changes_nothing_and_the_next_one_clears_up(
    large, submit, killed, engine, write_folder, labelled_rows, snapshot, tmp_path
):
    labels, pred_probs, source = large
    output = write_folder(labelled_rows(50, 3)[2], tmp_path / "scores")
    before = snapshot(output)
    places = ["--input", source, "--output", output]
    staging, scratch = tmp_path / "scores.staging", tmp_path / "scores.scratch"
    killed(staging, *places)
    assert snapshot(output) == before

    if engine == "spark":
        killed(staging, *places, "--reader", "spark", by_spark=True)
        assert snapshot(output) == before
    else:  # where a run takes no ten seconds
        killed(scratch / "1", *places, "--find-issues")
        assert snapshot(output) == before
        assert not staging.exists()  # what the run before it had left

    done = submit(*places)
    assert done.code == 0, done.stderr
    scores = pq.read_table(output).sort_by("id")
    expected = pred_probs[np.arange(len(labels)), labels].astype(np.float64)
    np.testing.assert_array_equal(scores["label_quality"].to_numpy(), expected)
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {"scores", "scores_metrics"}

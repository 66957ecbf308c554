import os
import random
import signal
import subprocess
import time
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

N_ROWS, N_CLASSES = 300_000, 10


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A table whose scores take some seconds to write: (labels, pred_probs, path)."""
    rng = np.random.default_rng(7)
    pred_probs = rng.random((N_ROWS, N_CLASSES), dtype=np.float32)
    pred_probs /= pred_probs.sum(axis=1, keepdims=True)
    labels = rng.integers(0, N_CLASSES, N_ROWS)
    lists = pa.FixedSizeListArray.from_arrays(pred_probs.ravel(), N_CLASSES)
    table = pa.table(
        {
            "id": np.arange(N_ROWS),
            "label": labels,
            "pred_probs": lists.cast(pa.list_(pa.float32())),
        }
    )
    path = tmp_path_factory.mktemp("large") / "source.parquet"
    pq.write_table(table, path, row_group_size=N_ROWS // 20)
    return labels, pred_probs, path


def wait_until_it_writes(job, place):
    deadline = time.monotonic() + 120
    while not (place / "_temporary").exists():
        assert job.poll() is None, "the job ended before it wrote"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def kill_while_it_writes(submit_command, repository):
    """Start the job, and kill it a while after it has begun to write to a place."""

    def kill(place, *arguments):
        command, environment = submit_command(
            # Small batches in small tasks: slow enough to be hit.
            *arguments,
            **{
                "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
                "spark.sql.files.maxPartitionBytes": "1m",
            },
        )
        pause = random.uniform(0, 1.5)
        with subprocess.Popen(
            command,
            cwd=repository,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a group of its own: spark-submit, the JVM and the driver
        ) as job:
            try:
                wait_until_it_writes(job, place)
                time.sleep(pause)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGKILL)
        assert job.returncode == -signal.SIGKILL, f"the job had ended after {pause} s"
        assert place.exists()

    return kill


def test_a_killed_run_changes_nothing_and_the_next_one_clears_up(
    large, submit, kill_while_it_writes, write_folder, labelled_rows, snapshot, tmp_path
):
    labels, pred_probs, source = large
    output = write_folder(labelled_rows(50, 3)[2], tmp_path / "scores")
    before = snapshot(output)
    places = ["--input", source, "--output", output]
    staging, scratch = tmp_path / "scores.staging", tmp_path / "scores.scratch"
    kill_while_it_writes(staging, *places)
    assert snapshot(output) == before

    kill_while_it_writes(scratch / "1", *places, "--find-issues")
    assert snapshot(output) == before
    assert not staging.exists()  # what the run before it had left

    done = submit(*places)
    assert done.code == 0, done.stderr
    scores = pq.read_table(output).sort_by("id")
    expected = pred_probs[np.arange(N_ROWS), labels].astype(np.float64)
    np.testing.assert_array_equal(scores["label_quality"].to_numpy(), expected)
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {"scores", "scores_metrics"}

"""A Python worker that the system kills, as it does where memory runs out: the run says so."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import paths_below

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.spark, pytest.mark.spark_only]


def workers_of(pid):
    """Return the Python processes that run tasks below a process: children of its daemon."""
    children = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        children.setdefault(int(stat[1]), []).append((int(folder.name), command))
    found, below = [], [(pid, "")]
    for parent, parent_command in below:
        for child, command in children.get(parent, []):
            below.append((child, command))
            if "daemon" in parent_command and "daemon" in command:
                found.append(child)
    return found


def test_a_run_whose_worker_is_killed_changes_nothing(
    submit_command, write_folder, labelled_rows, snapshot, tmp_path
):
    n_rows, n_classes = 1_000_000, 10
    rng = np.random.default_rng(7)
    pred_probs = rng.random((n_rows, n_classes), dtype=np.float32)
    pred_probs /= pred_probs.sum(axis=1, keepdims=True)
    lists = pa.FixedSizeListArray.from_arrays(pred_probs.ravel(), n_classes)
    columns = {"id": np.arange(n_rows), "label": rng.integers(0, n_classes, n_rows)}
    table = pa.table({**columns, "pred_probs": lists.cast(pa.list_(pa.float32()))})
    pq.write_table(table, tmp_path / "source.parquet", row_group_size=n_rows // 20)
    output = write_folder(labelled_rows(50, 3)[2], tmp_path / "scores")
    before = snapshot(output)
    command, environment = submit_command(
        "--input", tmp_path / "source.parquet", "--output", output
    )
    attempts = tmp_path / "scores.staging"
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # where spark-submit has the errors of the driver
        text=True,
    ) as job:
        while not any(path.parent.name == ".attempts" for path in paths_below(attempts)):
            assert job.poll() is None, "the job ended before it wrote"
            time.sleep(0.005)
        for worker in workers_of(job.pid):
            os.kill(worker, signal.SIGKILL)
        printed, _ = job.communicate(timeout=120)
    assert job.returncode == 1
    said = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert "Python worker exited unexpectedly" in said[0]
    assert snapshot(output) == before
    assert not attempts.exists()

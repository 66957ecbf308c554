"""What the tests of the scoring job share: small tables, and the job itself in both its forms."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sessions import ON_THIS_MACHINE

# Scripts that a test starts with an environment of its own; doctest would import them for examples.
collect_ignore_glob = ["held_*.py"]

REPOSITORY = Path(__file__).resolve().parents[2]

SESSION_SETTINGS = {
    **ON_THIS_MACHINE,
    # A small table in the default 200 shuffle partitions would be 200 tiny tasks.
    "spark.sql.shuffle.partitions": "2",
}


@dataclass(frozen=True)
class Finished:
    """A process that has ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def repository():
    """The folder that the job is run from."""
    return REPOSITORY


@pytest.fixture(scope="session")
def submit_command(engine, jvm_options):
    """Return the command line and the environment of a job's file, run as users of an engine do."""
    return _python_command if engine == "embedded" else _spark_submit_command(jvm_options)


def _python_command(
    *arguments: object, script: str = "jobs/score_dataset.py", **settings_of_spark: object
):
    signs = ("REMOTE", "PYSPARK", "SPARK")
    environment = {k: v for k, v in os.environ.items() if not any(sign in k for sign in signs)}
    return [sys.executable, script, *map(str, arguments)], environment


def _spark_submit_command(jvm_options):
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    spark_submit = shutil.which("spark-submit", path=os.pathsep.join(folders))
    if spark_submit is None:
        pytest.skip("no spark-submit beside this Python or on the path")
    # Driver and workers have the packages of this run, and no Connect server of another test.
    environment = {key: value for key, value in os.environ.items() if "REMOTE" not in key}
    environment |= {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    environment["SPARK_SUBMIT_OPTS"] = jvm_options

    def command(*arguments: object, script: str = "jobs/score_dataset.py", **settings: object):
        line = [spark_submit, "--master", "local[2]"]
        line += ["--properties-file", "conf/spark-defaults.conf"]
        for name, value in {**SESSION_SETTINGS, **settings}.items():
            line += ["--conf", f"{name}={value}"]
        return [*line, script, *map(str, arguments)], environment

    return command


@pytest.fixture(scope="session")
def submit_alone(submit_command):
    """Run a job by a process of its own, as a scheduler does, and wait for its end."""

    def run(*arguments: object) -> Finished:
        command, environment = submit_command(*arguments)
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=180
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def kill_while_it_writes():
    """Start a run, and kill it up to some seconds after it has begun to write."""

    def kill(command, environment, has_begun, seconds: float) -> int:
        pause, end = random.uniform(0, seconds), time.monotonic() + 120
        with subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a group of its own: spark-submit, the JVM and the driver
        ) as job:
            try:
                while not has_begun():
                    assert job.poll() is None, "the job ended before it wrote"
                    assert time.monotonic() < end
                    time.sleep(0.01)
                time.sleep(pause)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGKILL)
        return job.returncode

    return kill


# What a Python worker says some time after its task was ended early, in an earlier run: another
# part of that run's query had failed. Several workers may say it at once, line by line.
_OF_DAEMON = re.compile(
    r"(?:(?:PySpark daemon failed to flush the output[^\n]*|Traceback \(most recent call last\):|"
    r"  File \"[^\"\n]*/pyspark/daemon\.py\"[^\n]*|    [^\n]*|BrokenPipeError:[^\n]*)\n)+"
)


def without_earlier_workers(log):
    """Return a log without what workers say whose pipe was closed before they had ended."""

    def kept(block):
        said = block.group()
        return "" if "daemon.py" in said and "BrokenPipeError" in said else said

    return _OF_DAEMON.sub(kept, log)


class Submitted:
    """A process that runs jobs one after the other: see submitted.py."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.folder, self.n_runs, self.errors = folder, 0, folder / "stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def run(self, script: str, *arguments: object) -> Finished:
        """Run a job; as spark-submit has it, both outputs of its Python are standard output."""
        printed, answer = self.folder / "printed", self.folder / f"{self.n_runs}.code"
        request = {"script": script, "arguments": list(map(str, arguments))}
        request["printed"] = str(printed)
        logged = self.errors.stat().st_size
        (self.folder / "request").write_text(json.dumps(request))
        (self.folder / "request").rename(self.folder / f"{self.n_runs}.json")
        self.n_runs += 1
        end = time.monotonic() + 180
        while not answer.exists():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < end, printed.read_text()
            time.sleep(0.02)
        log = without_earlier_workers(self.errors.read_bytes()[logged:].decode())
        return Finished(int(answer.read_text()), printed.read_text(), log)

    def stop(self) -> None:
        """End the process."""
        (self.folder / "stop").touch()
        self.process.wait(60)


@pytest.fixture(scope="session")
def submitted(submit_command, tmp_path_factory):
    """Run a job's file in a process that the jobs of this test run share."""
    folder = tmp_path_factory.mktemp("submitted")
    shared = Submitted(*submit_command(folder, script="tests/jobs/submitted.py"), folder)
    yield shared.run
    shared.stop()


@pytest.fixture(scope="session")
def submit(submitted):
    """Run the main job, by spark-submit or on the embedded engine."""
    return partial(submitted, "jobs/score_dataset.py")


@pytest.fixture(scope="session")
def expected_error():
    """Assert an exit code and that what was printed is the one line of an expected error.

    ``logged`` are the starts of lines that are logged before.
    """

    def check(done, code, *logged):
        printed = done.stdout + done.stderr
        assert done.code == code, printed
        assert "Traceback" not in printed
        assert "\tat " not in printed  # a line of a Java stack
        [line] = [line for line in printed.splitlines() if line.startswith("error: ")]
        if done.stdout:
            *before, last = done.stdout.splitlines()
            assert last == line
            assert len(before) == len(logged)
            assert all(map(str.startswith, before, logged))
        return line

    return check


@pytest.fixture(scope="session")
def labelled_rows():
    """Make a table of random labels and probabilities: (labels, pred_probs, Arrow table).

    Some 70 % of the labels are the model's own prediction. Ids are in no order.
    """

    def make(n_rows, n_classes, *, seed=0, dtype=np.float64, classes=None, **columns):
        rng = np.random.default_rng(seed)
        pred_probs = rng.dirichlet(np.full(n_classes, 0.5), n_rows).clip(0.0, 1.0).astype(dtype)
        given = rng.integers(0, n_classes, n_rows)
        labels = np.where(rng.random(n_rows) < 0.7, pred_probs.argmax(axis=1), given)
        table = {
            "id": pa.array(rng.permutation(n_rows) + 1000),
            "label": (
                pa.array(labels, pa.int32())
                if classes is None
                else pa.array(np.array(classes)[labels].tolist())
            ),
            "pred_probs": pa.array(list(pred_probs)),
            **columns,
        }
        return labels, pred_probs, pa.table(table)

    return make


@pytest.fixture(scope="session")
def write_folder():
    """Write a table as a folder of a few Parquet files, as a cluster leaves it."""

    def write(table: pa.Table, folder: Path, n_files: int = 3) -> Path:
        folder.mkdir(parents=True)
        size = -(-table.num_rows // n_files)
        for part in range(n_files):
            pq.write_table(table.slice(part * size, size), folder / f"part-{part:05}.parquet")
        (folder / "_SUCCESS").touch()
        return folder

    return write


@pytest.fixture(scope="session")
def snapshot():
    """Return every file below a folder with its bytes."""

    def read(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    return read


@pytest.fixture(scope="session")
def by_id():
    """Return the rows of a table in the order of another table's ids: a join."""

    def join(scores: pa.Table, ids: pa.ChunkedArray) -> pa.Table:
        assert sorted(scores["id"].to_pylist()) == sorted(ids.to_pylist())
        position = {key: row for row, key in enumerate(scores["id"].to_pylist())}
        return scores.take([position[key] for key in ids.to_pylist()])

    return join


@pytest.fixture(scope="session")
def read_metrics():
    """Return the metrics of a metrics table: {run id: {(metric, class): value}}."""

    def read(folder: Path) -> dict[str, dict[tuple[str, str | None], float]]:
        runs: dict[str, dict[tuple[str, str | None], float]] = {}
        for row in pq.read_table(folder).to_pylist():
            metrics = runs.setdefault(row["run_id"], {})
            assert (row["metric"], row["class"]) not in metrics
            metrics[row["metric"], row["class"]] = row["value"]
        return runs

    return read


@pytest.fixture(scope="session")
def failed_runs():
    """Return the error of each failed run in a metrics table, oldest first; it has no other row."""

    def read(folder: Path) -> list[str]:
        rows = pq.read_table(folder).sort_by("started_at").to_pylist()
        failed = [row for row in rows if row["status"] == "failed"]
        assert all((row["metric"], row["value"]) == ("failed", 1.0) for row in failed)
        assert len({row["run_id"] for row in failed}) == len(failed)
        return [row["class"] for row in failed]

    return read


@pytest.fixture(scope="session")
def assert_health():
    """Assert that what a run added to the health tables is what core says of the same rows."""
    # Imported here: core needs pandas for these alone.
    from lq_spark.core.health import find_overlapping_classes, rank_classes_by_label_quality

    def check(metrics, run_id, labels, pred_probs, names, **other_joint):
        classes = rank_classes_by_label_quality(labels, pred_probs, **other_joint)
        overlaps = find_overlapping_classes(labels, pred_probs, asymmetric=True, **other_joint)
        overlaps = overlaps[overlaps["Joint Probability"] > 0]
        for table, expected, n_keys in (("classes", classes, 1), ("overlaps", overlaps, 2)):
            rows = pq.read_table(f"{metrics}_{table}", filters=[("run_id", "=", run_id)])
            rows = rows.drop_columns(rows.column_names[:9])  # which run it was
            keys = rows.column_names[: 2 * n_keys : 2]
            for key in keys:
                name = key.removesuffix("_index") if n_keys == 2 else "class"
                assert rows[name].to_pylist() == [names[k] for k in rows[key].to_pylist()]
                rows = rows.drop_columns(name)
            found = rows.to_pandas().sort_values(keys)
            expected = expected.sort_values(list(expected.columns[:n_keys]))
            assert len(found) == len(expected) > 0
            for column, other in zip(found.columns, expected.columns, strict=True):
                np.testing.assert_array_equal(found[column], expected[other], column)

    return check


@pytest.fixture(scope="session")
def run_in(_spark_session):
    """Run a job in a folder, in the tests' own session: see :func:`runs.run_job`."""
    # Imported here, so that the tests of core run without it.
    from runs import run_job

    return partial(run_job, _spark_session)


@dataclass
class Place:
    """Names for tables of one test, in each format: Sail has Iceberg tables by path."""

    folder: object
    namespace: str | None

    def name(self, table_format, table):
        if table_format == "iceberg" and self.namespace:
            return f"lake.{self.namespace}.{table}"
        return str(self.folder / f"{table}_{table_format}")


@pytest.fixture
def place(spark, engine, interpreted, tmp_path):
    if engine == "embedded":
        yield Place(tmp_path, None)
        return
    spark.sql("CREATE NAMESPACE lake.jobs")
    yield Place(tmp_path, "jobs")
    for row in spark.sql("SHOW TABLES IN lake.jobs").collect():
        spark.sql(f"DROP TABLE lake.jobs.{row['tableName']}")
    spark.sql("DROP NAMESPACE lake.jobs")


@pytest.fixture(scope="session")
def run_many(_spark_session):
    """Run the configurations of a folder in the tests' own session: see runs.run_folder."""
    from runs import run_folder

    return partial(run_folder, _spark_session)


@pytest.fixture
def run(spark, tmp_path, run_in):
    """Run a job in the folder of the test."""
    return partial(run_in, tmp_path)

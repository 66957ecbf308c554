"""The job on a standalone cluster: how it gets there, and what it does where parts of it fail."""

import importlib.util
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster import Running, python_without_project, standalone
from runs import paths_below

pytestmark = pytest.mark.spark_only

JOB = Path("jobs") / "score_dataset.py"

SHUFFLED_BYTES = 10_000
"""A file with all rows that a task of Spark's reader makes has more; with sums of them, less."""


@pytest.fixture(scope="module")
def cluster(jvm_options, tmp_path_factory):
    with standalone(tmp_path_factory.mktemp("cluster"), jvm_options) as running:
        yield running


@pytest.fixture(scope="module")
def zipped(tmp_path_factory, repository):
    """The package as a zip."""
    folder = tmp_path_factory.mktemp("zipped")
    return shutil.make_archive(str(folder / "lq_spark"), "zip", repository, "lq_spark")


@pytest.fixture(scope="module")
def installed(cluster, repository, tmp_path_factory):
    """The cluster with a Python that has the project's wheel."""
    folder = tmp_path_factory.mktemp("installed")
    python = python_without_project(folder / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    has_backend = importlib.util.find_spec("hatchling") is not None
    build = ["--no-build-isolation"] if has_backend else []
    wheel = [*pip, "wheel", "--quiet", "--no-deps", *build, "--wheel-dir", folder, repository]
    subprocess.run(wheel, check=True)
    [made] = folder.glob("*.whl")
    packages = next(python.parents[1].glob("lib/*/site-packages"))
    subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--target", packages, made], check=True
    )
    return replace(cluster, python=python)


@pytest.fixture(scope="module")
def table(labelled_rows, write_folder, repository, tmp_path_factory):
    """A table of several tasks, and its scores by the embedded engine."""
    folder = tmp_path_factory.mktemp("table")
    n_rows, n_files = 12_000, 3
    # Workers split a table by the bytes of its files: most are of a column that nobody reads.
    picture = pa.array([bytes(15_000)] * n_rows)
    *_, rows = labelled_rows(n_rows, 5, picture=picture)
    source = folder / "source"
    source.mkdir()
    for part in range(n_files):
        path, size = source / f"part-{part}.parquet", n_rows // n_files
        options = {"row_group_size": 1000, "compression": "none", "use_dictionary": False}
        pq.write_table(rows.slice(part * size, size), path, **options)
    arguments = ["--input", source, "--find-issues", "--adjust-pred-probs", "--issue-rank"]
    line = [sys.executable, JOB, *arguments, "--engine", "embedded", "--output", folder / "scores"]
    subprocess.run(line, cwd=repository, check=True, capture_output=True)
    expected = pq.read_table(folder / "scores").sort_by("id")
    return SimpleNamespace(arguments=arguments, expected=expected)


@pytest.fixture
def start(table, repository, tmp_path):
    """Start the job on a cluster, with its output in ``scores``; it ends with the test."""
    started = []

    def run(cluster, *arguments, script=JOB, **options):
        arguments = [*table.arguments, "--output", tmp_path / "scores", *arguments]
        folder = tmp_path / f"run-{len(started)}"
        folder.mkdir()
        started.append(Running(cluster, folder, repository / script, *arguments, **options))
        return started[-1]

    yield run
    for each in started:
        each.stop()


@pytest.fixture
def assert_same(table, tmp_path):
    """Assert that a run has written the scores of the embedded engine, in every bit."""

    def check(run):
        printed = run.wait()
        assert run.process.returncode == 0, printed
        # Of a Delta table that has one version, too.
        scores = pq.read_table([str(path) for path in (tmp_path / "scores").glob("*.parquet")])
        assert scores.sort_by("id").equals(table.expected)

    return check


def test_a_python_of_the_cluster_lacks_the_project(cluster):
    line = [cluster.python, "-c", "import numpy, pydantic, pyspark; import lq_spark"]
    environment, folder = cluster.environment, cluster.folder
    done = subprocess.run(line, env=environment, cwd=folder, capture_output=True, text=True)
    assert "ModuleNotFoundError: No module named 'lq_spark'" in done.stderr


def test_a_zip_goes_there_and_a_slow_task_is_overtaken(
    cluster, zipped, start, assert_same, tmp_path
):
    """The slow one has a file half written, and never ends."""
    report = tmp_path / "report.html"
    run = start(
        cluster,
        *("--reader", "files", "--report", report),
        flags=["--py-files", zipped],
        held=1,
        **{
            "spark.speculation": "true",
            "spark.speculation.quantile": "0.1",
            "spark.speculation.multiplier": "1.1",
        },
    )
    assert_same(run)
    assert len(run.held()) == 1
    assert run.n_tasks("TaskKilled") >= 1  # on a busy machine others may be slow, too
    assert run.n_tasks("Success", speculative=True) >= 1
    assert "<html" in report.read_text()


def test_an_installed_wheel_runs_on_without_an_executor(installed, start, assert_same):
    """It is killed as it writes a file, which is half there."""
    run = start(installed, "--reader", "files", held=2)
    run.wait_for(lambda: len(run.held()) == 2)
    run.kill_executor()
    run.open()
    assert_same(run)
    assert run.n_tasks("ExecutorLostFailure") == 1


def test_a_lost_shuffle_file_is_made_again(cluster, zipped, start, assert_same):
    def large(but=frozenset()):
        found = set()
        for path in paths_below(cluster.local):
            with suppress(FileNotFoundError):
                if path.match("shuffle_*.data") and path.stat().st_size > SHUFFLED_BYTES:
                    found.add(path)
        return found - but

    for _ in range(5):  # a file may have been read before it is deleted
        earlier = large()
        run = start(cluster, "--reader", "spark", flags=["--py-files", zipped])
        run.wait_for(partial(large, earlier)).pop().unlink(missing_ok=True)
        assert_same(run)
        if run.n_tasks("FetchFailed"):
            return
    pytest.fail("each file that was deleted had been read before")


def test_executors_come_and_go(installed, start, assert_same):
    run = start(
        installed,
        *("--reader", "files"),
        held=1,
        **{
            "spark.dynamicAllocation.enabled": "true",
            "spark.dynamicAllocation.shuffleTracking.enabled": "true",
            "spark.dynamicAllocation.shuffleTracking.timeout": "1s",
            "spark.dynamicAllocation.minExecutors": "0",
            "spark.dynamicAllocation.executorIdleTimeout": "1s",
            "spark.dynamicAllocation.schedulerBacklogTimeout": "1s",
        },
    )
    # While a task of one executor waits, the other has nothing to do.
    run.wait_for(run.held)
    run.wait_for(lambda: run.events("SparkListenerExecutorRemoved"))
    run.open()
    assert_same(run)
    assert len(run.events("SparkListenerExecutorAdded")) > 1


def test_rows_of_a_delta_table_outlive_an_executor(installed, repository, start, assert_same):
    """Executors keep them until all of them are put in place."""
    jars = sorted((repository / ".jars" / "jars").glob("io.*.jar"))
    catalog = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
    run = start(
        installed,
        *("--output-format", "delta", "--reader", "spark"),
        script=Path("tests") / "jobs" / "held_commit.py",
        **{
            "spark.jars": ",".join(map(str, jars)),
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": catalog,
            "spark.databricks.delta.snapshotPartitions": "2",
            # Many parts, of which each executor has some.
            "spark.sql.adaptive.coalescePartitions.enabled": "false",
        },
    )
    run.wait_for(run.held)
    run.kill_executor()
    run.open()
    assert_same(run)
    assert run.events("SparkListenerExecutorRemoved")

"""A run killed while it writes Delta; scripts/kill_runs.py kills many, on every format."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress

import pytest

from lq_spark.tables.formats import read_table
from lq_spark.tables.spec import TableSpec

OLD, NEW = "self_confidence", "normalized_margin"


@pytest.fixture
def run(batch_size, labelled_rows, run_in, tmp_path):
    """Score one table by a method, in session; ``batch_size`` as a run sets it."""
    *_, table = labelled_rows(20_000, 3)
    return lambda method: run_in(tmp_path, table, output_format="delta", method=method)


@pytest.fixture
def kill_while_it_writes(spark, submit_command, repository, tmp_path):
    """Start a run by spark-submit, and kill it a while after the first change of its output."""
    names = ("spark.jars", "spark.sql.extensions", "spark.sql.catalog.spark_catalog")
    settings = {name: spark.conf.get(name) for name in names}

    def kill(output, method):
        command, environment = submit_command(
            *("--input", tmp_path / "input.parquet", "--output", output),
            *("--output-format", "delta", "--method", method),
            **settings,
        )
        before = set(output.rglob("*"))
        with subprocess.Popen(
            command,
            cwd=repository,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a group of its own: spark-submit, the JVM and the driver
        ) as job:
            try:
                while set(output.rglob("*")) == before:
                    assert job.poll() is None, "the job ended before it wrote"
                    time.sleep(0.01)
                time.sleep(random.uniform(0, 1))
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGKILL)

    return kill


def test_it_leaves_the_old_scores_or_the_new(spark, run, kill_while_it_writes, tmp_path):
    output = tmp_path / "scores"

    def scores():
        rows = read_table(spark, TableSpec(str(output), format="delta")).df
        return {row["id"]: row["label_quality"] for row in rows.collect()}

    run(NEW)
    new = scores()
    run(OLD)
    old = scores()
    assert old != new
    kill_while_it_writes(output, NEW)
    assert scores() in (old, new)
    run(NEW)
    assert scores() == new

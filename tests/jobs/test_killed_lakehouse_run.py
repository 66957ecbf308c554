"""A run killed while it writes Delta; scripts/kill_runs.py kills many, on every format."""

import pytest
from runs import paths_below

from lq_spark.tables.formats import read_table
from lq_spark.tables.spec import TableSpec

OLD, NEW = "self_confidence", "normalized_margin"


@pytest.fixture
def run(labelled_rows, run_in, tmp_path):
    """Score one table by a method, in session."""
    *_, table = labelled_rows(20_000, 3)
    return lambda method: run_in(tmp_path, table, output_format="delta", method=method)


@pytest.fixture
def killed(spark, engine, submit_command, kill_while_it_writes, tmp_path):
    """Start a run as a process, and kill it a while after the first change of its output."""
    settings = {}
    if engine != "embedded":
        names = ("spark.jars", "spark.sql.extensions", "spark.sql.catalog.spark_catalog")
        settings = {name: spark.conf.get(name) for name in names}

    def run(output, method):
        line = submit_command(
            *("--input", tmp_path / "input.parquet", "--output", output),
            *("--output-format", "delta", "--method", method),
            **settings,
        )
        before = paths_below(output)
        kill_while_it_writes(*line, lambda: paths_below(output) != before, 1)

    return run


def test_it_leaves_the_old_scores_or_the_new(spark, run, killed, tmp_path):
    output = tmp_path / "scores"

    def scores():
        rows = read_table(spark, TableSpec(str(output), format="delta")).df
        return {row["id"]: row["label_quality"] for row in rows.collect()}

    run(NEW)
    new = scores()
    run(OLD)
    old = scores()
    assert old != new
    killed(output, NEW)
    assert scores() in (old, new)
    run(NEW)
    assert scores() == new

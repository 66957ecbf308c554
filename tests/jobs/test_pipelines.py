"""The example of a declarative pipeline, run by Spark's own command as people run it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from lq_spark import multiclass

pytest.importorskip("pyspark.pipelines", reason="declarative pipelines came with Spark 4.1")
pytestmark = pytest.mark.spark_only

N_CLASSES = 3
GOOD, BAD = "0.9", "0.05"
"""The issue rate that is allowed, of a run that passes and of one that does not."""

PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def source(_spark_session, labelled_rows, write_folder, tmp_path_factory):
    """New labels, some of which cannot be scored, and what older ones were fitted to."""
    spark = _spark_session
    folder = tmp_path_factory.mktemp("pipelines")
    *_, old = labelled_rows(300, N_CLASSES, seed=1)
    *_, new = labelled_rows(200, N_CLASSES, seed=2)
    rows = new.to_pylist()
    rows[3]["label"], rows[5]["pred_probs"] = None, [0.5, 0.5]
    rows[8]["id"] = rows[7]["id"]
    new = write_folder(pa.Table.from_pylist(rows, new.schema), folder / "new")
    fitted = multiclass.fit(spark.read.parquet(str(write_folder(old, folder / "old"))))
    fitted.save(str(folder / "fitted.json"))
    return SimpleNamespace(folder=folder, path=new, fitted=fitted, df=spark.read.parquet(str(new)))


@pytest.fixture(scope="module")
def server(source, repository, jvm_options):
    """A server of Spark Connect that has no tables yet, and the variables of its clients."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    inherited = {key: value for key, value in os.environ.items() if "SPARK" not in key}
    environment = inherited | {
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(repository),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": jvm_options,
    }
    line = [PROGRAMS / "spark-submit", "--master", "local[2]"]
    line += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    for setting in (
        f"spark.connect.grpc.binding.port={port}",
        "spark.ui.enabled=false",
        "spark.sql.shuffle.partitions=2",
        "spark.sql.codegen.wholeStage=false",
    ):
        line += ["--conf", setting]
    log = source.folder / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*map(str, line), "spark-internal"],
            cwd=source.folder,
            env=environment,
            stdout=errors,
            stderr=errors,
        ) as process,
    ):
        while not _listens(port):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield environment | {"SPARK_REMOTE": f"sc://localhost:{port}"}
        process.terminate()


def _listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def runs(source, repository, server):
    """A dry run, a run that passes, and one whose gate fails, one after the other."""

    def run(command, max_issue_rate, *line):
        project = source.folder / f"allowed {max_issue_rate}"
        shutil.copytree(repository / "jobs" / "pipelines", project, dirs_exist_ok=True)
        spec = project / "spark-pipeline.yml"
        told = yaml.safe_load(spec.read_text())
        told["storage"] = (source.folder / "storage").as_uri()
        told["configuration"] |= {
            "label_quality.input": str(source.path),
            "label_quality.fitted": "../fitted.json",
            "label_quality.max_issue_rate": max_issue_rate,
        }
        spec.write_text(yaml.safe_dump(told))
        done = subprocess.run(
            [*map(str, line), command, "--spec", str(spec)],
            env=server,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
        )
        folders = sorted((source.folder / "spark-warehouse").glob("*"))
        tables = {folder.name: pq.read_table(folder) for folder in folders}
        return SimpleNamespace(printed=done.stdout, code=done.returncode, tables=tables)

    # Spark's command, and what it starts in a JVM of its own.
    spark_pipelines = (PROGRAMS / "spark-pipelines", "--remote", server["SPARK_REMOTE"])
    python = (sys.executable, "-m", "pyspark.pipelines.cli")
    return SimpleNamespace(
        dry=run("dry-run", GOOD, *python),
        good=run("run", GOOD, *spark_pipelines),
        bad=run("run", BAD, *python),
    )


def rows_of(table):
    """Return the rows of a table in an order of their own, floats as their bits."""
    columns = {
        name: column.to_numpy().view(np.int64).tolist()
        if pa.types.is_float64(column.type) and not column.null_count
        else column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return sorted(zip(*columns.values(), strict=True), key=repr)


def test_the_pipeline_completes(runs):
    assert runs.good.code == 0, runs.good.printed
    assert "Run is COMPLETED." in runs.good.printed


def test_labels_are_as_they_came(runs, source):
    assert rows_of(runs.good.tables["labels"]) == rows_of(source.df.toArrow())


def test_scores_are_those_of_the_functions_to_the_bit(runs, source):
    options = {"thresholds": source.fitted.thresholds, "adjust_pred_probs": True}
    checked = multiclass.validate(source.df, id="id", n_classes=N_CLASSES)
    scored = multiclass.score(checked, predicted_label=True, on_invalid="null", **options)
    table = runs.good.tables["label_scores"]
    assert table.num_rows == 200
    assert rows_of(table) == rows_of(scored.select(*table.column_names).toArrow())
    reasons = table["invalid_reason"].drop_null().to_pylist()
    assert sorted(reasons) == [
        *("duplicate id", "duplicate id", "null label", "pred_probs of wrong length"),
    ]


def test_issues_are_those_of_the_functions_to_the_bit(runs, source):
    checked = multiclass.validate(source.df, id="id", n_classes=N_CLASSES)
    usable = checked.where("invalid_reason is null").drop("invalid_reason")
    found = multiclass.find_issues(
        usable, fitted=source.fitted, filter_by="confident_learning", adjust_pred_probs=True
    )
    table = runs.good.tables["label_issues"]
    assert rows_of(table) == rows_of(found.select(*table.column_names).toArrow())
    [gate] = runs.good.tables["label_gate"].to_pylist()
    n_issues = sum(table["is_label_issue"].to_pylist())
    assert gate == {"rows": 196, "issues": n_issues, "issue_rate": n_issues / 196}
    assert n_issues > 0


def test_the_gate_fails_the_pipeline_and_says_why(runs, source):
    [gate] = runs.good.tables["label_gate"].to_pylist()
    bad = runs.bad
    assert bad.code != 0
    assert (
        f"gate failed: {gate['issues']} of {gate['rows']} labels are issues, allowed is a rate of "
        f"{BAD}"
    ) in bad.printed
    assert rows_of(bad.tables["label_issues"]) == rows_of(runs.good.tables["label_issues"])


def test_a_dry_run_writes_nothing(runs):
    assert runs.dry.code == 0, runs.dry.printed
    assert "Run is COMPLETED." in runs.dry.printed
    assert runs.dry.tables == {}

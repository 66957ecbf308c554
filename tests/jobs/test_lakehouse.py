"""The job on Delta and Iceberg tables: the numbers of Parquet, pinned sources, merged outputs."""

import re
import threading
from functools import partial

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from runs import execute, metrics_of

from lq_spark.core.confident import estimate_joint
from lq_spark.errors import LqError
from lq_spark.job.results import RunResults
from lq_spark.tables.formats import read_table, write_table
from lq_spark.tables.spec import TableSpec
from lq_spark.tables.transactions import TransactionalOutput

ICEBERG = pytest.param("iceberg", marks=pytest.mark.spark)
MERGED = ["delta", pytest.param("iceberg", marks=pytest.mark.spark_only)]


@pytest.fixture
def source(spark, place, labelled_rows):
    """Write one table in a format; return its name."""

    def write(table_format, n_rows=300, seed=3, mode="overwrite", first=0):
        _, _, table = labelled_rows(n_rows, 4, seed=seed)
        pq.write_table(table, place.folder / "rows.parquet")
        df = spark.read.parquet(str(place.folder / "rows.parquet"))
        df = df.withColumn("id", df["id"] + first)
        name = place.name(table_format, "source")
        write_table(df, TableSpec(name, "source", table_format, mode=mode))
        return name

    return write


@pytest.fixture
def run(run_in, place):
    """Run the job on a table."""

    def score(source, output_format="parquet", ends=0, **flags):
        flags = {"output": place.name(output_format, "scores"), **flags}
        return run_in(place.folder, source, ends=ends, output_format=output_format, **flags)

    return score


def scores(spark, done):
    rows = read_table(spark, done.config.outputs["output"]).df.collect()
    return {row["id"]: row.asDict() for row in rows}


def metrics(spark, done, status=None):
    """Return {run id: {(metric, class): value}} of the metrics table."""
    rows = read_table(spark, done.config.records["metrics"]).df.toArrow()
    return metrics_of(rows.filter(pc.equal(rows["status"], status)) if status else rows)


OPTIONS = {"find_issues": True, "adjust_pred_probs": True, "issue_rank": True}


@pytest.mark.spark
def test_scores_and_issues_are_those_of_the_parquet_run(spark, engine, source, run):
    first = run(source("parquet"), **OPTIONS)
    expected = scores(spark, first)
    [of_parquet] = metrics(spark, first).values()
    ways = [("delta", "iceberg"), ("iceberg", "delta")]
    if engine == "embedded":  # where a run takes no five seconds
        ways += [("delta", "delta"), ("iceberg", "iceberg")]
    for source_format, output_format in ways:
        done = run(source(source_format), output_format, **OPTIONS)
        assert scores(spark, done) == expected
        found = metrics(spark, done)[done.run_id]
        assert found.keys() == of_parquet.keys()
        same = [key for key in found if key[0] != "seconds"]
        assert [found[key] for key in same] == [of_parquet[key] for key in same]


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_folder_is_scored_as_the_table_it_is(table_format, spark, source, run):
    """Not by its Parquet files, of which some hold rows that were overwritten."""
    source(table_format, 300)
    name = source(table_format, 40)
    done = run(name)
    assert len(scores(spark, done)) == 40
    read = f"input read as {table_format} version "
    assert read in done.printed.splitlines()[0]
    error = run(name, ends=2, input_format="parquet").error
    assert re.match(r"input: .* must be '(delta|iceberg)' or left out", error)


@pytest.mark.parametrize("option", ["output", "metrics", "quarantine"])
def test_parquet_is_not_written_into_a_table_of_another_format(option, source, run, tmp_path):
    there = source("delta", 40)
    before = sorted((tmp_path / "source_delta").rglob("*"))
    done = run(source("parquet"), ends=2, on_invalid="quarantine", **{option: there})
    assert re.match(rf"{option}: .*is a Delta table, not parquet", done.error)
    assert sorted((tmp_path / "source_delta").rglob("*")) == before


@pytest.fixture
def before_writing(monkeypatch):
    """Do something, and another thing, before a run writes rows down: after its first passes."""

    def put(*actions):
        left, scratch = list(actions), TransactionalOutput.scratch

        def write(output, df, *reductions):
            if left:
                left.pop()()
            return scratch(output, df, *reductions)

        monkeypatch.setattr(TransactionalOutput, "scratch", write)

    return put


@pytest.mark.parametrize("table_format", ["delta", ICEBERG])
def test_all_passes_see_the_version_that_was_opened(
    table_format, spark, source, run, before_writing
):
    name = source(table_format)
    more = partial(source, table_format, 30, mode="append")
    before_writing(partial(more, seed=4, first=5000), partial(more, seed=5, first=9000))
    done = run(name, table_format, **OPTIONS)
    found = scores(spark, done)
    assert len(found) == 300
    recorded = (
        read_table(spark, done.config.records["metrics"]).df.select("source_version").distinct()
    )
    [(version,)] = recorded.collect()
    assert read_table(spark, TableSpec(name, format=table_format)).df.count() == 360
    again = run(name, table_format, input_version=version, **OPTIONS)
    assert scores(spark, again) == found


@pytest.mark.spark
@pytest.mark.parametrize("table_format", MERGED)
def test_new_rows_are_merged_and_a_second_run_changes_nothing(
    table_format, spark, place, source, run
):
    done = run(source("parquet", 100), table_format, write_mode="merge")
    before = scores(spark, done)  # of the ids 1000 to 1099
    new = run(source("parquet", 50, seed=4, first=75), output=str(place.folder / "new"))
    added = scores(spark, new)  # of the ids 1075 to 1124
    for _ in range(2):
        run(source("parquet", 50, seed=4, first=75), table_format, write_mode="merge")
        assert scores(spark, done) == {**before, **added}
    assert len(metrics(spark, done)) == 3


def test_a_failed_run_leaves_the_output_and_a_row_that_says_so(spark, source, run):
    done = run(source("parquet"), "iceberg")
    before = scores(spark, done)
    run(source("parquet"), "iceberg", ends=1, n_classes=3)
    assert scores(spark, done) == before
    [failed] = metrics(spark, done, "failed").values()
    assert failed == {("failed", "InvalidRowsError"): 1.0}


@pytest.mark.spark
@pytest.mark.parametrize("table_format", MERGED)
def test_two_runs_at_once_lose_nothing(table_format, spark, source, run):
    name = source("parquet")
    done = run(name, table_format, write_mode="merge")
    expected = scores(spark, done)
    config, errors = done.config, []

    def score():
        try:
            execute(spark, config)
        except LqError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=score) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(error.startswith("output: cannot write ") for error in errors)
    assert len(errors) < 2
    assert scores(spark, done) == expected
    assert len(metrics(spark, done, "succeeded")) == 3 - len(errors)
    assert len(metrics(spark, done, "failed")) == len(errors)


def test_rows_set_aside_go_to_a_table_of_the_same_format(spark, place, source, run):
    _ = source("delta")
    bad = spark.createDataFrame(
        [(7, 1, [0.5, 0.5])], "id long, label int, pred_probs array<double>"
    )
    name = place.name("delta", "source")
    write_table(bad, TableSpec(name, "source", "delta", mode="append"))
    done = run(name, "delta", on_invalid="quarantine", n_classes=4)
    assert len(scores(spark, done)) == 300
    [row] = read_table(spark, done.config.quarantines["quarantine"]).df.collect()
    assert (row["id"], row["invalid_reason"]) == (7, "pred_probs of wrong length")
    assert "(1 rows: pred_probs of wrong length: 1)" in done.printed


def test_an_output_of_other_columns_is_refused_before_anything_is_written(spark, source, run):
    done = run(source("parquet"), "delta", write_mode="append")
    before = scores(spark, done)
    error = run(source("parquet"), "delta", ends=2, write_mode="append", find_issues=True).error
    assert re.match(r"output: the columns of .*it has no 'is_label_issue'", error)
    assert scores(spark, done) == before


def test_drift_is_measured_from_the_last_run_that_succeeded(source, run, labelled_rows):
    options = {**OPTIONS, "n_classes": 4}

    def drift_of(done):
        return {key: value for key, value in done.metrics.items() if key[0].startswith("drift_")}

    first = run(source("parquet"), **options)
    assert drift_of(first) == {}
    same = run(source("parquet"), **options)
    assert set(drift_of(same).values()) == {0.0}
    run(source("parquet"), ends=1, n_classes=3)
    other = run(source("parquet", seed=8), **options)
    now, before, drift = other.metrics, same.metrics, drift_of(other)
    changes = {key: now[key] - before[key] for key in before if key[0] == "class_threshold"}
    assert changes == {
        ("class_threshold", name): value
        for name, value in other.metrics_named("drift_class_threshold").items()
    }
    shares = [
        np.array([run["class_rows", str(k)] for k in range(4)]) / 300 for run in (now, before)
    ]
    difference = shares[0] - shares[1]
    assert [drift["drift_class_share", str(k)] for k in range(4)] == list(difference)
    assert drift["drift_class_shares", None] == pytest.approx(abs(difference).sum() / 2)
    rates = (now["issue_rate", None], before["issue_rate", None])
    assert drift["drift_issue_rate", None] == rates[0] - rates[1]
    joints = [estimate_joint(*labelled_rows(300, 4, seed=seed)[:2]) for seed in (8, 3)]
    distance = abs(joints[0] - joints[1]).sum() / 2
    assert drift["drift_joint", None] == pytest.approx(distance, abs=1e-12)
    reference = run(source("parquet", seed=8), reference=first.run_id, **options)
    assert drift_of(reference) == drift
    never = run(source("parquet"), ends=2, reference="never")
    assert "reference: no successful run 'never'" in never.error


def test_a_gate_is_judged_against_earlier_runs_that_succeeded(spark, source, run):
    options = {
        "find_issues": True,
        "fail_if": ["issue_rate > 1.5 * previous(issue_rate)", "rows > 250"],
    }
    first = run(source("parquet", 200), **options)
    assert first.metrics_named("fail_if") == dict(zip(options["fail_if"], (None, 0.0), strict=True))
    second = run(source("parquet"), ends=3, **options)
    assert list(metrics(spark, second, "gate_failed")) == [second.run_id]
    assert second.metrics["fail_if", "rows > 250"] == 1.0
    # What has failed the gate is no measure for the next.
    third = run(source("parquet", 200), **options)
    assert third.metrics["drift_issue_rate", None] == 0.0
    assert "fail_if MET: rows > 250: rows 300" in second.printed


def test_sentences_and_tokens_are_merged_by_their_keys(spark, run, place):
    rows = [
        (1, [0, 1], [[0.9, 0.1], [0.8, 0.2]]),
        (2, [1], [[0.3, 0.7]]),
        (3, [0, 0, 1], [[0.6, 0.4], [0.2, 0.8], [0.1, 0.9]]),
    ]
    columns = "sentence_id long, labels array<int>, pred_probs array<array<double>>"
    name = str(place.folder / "sentences")
    spark.createDataFrame(rows, columns).write.parquet(name)
    found = {}
    for output_format in ("parquet", "delta", "delta"):
        keys = {"write_mode": "merge", "find_issues": True}
        config = run(name, output_format, task="tokens", **keys).config
        found[output_format] = [
            sorted(read_table(spark, spec).df.collect()) for spec in config.outputs.values()
        ]
    assert found["delta"] == found["parquet"]
    assert [len(table) for table in found["delta"]] == [3, 6]


@pytest.mark.spark
@pytest.mark.parametrize("table_format", MERGED)
def test_results_name_the_versions_that_were_read_and_written(
    spark, source, run, table_format, tmp_path
):
    name = source(table_format)
    files = {"report": str(tmp_path / "r.html"), "run_results": str(tmp_path / "r.json")}
    for n_rows in (300, 400):
        done = run(name, table_format, **OPTIONS, **files)
        results = RunResults.model_validate_json((tmp_path / "r.json").read_text())
        assert results.input.version == read_table(spark, done.config.input_spec).version
        assert results.rows.read == n_rows
        tables = {**done.config.outputs, **done.config.records}
        assert {table.option for table in results.tables} == set(tables)
        for table in results.tables:
            assert table.version == read_table(spark, tables[table.option]).version
            assert table.version is not None
        if n_rows == 300:
            source(table_format, n_rows=100, mode="append", first=300)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Earlier runs" in page
    assert f"version {results.input.version}" in page

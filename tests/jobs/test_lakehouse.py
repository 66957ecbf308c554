"""The job on Delta and Iceberg tables: the numbers of Parquet, pinned sources, merged outputs."""

import threading
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import pytest

from lq_spark.errors import LqError, OptionError
from lq_spark.job.config_file import load_config
from lq_spark.job.run import execute
from lq_spark.tables.formats import read_table, write_table
from lq_spark.tables.spec import TableSpec
from lq_spark.tasks import multiclass

ICEBERG = pytest.param("iceberg", marks=pytest.mark.spark)
MERGED = ["delta", pytest.param("iceberg", marks=pytest.mark.spark_only)]


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
def run(spark, place):
    """Run the job on a table; return its outcome."""

    def score(source, output_format="parquet", **flags):
        output = place.name(output_format, "scores")
        flags = {"input": source, "output": output, "output_format": output_format, **flags}
        config = load_config(None, flags)
        return config, execute(spark, config)

    return score


def scores(spark, config):
    rows = read_table(spark, config.outputs["output"]).df.collect()
    return {row["id"]: row.asDict() for row in rows}


def metrics(spark, config, status=None):
    """Return {run id: {(metric, class): value}} of the metrics table."""
    runs = {}
    for row in read_table(spark, config.records["metrics"]).df.collect():
        if status in (None, row["status"]):
            runs.setdefault(row["run_id"], {})[row["metric"], row["class"]] = row["value"]
    return runs


OPTIONS = {"find_issues": True, "adjust_pred_probs": True, "issue_rank": True}


@pytest.mark.spark
def test_scores_and_issues_are_those_of_the_parquet_run(spark, engine, source, run):
    config, _ = run(source("parquet"), **OPTIONS)
    expected = scores(spark, config)
    [of_parquet] = metrics(spark, config).values()
    ways = [("delta", "iceberg"), ("iceberg", "delta")]
    if engine == "embedded":  # where a run takes no five seconds
        ways += [("delta", "delta"), ("iceberg", "iceberg")]
    for source_format, output_format in ways:
        config, outcome = run(source(source_format), output_format, **OPTIONS)
        assert scores(spark, config) == expected
        found = metrics(spark, config)[outcome.report.run_id]
        assert found.keys() == of_parquet.keys()
        same = [key for key in found if key[0] != "seconds"]
        assert [found[key] for key in same] == [of_parquet[key] for key in same]


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_folder_is_scored_as_the_table_it_is(table_format, spark, source, run):
    """Not by its Parquet files, of which some hold rows that were overwritten."""
    source(table_format, 300)
    name = source(table_format, 40)
    config, outcome = run(name, input_format=None)
    assert len(scores(spark, config)) == 40
    read = f"input read as {table_format} version "
    assert read in outcome.text(config).splitlines()[0]
    with pytest.raises(OptionError, match=r"^input: .* must be '(delta|iceberg)' or left out"):
        run(name, input_format="parquet")


@pytest.mark.parametrize("option", ["output", "metrics", "quarantine"])
def test_parquet_is_not_written_into_a_table_of_another_format(option, source, run, tmp_path):
    there = source("delta", 40)
    before = sorted((tmp_path / "source_delta").rglob("*"))
    with pytest.raises(OptionError, match=rf"^{option}: .*is a Delta table, not parquet"):
        run(source("parquet"), on_invalid="quarantine", **{option: there})
    assert sorted((tmp_path / "source_delta").rglob("*")) == before


@pytest.mark.parametrize("table_format", ["delta", ICEBERG])
def test_both_passes_see_the_version_that_was_opened(
    table_format, spark, place, source, run, monkeypatch
):
    name = source(table_format)
    version = read_table(spark, TableSpec(name, format=table_format)).version
    fit_thresholds = multiclass.fit_thresholds

    def slowly(*arguments, **options):
        """Fit; another writer appends before and after."""
        source(table_format, seed=4, mode="append", first=5000)
        thresholds = fit_thresholds(*arguments, **options)
        source(table_format, seed=5, mode="append", first=9000)
        return thresholds

    monkeypatch.setattr(multiclass, "fit_thresholds", slowly)
    config, outcome = run(name, table_format, **OPTIONS)
    monkeypatch.undo()
    assert outcome.source.version == version
    found = scores(spark, config)
    assert len(found) == 300
    recorded = read_table(spark, config.records["metrics"]).df.select("source_version").distinct()
    assert [row[0] for row in recorded.collect()] == [version]
    assert read_table(spark, TableSpec(name, format=table_format)).df.count() == 900
    again, _ = run(name, table_format, input_version=version, **OPTIONS)
    assert scores(spark, again) == found


@pytest.mark.spark
@pytest.mark.parametrize("table_format", MERGED)
def test_new_rows_are_merged_and_a_second_run_changes_nothing(
    table_format, spark, place, source, run
):
    config, _ = run(source("parquet", 100), table_format, write_mode="merge")
    before = scores(spark, config)  # of the ids 1000 to 1099
    new, _ = run(source("parquet", 50, seed=4, first=75), output=str(place.folder / "new"))
    added = scores(spark, new)  # of the ids 1075 to 1124
    for _ in range(2):
        run(source("parquet", 50, seed=4, first=75), table_format, write_mode="merge")
        assert scores(spark, config) == {**before, **added}
    assert len(metrics(spark, config)) == 3


def test_a_failed_run_leaves_the_output_and_a_row_that_says_so(spark, source, run):
    config, _ = run(source("parquet"), "iceberg")
    before = scores(spark, config)
    with pytest.raises(LqError):
        run(source("parquet"), "iceberg", n_classes=3)
    assert scores(spark, config) == before
    [failed] = metrics(spark, config, "failed").values()
    assert failed == {("failed", "InvalidRowsError"): 1.0}


@pytest.mark.spark
@pytest.mark.parametrize("table_format", MERGED)
def test_two_runs_at_once_lose_nothing(table_format, spark, source, run):
    name = source("parquet")
    config, _ = run(name, table_format, write_mode="merge")
    expected = scores(spark, config)
    errors = []

    def score():
        try:
            run(name, table_format, write_mode="merge")
        except LqError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=score) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(error.startswith("output: cannot write ") for error in errors)
    assert len(errors) < 2
    assert scores(spark, config) == expected
    assert len(metrics(spark, config, "succeeded")) == 3 - len(errors)
    assert len(metrics(spark, config, "failed")) == len(errors)


def test_rows_set_aside_go_to_a_table_of_the_same_format(spark, place, source, run):
    _ = source("delta")
    bad = spark.createDataFrame(
        [(7, 1, [0.5, 0.5])], "id long, label int, pred_probs array<double>"
    )
    name = place.name("delta", "source")
    write_table(bad, TableSpec(name, "source", "delta", mode="append"))
    config, outcome = run(name, "delta", on_invalid="quarantine", n_classes=4)
    assert len(scores(spark, config)) == 300
    [row] = read_table(spark, config.quarantines["quarantine"]).df.collect()
    assert (row["id"], row["invalid_reason"]) == (7, "pred_probs of wrong length")
    assert outcome.report.quarantined == {"pred_probs of wrong length": 1}


def test_an_output_of_other_columns_is_refused_before_anything_is_written(spark, source, run):
    config, _ = run(source("parquet"), "delta", write_mode="append")
    before = scores(spark, config)
    with pytest.raises(OptionError, match=r"output: the columns of .*it has no 'is_label_issue'"):
        run(source("parquet"), "delta", write_mode="append", find_issues=True)
    assert scores(spark, config) == before


def test_drift_is_measured_from_the_last_run_that_succeeded(spark, source, run, labelled_rows):
    options = {**OPTIONS, "n_classes": 4}
    _, first = run(source("parquet"), **options)
    assert first.drift == {}
    config, same = run(source("parquet"), **options)
    assert all(value == 0 for value in same.drift.values())
    with pytest.raises(LqError):
        run(source("parquet"), n_classes=3)
    config, other = run(source("parquet", seed=8), **options)
    now, before = (metrics(spark, config)[run.report.run_id] for run in (other, same))
    changes = {key: now[key] - before[key] for key in before if key[0] == "class_threshold"}
    assert changes == {
        ("class_threshold", name): value
        for (metric, name), value in other.drift.items()
        if metric == "drift_class_threshold"
    }
    shares = [
        np.array([run["class_rows", str(k)] for k in range(4)]) / 300 for run in (now, before)
    ]
    difference = shares[0] - shares[1]
    assert [other.drift["drift_class_share", str(k)] for k in range(4)] == list(difference)
    assert other.drift["drift_class_shares", None] == pytest.approx(abs(difference).sum() / 2)
    assert other.drift["drift_issue_rate", None] == (
        now["issue_rate", None] - before["issue_rate", None]
    )
    joints = [run.report.noise.joint.dense() for run in (other, same)]
    distance = abs(joints[0] - joints[1]).sum() / 2
    assert other.drift["drift_joint", None] == pytest.approx(distance, abs=1e-12)
    _, reference = run(source("parquet", seed=8), reference=first.report.run_id, **options)
    assert reference.drift == other.drift
    with pytest.raises(OptionError, match="reference: no successful run 'never'"):
        run(source("parquet"), reference="never")


def test_a_gate_is_judged_against_earlier_runs_that_succeeded(spark, source, run):
    options = {
        "find_issues": True,
        "fail_if": ["issue_rate > 1.5 * previous(issue_rate)", "rows > 250"],
    }
    config, first = run(source("parquet", 200), **options)
    assert [verdict.met for verdict in first.verdicts] == [None, False]
    assert not first.gate_failed
    _, second = run(source("parquet"), **options)
    assert second.gate_failed
    assert list(metrics(spark, config, "gate_failed")) == [second.report.run_id]
    found = metrics(spark, config)[second.report.run_id]
    assert found["fail_if", "rows > 250"] == 1.0
    # What has failed the gate is no measure for the next.
    _, third = run(source("parquet", 200), **options)
    assert third.drift["drift_issue_rate", None] == 0.0
    assert "fail_if MET: rows > 250: rows 300" in second.text(config)


def test_sentences_and_tokens_are_merged_by_their_keys(spark, place):
    rows = [
        (1, [0, 1], [[0.9, 0.1], [0.8, 0.2]]),
        (2, [1], [[0.3, 0.7]]),
        (3, [0, 0, 1], [[0.6, 0.4], [0.2, 0.8], [0.1, 0.9]]),
    ]
    columns = "sentence_id long, labels array<int>, pred_probs array<array<double>>"
    spark.createDataFrame(rows, columns).write.parquet(str(place.folder / "sentences"))
    found = {}
    for output_format in ("parquet", "delta", "delta"):
        flags = {
            "input": str(place.folder / "sentences"),
            "output": place.name(output_format, "scores"),
            "output_format": output_format,
            "write_mode": "merge",
            "find_issues": True,
        }
        config = load_config(None, flags, "tokens")
        execute(spark, config)
        found[output_format] = [
            sorted(read_table(spark, spec).df.collect()) for spec in config.outputs.values()
        ]
    assert found["delta"] == found["parquet"]
    assert [len(table) for table in found["delta"]] == [3, 6]

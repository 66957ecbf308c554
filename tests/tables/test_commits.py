"""Commits of Delta and Iceberg on Spark: what they say of the run, and what they leave as it is."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from lq_spark.tables.catalog import partition_columns
from lq_spark.tables.formats import read_table, write_table

PROPERTIES = {"lq_spark.run_id": "it's run 1", "lq_spark.version": "1.2"}

# What Sail has no SQL for, or Spark does otherwise.
on_spark = pytest.mark.parametrize(
    "spec",
    [pytest.param(n, marks=pytest.mark.spark_only) for n in ("delta path", "iceberg")],
    indirect=True,
)


@pytest.fixture
def commits(spark, named):
    """Return what the commits that changed rows say of themselves, the newest first."""

    def said(spec):
        if spec.format == "delta":
            history = spark.sql(f"DESCRIBE HISTORY {named(spec)}").orderBy(F.desc("version"))
            rows = history.where("operation != 'SET TBLPROPERTIES'").collect()
            return [json.loads(row["userMetadata"] or "{}") for row in rows]
        rows = spark.read.table(f"{spec.name}.snapshots").orderBy(F.desc("committed_at")).collect()
        return [
            {key: value for key, value in row["summary"].items() if key.startswith("lq_spark.")}
            for row in rows
        ]

    return said


@pytest.fixture
def conf(spark):
    """Set settings of the session, until the test ends."""
    changed = []

    def change(key, value):
        changed.append(key)
        spark.conf.set(key, value)

    yield change
    for key in changed:
        spark.conf.unset(key)


# What the two formats take from the session for each commit, and users set for their own.
METADATA = {
    "delta": "spark.databricks.delta.commitInfo.userMetadata",
    "iceberg": "spark.sql.iceberg.snapshot-property.lq_spark.run_id",
}


@on_spark
@pytest.mark.parametrize("mode", ["overwrite", "append", "merge"])
def test_a_commit_carries_the_properties(mode, spark, spec, rows, conf, named, commits):
    conf(METADATA[spec.format], "mine")
    writing = replace(spec, mode=mode, keys=("id",))
    write_table(rows([1], 0), writing, {"lq_spark.run_id": "0"})
    spark.sql(f"ALTER TABLE {named(spec)} SET TBLPROPERTIES ('mine' = 'kept')")
    write_table(rows([1], 1), writing, PROPERTIES)
    assert commits(spec) == [PROPERTIES, {"lq_spark.run_id": "0"}]
    found = dict(map(tuple, spark.sql(f"SHOW TBLPROPERTIES {named(spec)}").collect()))
    assert found["mine"] == "kept"
    assert not [key for key in found if "lq_spark" in key or "commitInfo" in key]
    assert spark.conf.get(METADATA[spec.format]) == "mine"
    if spec.format == "iceberg":  # streams follow the snapshots from each to the next
        history = spark.read.table(f"{spec.name}.history")
        assert history.where("is_current_ancestor").count() == 2


@on_spark
def test_runs_beside_each_other_sign_their_own_commits(spark, spec, rows, commits):
    """In one session: what a merge has to set there is not for a write beside it."""
    other = replace(spec, name=f"{spec.name}2")
    merging = {
        run: replace(t, mode="merge", keys=("id",)) for run, t in (("a", spec), ("b", other))
    }

    def write(run):
        for value in range(2):
            write_table(rows([value], value), merging[run], {"lq_spark.run_id": run})

    threads = [threading.Thread(target=write, args=(run,)) for run in merging]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run, table in merging.items():
        assert commits(table) == [{"lq_spark.run_id": run}] * 2
    assert spark.conf.get(METADATA[spec.format], None) is None
    if not spec.is_path:
        spark.sql(f"DROP TABLE {other.name}")


@on_spark
def test_whatever_the_session_says_a_table_has_the_columns_of_the_rows_alone(
    spark, spec, rows, conf, content
):
    conf("spark.databricks.delta.schema.autoMerge.enabled", "true")
    conf("spark.sql.iceberg.merge-schema", "true")
    conf("spark.sql.sources.partitionOverwriteMode", "dynamic")
    merging = replace(spec, mode="merge", keys=("x", "id"), groups=("x",), partition_by=("id",))
    for ids in ([1, 2], [2, 3]):  # the rows of a group that are gone are marked to be so
        write_table(rows(ids, 0), merging)
        assert read_table(spark, spec).df.columns == ["id", "x"]
        assert content(spec) == dict.fromkeys(ids, 0)
    write_table(rows([5], 2), replace(merging, mode="overwrite"))
    assert content(spec) == {5: 2}
    assert read_table(spark, spec).df.columns == ["id", "x"]


@on_spark
def test_a_table_of_other_columns_or_partitions_is_overwritten(spark, spec, rows, named, commits):
    write_table(rows([1, 2], 0), spec)
    for columns, parts in (("*, 1 AS k", ("id",)), ("*", ())):
        new = rows([3, 4], 1).selectExpr(*columns.split(", "))
        write_table(new, replace(spec, partition_by=parts), PROPERTIES)
        found = read_table(spark, spec).df
        assert found.columns == new.columns
        assert sorted(found.collect()) == sorted(new.collect())
        assert partition_columns(spark, named(spec)) == parts
        assert commits(spec)[0] == PROPERTIES


@pytest.mark.parametrize("spec", ["delta path"], indirect=True)
@pytest.mark.spark_only
def test_a_stream_reads_a_table_through_runs_that_overwrite_it(spark, spec, rows, tmp_path):
    write_table(rows([1], 1), spec)
    stream = spark.readStream.format("delta").option("ignoreChanges", "true").load(spec.name)
    query = (
        stream.writeStream.format("memory")
        .queryName("seen")
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .start()
    )
    try:
        query.processAllAvailable()
        for run in (2, 3, 4):
            write_table(rows([run], run), spec)
            query.processAllAvailable()
        assert [row["id"] for row in spark.table("seen").orderBy("id").collect()] == [1, 2, 3, 4]
    finally:
        query.stop()
    assert len(metadata_ids(spec)) == 1  # of one table, with one schema


def metadata_ids(spec):
    """Return the ids that the log of a Delta table gives it, one for each change of its schema."""
    lines = [
        json.loads(line)
        for file in sorted(Path(spec.name, "_delta_log").glob("*.json"))
        for line in file.read_text().splitlines()
    ]
    return [line["metaData"]["id"] for line in lines if "metaData" in line]

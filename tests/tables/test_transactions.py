"""Delta by path, Delta by name, Iceberg: one commit a write, read at one version."""

import itertools
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from lq_spark.errors import OptionError, TableError
from lq_spark.tables.catalog import partition_columns
from lq_spark.tables.formats import existing, output_table, read_table, write_table
from lq_spark.tables.spec import TableSpec

_DELTA = pytest.param("delta path", marks=pytest.mark.spark)
_NAMES = [pytest.param(n, marks=pytest.mark.spark_only) for n in ("delta name", "iceberg")]
every_spec = pytest.mark.parametrize("spec", [_DELTA, *_NAMES], indirect=True)
# What Sail has no SQL for, or Spark does otherwise.
on_spark = pytest.mark.parametrize(
    "spec",
    [pytest.param(n, marks=pytest.mark.spark_only) for n in ("delta path", "iceberg")],
    indirect=True,
)


@every_spec
def test_rows_are_replaced_appended_and_merged(spark, spec, rows, content):
    assert existing(spark, spec) is None
    write_table(rows([1, 2, 3], 0), spec)
    assert content(spec) == {1: 0, 2: 0, 3: 0}
    write_table(rows([2, 3], 1), spec)
    assert content(spec) == {2: 1, 3: 1}
    write_table(rows([4], 2), replace(spec, mode="append"))
    assert content(spec) == {2: 1, 3: 1, 4: 2}
    merging = replace(spec, mode="merge", keys=("id",))
    for _ in range(2):  # twice is as once
        write_table(rows([3, 5], 3), merging)
        assert content(spec) == {2: 1, 3: 3, 4: 2, 5: 3}
        assert existing(spark, spec).count() == 4


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_the_first_write_makes_the_table(mode, spark, spec, rows, content):
    write_table(rows([1], 0), replace(spec, mode=mode, keys=("id",)))
    assert content(spec) == {1: 0}


def test_without_commit_nothing_changes(spark, spec, rows, content):
    with output_table(spark, spec) as table:
        table.stage(rows([1], 0))
    assert existing(spark, spec) is None
    write_table(rows([1], 0), spec)
    with pytest.raises(ZeroDivisionError), output_table(spark, spec) as table:
        table.stage(rows([1], 5))
        raise ZeroDivisionError
    assert content(spec) == {1: 0}


def test_staged_rows_are_made_once(spark, spec, rows, content):
    with output_table(spark, spec) as table:
        drawn = table.stage(rows(range(20), 0).withColumn("x", F.rand())).rows
        before = {row["id"]: row["x"] for row in drawn.collect()}
        table.commit({})
    assert content(spec) == before


@on_spark
def test_a_column_has_its_comment(spark, spec, rows):
    write_table(rows([1], 0), spec)
    assert existing(spark, spec).schema["x"].metadata["comment"] == "a value"


@on_spark
def test_a_table_is_partitioned(spark, spec, rows, content, named):
    write_table(rows([1, 2], 0), replace(spec, partition_by=("id",)))
    assert partition_columns(spark, named(spec)) == ("id",)
    assert content(spec) == {1: 0, 2: 0}


@every_spec
def test_a_table_is_read_at_one_version_whatever_is_written_to_it(spark, spec, rows, content):
    write_table(rows([1, 2], 0), spec)
    opened = read_table(spark, spec)
    write_table(rows([3], 1), replace(spec, mode="append"))
    assert opened.df.count() == 2
    assert content(spec, version=opened.version) == {1: 0, 2: 0}
    assert read_table(spark, spec).df.count() == 3
    assert read_table(spark, spec).version != opened.version


@on_spark
def test_a_table_is_read_as_it_was_at_a_time(spark, spec, rows, content):
    write_table(rows([1], 0), spec)
    [(between,)] = spark.sql("SELECT cast(now() AS string)").collect()
    write_table(rows([2], 1), spec)
    assert content(spec, timestamp=between) == {1: 0}
    with pytest.raises(OptionError, match=r"^input: .* as old as 2001-01-01"):
        content(spec, timestamp="2001-01-01")


def test_a_version_that_is_not_there_is_named(spark, spec, rows, content):
    write_table(rows([1], 0), spec)
    with pytest.raises(OptionError, match=r"^input: no \w+ table .*99") as error:
        content(spec, version=99)
    assert "\n" not in str(error.value)


def test_a_table_that_is_not_there_is_named(spark, spec):
    with pytest.raises(OptionError, match=r"^output: no \w+ table") as error:
        read_table(spark, spec)
    assert "\n" not in str(error.value)


WRONG_COLUMNS = [
    (["id"], "it has also 'x'"),
    (["id", "x", "1 AS y"], "it has no 'y'"),
    (["id", "cast(x AS string) AS x"], "its 'x' is double, not string"),
    (["x"], "it has also 'id'"),
]


def test_rows_that_do_not_fit_are_refused(spark, spec, rows, content):
    write_table(rows([1], 0), spec)
    for mode, (columns, said) in itertools.product(["append", "merge"], WRONG_COLUMNS):
        with pytest.raises(OptionError, match=f"^output: the columns of .*{said}"):
            write_table(rows([2], 1).selectExpr(*columns), replace(spec, mode=mode, keys=("x",)))
    assert content(spec) == {1: 0}


@on_spark
def test_of_two_writers_at_once_none_loses_rows_in_silence(spark, spec, rows, content):
    merging = replace(spec, mode="merge", keys=("id",))
    write_table(rows(range(10), 0), merging)
    failed = []

    def write(value):
        try:
            write_table(rows(range(10), value), merging)
        except TableError as error:
            failed.append((value, str(error)))

    threads = [threading.Thread(target=write, args=(value,)) for value in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = content(spec)
    assert set(found) == set(range(10))
    assert len(set(found.values())) == 1  # of one writer, whole
    assert len(failed) < 2
    for value, said in failed:
        assert value not in found.values()
        assert said.startswith("output: cannot write ")
        assert "\n" not in said


@pytest.mark.spark_only
def test_a_namespace_that_is_not_there_is_named(spark, rows):
    for name, table_format in (("nowhere.t", "delta"), ("lake.nowhere.t", "iceberg")):
        with pytest.raises(OptionError, match=r"there is no '(lake\.)?nowhere' to make"):
            write_table(rows([1], 0), TableSpec(name, "output", table_format))


@pytest.mark.parametrize("bad", [[1, 1], [1, None]])
def test_rows_are_merged_by_keys_that_each_has_for_itself(bad, spark, spec, rows):
    merging = replace(spec, mode="merge", keys=("id",))
    with pytest.raises(OptionError, match=r"^output: rows are merged by 'id', and of 2 rows 1 "):
        write_table(rows(bad, 0), merging)
    with pytest.raises(OptionError, match=r"^output: the rows have no 'key' to be merged by"):
        write_table(rows([1], 0), replace(merging, keys=("key",)))
    assert existing(spark, spec) is None


def test_rows_of_a_group_are_replaced_together(spark, spec):
    def sentences(*found):
        return spark.createDataFrame(list(found), "sentence long, place int, x double")

    merging = replace(spec, mode="merge", keys=("sentence", "place"), groups=("sentence",))
    write_table(sentences((1, 0, 0.0), (1, 1, 0.0), (2, 0, 0.0), (2, 1, 0.0)), merging)
    write_table(sentences((2, 0, 5.0), (3, 0, 5.0)), merging)
    found = sorted(map(tuple, existing(spark, spec).collect()))
    assert found == [(1, 0, 0.0), (1, 1, 0.0), (2, 0, 5.0), (3, 0, 5.0)]


@pytest.mark.spark_only
def test_a_first_write_that_was_killed_is_written_anew(spark, rows, tmp_path, content):
    rows([7], 0).write.parquet(str(tmp_path / "t"))  # files of which no commit knows
    (tmp_path / "t" / "_delta_log").mkdir()
    spec = TableSpec(str(tmp_path / "t"), "output", "delta")
    for writing in (replace(spec, mode="append"), replace(spec, mode="merge", keys=("id",))):
        write_table(rows([1], 0), writing)
        assert content(spec) == {1: 0}


@pytest.mark.spark_only
def test_a_delta_table_with_mapped_columns_is_replaced(spark, rows, tmp_path, content, named):
    spec = TableSpec(str(tmp_path / "t"), "output", "delta")
    write_table(rows([1], 0), spec)
    mapped = "SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
    spark.sql(f"ALTER TABLE {named(spec)} {mapped}")
    write_table(rows([2], 0), spec)
    assert content(spec) == {2: 0}


@pytest.mark.spark_only
def test_a_folder_is_known_by_its_log_on_spark_too(spark, rows, tmp_path):
    (tmp_path / "a `link`").symlink_to(tmp_path / "a `t`", target_is_directory=True)
    (tmp_path / "a `t`").mkdir()
    spec = TableSpec(str(tmp_path / "a `link`"), "output", "delta")
    write_table(rows([1, 2], 0), spec)
    write_table(rows([3], 0), spec)
    for path in (spec.name, str(tmp_path / "a `t`")):
        opened = read_table(spark, TableSpec(path))
        assert (opened.format, opened.version, opened.df.count()) == ("delta", 1, 1)
        assert read_table(spark, TableSpec(path, version=0)).df.count() == 2
        with pytest.raises(OptionError, match=r"is a Delta table, so its format .* got 'parquet'"):
            read_table(spark, TableSpec(path, format="parquet"))
        for name in (f"{path}/*", f"{path}/_delta_log", str(tmp_path / "{b,a `t`}")):
            with pytest.raises(OptionError, match="is of the Delta table"):
                read_table(spark, TableSpec(name))
        with pytest.raises(OptionError, match="is a Delta table, not parquet"):
            write_table(rows([1], 0), TableSpec(path))
    Path(tmp_path, "i", "metadata").mkdir(parents=True)
    Path(tmp_path, "i", "metadata", "00000-a.metadata.json").touch()
    with pytest.raises(OptionError, match="on Spark Iceberg tables have catalog names"):
        read_table(spark, TableSpec(str(tmp_path / "i")))


@pytest.mark.spark_only
def test_small_whole_numbers_are_appended_to_iceberg(spark):
    spark.sql("CREATE NAMESPACE lake.small")
    spec = TableSpec("lake.small.t", "output", "iceberg", mode="append")
    for _ in range(2):
        write_table(spark.sql("SELECT cast(1 AS smallint) AS k, cast(2 AS tinyint) AS y"), spec)
    assert existing(spark, spec).count() == 2
    spark.sql("DROP TABLE lake.small.t")
    spark.sql("DROP NAMESPACE lake.small")


@pytest.mark.spark_only
def test_a_folder_of_other_files_is_no_delta_table(spark, rows, tmp_path):
    rows([1], 0).write.parquet(str(tmp_path / "t"))
    spec = TableSpec(str(tmp_path / "t"), "output", "delta")
    with pytest.raises(OptionError, match="output: no Delta table"):
        write_table(rows([2], 0), spec)
    with pytest.raises(OptionError, match="output: no Delta table"):
        read_table(spark, spec)


@pytest.mark.spark_only
def test_a_name_of_another_format_is_not_written(spark, rows):
    rows([1], 0).write.saveAsTable("other", format="parquet")
    try:
        with pytest.raises(OptionError, match="'other' is there already and is parquet, not delta"):
            write_table(rows([2], 0), TableSpec("other", "output", "delta"))
        with pytest.raises(OptionError, match="'other' is parquet, which has no versions"):
            read_table(spark, TableSpec("other", "input", version=1))
    finally:
        spark.sql("DROP TABLE other")


@pytest.mark.spark_only
def test_an_iceberg_table_without_a_snapshot_is_empty(spark):
    spark.sql("CREATE TABLE lake.empty.t (id bigint, x double) USING iceberg")
    try:
        opened = read_table(spark, TableSpec("lake.empty.t"))
        assert (opened.format, opened.version, opened.df.count()) == ("iceberg", None, 0)
    finally:
        spark.sql("DROP TABLE lake.empty.t")

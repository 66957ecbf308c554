"""Parquet outputs that are appended to and merged: by writing beside and swapping."""

from dataclasses import replace

import pytest

from lq_spark.errors import OptionError
from lq_spark.tables.formats import existing, output_table, read_table, write_table
from lq_spark.tables.spec import TableSpec


@pytest.fixture
def rows(spark):
    def make(*found):
        return spark.createDataFrame(list(found), "id bigint, day string, x double")

    return make


@pytest.fixture
def spec(tmp_path):
    return TableSpec(str(tmp_path / "t"), "output", "parquet", keys=("id",))


def content(spark, spec):
    return sorted(map(tuple, read_table(spark, spec).df.select("id", "day", "x").collect()))


@pytest.mark.parametrize("partition_by", [(), ("day",)])
def test_rows_are_replaced_appended_and_merged(
    partition_by, spark, spec, rows, tables_in, tmp_path
):
    spec = replace(spec, partition_by=partition_by)
    assert existing(spark, spec) is None
    merging, appending = replace(spec, mode="merge"), replace(spec, mode="append")
    write_table(rows((1, "mon", 0.0), (2, "tue", 0.0)), merging)
    write_table(rows((3, "tue", 1.0)), appending)
    assert content(spark, spec) == [(1, "mon", 0.0), (2, "tue", 0.0), (3, "tue", 1.0)]
    for _ in range(2):  # twice is as once
        write_table(rows((2, "wed", 5.0), (4, "mon", 5.0)), merging)
        assert content(spark, spec) == [
            (1, "mon", 0.0),
            (2, "wed", 5.0),
            (3, "tue", 1.0),
            (4, "mon", 5.0),
        ]
    write_table(rows((9, "sun", 2.0)), spec)
    assert content(spark, spec) == [(9, "sun", 2.0)]
    assert tables_in(tmp_path) == {"t"}


@pytest.mark.spark
def test_whatever_the_session_says_a_table_is_replaced_whole(spark, spec, rows):
    """Also one that Spark has not marked as whole itself."""
    settings = {
        "spark.sql.sources.partitionOverwriteMode": "dynamic",
        "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    }
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        spec = replace(spec, partition_by=("day",), keys=("id",))
        write_table(rows((1, "mon", 0.0), (2, "tue", 0.0)), spec)
        write_table(rows((3, "wed", 1.0)), spec)
        assert content(spark, spec) == [(3, "wed", 1.0)]
        for _ in range(2):
            with output_table(spark, replace(spec, mode="merge")) as table:
                table.scratch(rows((7, "sun", 0.0)))
                table.stage(rows((3, "thu", 2.0)))
                table.commit({})  # by way of the scratch place, where other rows lie
            assert content(spark, spec) == [(3, "thu", 2.0)]
    finally:
        for key in settings:
            spark.conf.unset(key)


def test_a_partition_column_keeps_its_type(spark, spec, rows):
    spec = replace(spec, partition_by=("day",))
    with output_table(spark, spec) as table:
        staged = table.stage(rows((1, "007", 0.0))).rows
        assert staged.schema["day"].dataType.simpleString() == "string"
        assert [row["day"] for row in staged.collect()] == ["007"]
        table.commit({})


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_rows_that_do_not_fit_are_refused(mode, spark, spec, rows):
    write_table(rows((1, "mon", 0.0)), spec)
    with pytest.raises(OptionError, match=r"^output: the columns of .*\(it has also 'day'"):
        write_table(rows((2, "tue", 0.0)).drop("day"), replace(spec, mode=mode))
    assert content(spark, spec) == [(1, "mon", 0.0)]

"""Tables of few rows that runs add to: read and written without a job of the engine."""

import datetime
import threading

import pyarrow.parquet as pq
import pytest
from pyspark.sql.types import (
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from lq_spark.errors import OptionError, TableError
from lq_spark.tables import additions
from lq_spark.tables.additions import add_rows, check_rows, last_where, rows_where
from lq_spark.tables.formats import existing
from lq_spark.tables.spec import TableSpec

ALL = {"all": "x"}
SCHEMA = StructType(
    [
        StructField("run", StringType()),
        StructField("at", TimestampType()),
        StructField("n", LongType()),
        StructField("x", DoubleType()),
        StructField("all", StringType()),
    ]
)


def row(run, day, n=1, x=0.5):
    return (run, datetime.datetime(2026, 11, day, 12, 30, tzinfo=datetime.timezone.utc), n, x, "x")


@pytest.fixture
def spec(tmp_path):
    return TableSpec(str(tmp_path / "t"), "metrics", "parquet")


@pytest.fixture
def no_engine(monkeypatch):
    """Make it an error to read the table by the engine."""

    def refuse(*_):
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(additions, "existing", refuse)
    monkeypatch.setattr(additions.parquet, "existing", refuse)


def as_engine_writes(spark, spec, *rows):
    """Append rows as earlier versions did."""
    spark.createDataFrame(list(rows), SCHEMA).write.mode("append").parquet(spec.name)


def content(spark, spec):
    rows = existing(spark, spec).select("run", "n", "x").collect()
    return sorted(map(tuple, rows))


@pytest.mark.spark
def test_the_engine_and_pyarrow_read_what_was_added_to_what_the_engine_wrote(spark, spec):
    as_engine_writes(spark, spec, row("a", 1), row("a", 1, None, None))
    check_rows(spark, spec, SCHEMA)
    add_rows(spark, spec, [row("b", 2, 7), row(None, 2)], SCHEMA)
    table = existing(spark, spec)
    assert table.schema == SCHEMA
    as_text = {r[0]: r[1] for r in table.selectExpr("run", "cast(at as string)").collect()}
    assert as_text["b"].startswith("2026-11-02 12:30:00")
    assert as_text["a"].startswith("2026-11-01 12:30:00")
    assert pq.read_table(spec.name).num_rows == table.count() == 4
    # In the files too the columns are those that the engine writes.
    kinds = [pq.read_schema(path).remove_metadata() for path in pq.ParquetDataset(spec.name).files]
    assert all(kind == kinds[0] for kind in kinds)


@pytest.mark.spark
def test_a_table_is_looked_at_without_the_engine(spark, spec, no_engine):
    as_engine_writes(spark, spec, row("a", 1, 1), row("b", 3, 2), row("b", 3, 3), row("c", 3, 9))
    add_rows(spark, spec, [row("b", 3, 4), row("a", 2, 5, None)], SCHEMA)
    check_rows(spark, spec, SCHEMA)
    found = rows_where(spark, spec, SCHEMA, ["n", "x"], {"run": "a"})
    assert sorted(found) == [(1, 0.5), (5, None)]
    assert rows_where(spark, spec, SCHEMA, ["n"], {"run": "nobody"}) == []
    last = last_where(spark, spec, SCHEMA, ["n", "run"], {"run": "b"})
    assert last == (4, "b")
    assert last_where(spark, spec, SCHEMA, ["at", "run"], {"run": "nobody"}) is None


@pytest.mark.parametrize("table_format", ["parquet", "delta"])
def test_what_the_engine_reads_is_the_same(spark, tmp_path, table_format):
    spec = TableSpec(str(tmp_path / "t"), "metrics", table_format)
    assert rows_where(spark, spec, SCHEMA, ["n"], {"run": "a"}) == []
    assert last_where(spark, spec, SCHEMA, ["at", "run"], {"run": "a"}) is None
    rows = [row("a", 1, 1), row("b", 3, 2), row("b", 2, 3)]
    if table_format == "delta":
        add_rows(spark, spec, rows, SCHEMA)
    else:  # a table that somebody has partitioned
        frame = spark.createDataFrame(rows, SCHEMA)
        frame.write.partitionBy("run").parquet(spec.name)
    assert sorted(rows_where(spark, spec, SCHEMA, ["n"], {"run": "b"})) == [(2,), (3,)]
    assert last_where(spark, spec, SCHEMA, ["n", "run"], {"run": "b"}) == (3, "b")


def test_what_a_killed_run_left_is_not_seen(spark, spec):
    add_rows(spark, spec, [row("a", 1)], SCHEMA)
    left = f"{spec.name}/_adding_by_a_killed_run"
    pq.write_table(pq.read_table(spec.name), left)
    spark.createDataFrame([row("z", 9)], SCHEMA).write.parquet(f"{left}_of_an_earlier_version")
    check_rows(spark, spec, SCHEMA)
    add_rows(spark, spec, [row("b", 2)], SCHEMA)
    assert content(spark, spec) == [("a", 1, 0.5), ("b", 1, 0.5)]
    assert sorted(rows_where(spark, spec, SCHEMA, ["run"], ALL)) == [("a",), ("b",)]


def test_many_add_at_the_same_time(spark, spec):
    names = [f"run {i}" for i in range(16)]
    threads = [
        threading.Thread(target=add_rows, args=(spark, spec, [row(n, 1), row(n, 1)], SCHEMA))
        for n in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows_where(spark, spec, SCHEMA, ["run"], ALL)
    assert sorted(found) == sorted([(n,) for n in names] * 2)


def test_rows_that_do_not_fit_are_refused(spark, spec):
    add_rows(spark, spec, [row("a", 1)], SCHEMA)
    fewer = StructType([field for field in SCHEMA if field.name != "x"])
    with pytest.raises(OptionError, match=r"^metrics: the columns of .*it has also 'x'"):
        check_rows(spark, spec, fewer)
    other = StructType([*fewer, StructField("x", StringType())])
    with pytest.raises(OptionError, match=r"^metrics: .*its 'x' is double, not string"):
        check_rows(spark, spec, other)


def test_a_table_that_cannot_be_read_says_so(spark, spec, tmp_path):
    add_rows(spark, spec, [row("a", 1)], SCHEMA)
    (tmp_path / "t" / "zz.parquet").write_bytes(b"no Parquet file")
    with pytest.raises(TableError, match=r"^metrics: cannot read .*zz\.parquet"):
        rows_where(spark, spec, SCHEMA, ["run"], ALL)

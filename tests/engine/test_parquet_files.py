"""Parquet files that workers read and write: each row once, bounded batches, the same columns."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import DateType, DoubleType, IntegerType, LongType, StructField, StructType

from lq_spark.engine import parquet_files, parts
from lq_spark.engine.arrow import conformed
from lq_spark.engine.kept import written
from lq_spark.engine.keys import summarize_key
from lq_spark.engine.parquet_files import FileOfRows, parquet_rows
from lq_spark.engine.readings import (
    Input,
    column_input,
    counts_in_files,
    first_batch,
    literal_input,
    reading_of,
    with_files,
    with_reading,
)
from lq_spark.engine.sums import count_values
from lq_spark.engine.verbs import (
    by_workers,
    map_batches,
    map_splits,
    select,
    select_inputs,
    with_mapped,
)
from lq_spark.errors import TableError

pytestmark = pytest.mark.spark


def doubled(number):
    return {"twice": pa.array(number.to_numpy() * 2)}


TWICE = StructType([StructField("twice", LongType())])


@pytest.fixture
def opened(spark, tmp_path):
    """Write tables to files of small row groups; return them as a table that workers read."""

    def open_files(*tables, size=3, **options):
        places = [tmp_path / f"{i:03}.parquet" for i in range(len(tables))]
        for place, table in zip(places, tables, strict=True):
            pq.write_table(table, place, row_group_size=size, **options)
        df = spark.read.parquet(*map(str, places))
        files = [FileOfRows(place.as_uri()) for place in places]
        return with_files(df, parquet_rows(spark, files, df.schema))

    return open_files


def made(df):
    """Return the rows of a table as workers make them, on Sail too."""
    schema = to_arrow_schema(df.schema)

    def cast(_, batches):
        return (conformed(batch, schema) for batch in batches)

    return map_splits(df.sparkSession, reading_of(df), cast, df.schema)


def test_arrays_without_nulls_come_from_workers_too(spark, opened):
    schema = StructType.fromDDL("id bigint, l array<double>, s struct<n: int>")
    schema["l"].dataType.containsNull = False
    table = pa.table({"id": [0, 1], "l": [[0.5], [1.0, 2.0]], "s": [{"n": 1}, None]})
    table = table.set_column(2, "s", table["s"].cast(pa.struct({"n": pa.int32()})))
    df = opened(table)
    strict = with_reading(spark.createDataFrame(table, schema), reading_of(df))
    assert not strict.schema["l"].dataType.containsNull
    assert rows_of(by_workers(strict)) == rows_of(made(strict)) == rows_of(df)


def numbers(n, first=0):
    return pa.table({"id": np.arange(first, first + n), "x": np.arange(n) / 8})


def rows_of(df):
    return sorted(map(tuple, df.collect()))


@pytest.mark.parametrize("n_splits", [1, 2, 7, 64])
def test_each_row_is_read_once_whatever_the_splits(opened, monkeypatch, n_splits):
    monkeypatch.setattr(parquet_files, "split_bytes", lambda _, total: total / n_splits)
    tables = [numbers(20), numbers(0), numbers(1, 50), numbers(100, 100)]
    df = opened(*tables)
    splits = reading_of(df).rows.splits
    assert len(splits) <= n_splits
    assert len(splits) == n_splits or n_splits > 7  # there are 42 row groups
    assert rows_of(made(df)) == rows_of(df) == rows_of(made(select(df, "id", "x")))


def test_what_has_been_read_is_let_go_of(opened, monkeypatch):
    monkeypatch.setattr(parquet_files, "split_bytes", lambda _, total: total)
    values = np.random.default_rng(0).random((40, 1 << 16))  # 1 MiB a row group, with the ids
    wide = pa.table({"id": np.arange(values.size), "x": values.ravel()})
    rows = reading_of(opened(wide, size=1 << 16)).rows
    del wide
    for run_bytes, bound in ((1 << 22, 16 << 20), (1, 8 << 20)):
        monkeypatch.setattr(parquet_files, "_RUN_BYTES", run_bytes)
        before, highest, n_rows = pa.total_allocated_bytes(), 0, 0
        for batch in rows.batches(0, ["id", "x"]):
            highest = max(highest, pa.total_allocated_bytes() - before)
            n_rows += batch.num_rows
        assert (n_rows, highest < bound) == (values.size, True)


def test_batches_are_bounded_by_the_bytes_of_the_columns_that_are_read(opened):
    wide = pa.table({"id": np.arange(3000), "x": [np.zeros(5000, dtype=np.float32)] * 3000})
    df = opened(wide, size=3000)
    rows = reading_of(df).rows
    sizes = [batch.num_rows for batch in rows.batches(0, ["id", "x"])]
    # The stored zeros take no bytes: the bound is of what a file says of itself.
    assert sum(sizes) == 3000
    assert [batch.num_rows for batch in rows.batches(0, ["id"])] == [3000]
    noise = np.random.default_rng(0).random((3000, 1000))
    df = opened(pa.table({"id": np.arange(3000), "x": list(noise)}), size=3000)
    sizes = [batch.num_rows for batch in reading_of(df).rows.batches(0, ["x"])]
    assert max(sizes) * 8000 <= parquet_files.BATCH_BYTES
    assert sum(sizes) == 3000


def test_what_is_mapped_and_selected_has_a_reading_and_what_else_is_done_has_none(opened):
    df = opened(numbers(10))
    mapped = with_mapped(df, doubled, [column_input("id")], TWICE, keep=["x"])
    assert mapped.columns == ["x", "twice"]
    assert rows_of(made(mapped)) == rows_of(mapped)
    narrow = select(mapped, "twice")
    assert reading_of(narrow).function is doubled
    assert reading_of(select(mapped, "x")).function is None
    assert rows_of(made(select(mapped, "x"))) == rows_of(mapped.select("x"))
    for other in (df.where("id > 3"), mapped.withColumn("y", F.lit(1)), df.limit(2)):
        assert reading_of(other) is None
    # With a column that no worker reads, the rest is read by them where it is asked for alone.
    lacking = with_files(df.select("*"), replace(reading_of(df).rows, types={"id": pa.int64()}))
    assert reading_of(lacking) is None
    assert reading_of(with_mapped(lacking, doubled, [column_input("id")], TWICE)) is None
    assert reading_of(select(lacking, "x")) is None
    kept = with_mapped(lacking, doubled, [column_input("id")], TWICE, keep=["id"])
    assert reading_of(kept) is not None
    assert rows_of(by_workers(lacking)) == rows_of(df)
    # A column that Spark makes, and one that is made already, no worker makes.
    from_spark = with_mapped(df, doubled, [Input(F.col("id") + 1)], TWICE)
    again = with_mapped(mapped, doubled, [column_input("twice")], TWICE, keep=[])
    for table in (from_spark, again):
        assert reading_of(table) is None
    assert [row.twice for row in again.orderBy("twice").collect()] == [4 * i for i in range(10)]


@pytest.mark.spark_only
@pytest.mark.parametrize(("n_rows", "is_small"), [(100, True), (100_000, False)])
def test_spark_reckons_how_large_a_table_of_workers_is(opened, capsys, n_rows, is_small):
    # 16 bytes a row: with 100,000 rows more than the 1 MiB that may be sent to all.
    df = opened(pa.table({"x": np.arange(n_rows), "y": np.arange(n_rows)}), size=n_rows // 4)
    df.sparkSession.conf.set("spark.sql.autoBroadcastJoinThreshold", 1 << 20)
    try:
        rows = map_batches(df, lambda batch: batch, "x bigint, y bigint")
        rows.join(rows.withColumnRenamed("y", "z"), "x").explain()
        assert ("BroadcastHashJoin" in capsys.readouterr().out) == is_small
    finally:
        df.sparkSession.conf.unset("spark.sql.autoBroadcastJoinThreshold")
    assert rows.count() == n_rows
    assert rows.selectExpr("sum(x)").first()[0] == n_rows * (n_rows - 1) // 2


def test_inputs_have_names_of_their_own(opened):
    df = opened(numbers(5))
    inputs = {"key": column_input("id"), "one": literal_input(1, "x")}
    inputs["minus"] = Input(-F.col("x"), "x", negated)
    table = select_inputs(df, **inputs)
    assert rows_of(made(table)) == rows_of(table) == [(i, 1, -i / 8) for i in range(5)]
    total = map_batches(table, counted, "n bigint").agg(F.sum("n")).first()[0]
    assert total == 5


def negated(array):
    return pa.array(-array.to_numpy())


def counted(batch):
    return pa.RecordBatch.from_pydict({"n": [batch.num_rows]})


def test_a_column_is_unreadable_where_a_file_has_another_or_none(spark, tmp_path):
    schema = StructType([StructField("id", LongType()), StructField("x", DoubleType())])
    wrong = pa.table({"id": np.arange(3, dtype=np.int32), "y": np.zeros(3)})
    places = [tmp_path / "right.parquet", tmp_path / "wrong.parquet"]
    for place, table in zip(places, (numbers(3), wrong), strict=True):
        pq.write_table(table, place)
    right, another = (FileOfRows(place.as_uri()) for place in places)
    unreadable = parquet_rows(spark, [right, another], schema).unreadable
    assert unreadable["id"].startswith("column 'id' is int32 in 'file:///")
    assert unreadable["x"].startswith("column 'x' is not in 'file:///")
    narrower = StructType([StructField("id", IntegerType())])
    assert "int64" in parquet_rows(spark, [right], narrower).unreadable["id"]


def test_ids_of_columns_are_those_of_the_table(spark, tmp_path):
    field = pa.field("x", pa.float64(), metadata={"PARQUET:field_id": "7"})
    place = tmp_path / "x.parquet"
    pq.write_table(pa.table([pa.array([1.0])], schema=pa.schema([field])), place)
    schema = StructType([StructField("x", DoubleType())])
    files = [FileOfRows(place.as_uri())]
    assert parquet_rows(spark, files, schema, {"x": 7}).unreadable == {}
    assert "was another one" in parquet_rows(spark, files, schema, {"x": 8}).unreadable["x"]


@pytest.mark.parametrize("stored", ["96 bits", "microseconds"])
def test_timestamps_are_the_same_moments(opened, stored):
    moments = [dt.datetime(1999, 1, 1, 12, 30, 0, 250, tzinfo=dt.timezone.utc), None]
    table = pa.table({"id": [0, 1], "at": pa.array(moments, pa.timestamp("us", tz="UTC"))})
    df = opened(table, use_deprecated_int96_timestamps=stored == "96 bits")
    assert rows_of(made(df)) == rows_of(df)
    by_files = made(df).orderBy("id").toArrow()["at"]
    assert by_files.cast(pa.timestamp("us", tz="UTC")).to_pylist() == moments


@pytest.mark.parametrize(
    ("said", "unreadable"),
    [
        ({"legacyDateTime": ""}, True),
        ({"legacyINT96": "", "version": "3.5.1"}, True),
        ({"version": "2.4.8"}, True),
        ({"version": "3.0.3"}, True),
        ({"version": "3.1.0"}, False),
        ({"version": "4.1.4"}, False),
        ({}, False),
    ],
)
def test_dates_of_the_old_calendar_are_left_to_spark(spark, tmp_path, said, unreadable):
    table = pa.table({"id": [0], "day": pa.array([dt.date(1500, 1, 1)])})
    metadata = {f"org.apache.spark.{key}": value for key, value in said.items()}
    place = tmp_path / "old.parquet"
    pq.write_table(table.replace_schema_metadata(metadata), place)
    schema = StructType([StructField("id", LongType()), StructField("day", DateType())])
    rows = parquet_rows(spark, [FileOfRows(place.as_uri())], schema)
    assert set(rows.unreadable) == ({"day"} if unreadable else set())


@pytest.mark.spark_only
def test_dates_of_unknown_calendars_are_read_as_the_session_says(spark, tmp_path):
    place = tmp_path / "old.parquet"
    pq.write_table(pa.table({"day": pa.array([dt.date(1500, 1, 1)])}), place)
    schema = StructType([StructField("day", DateType())])
    name = "spark.sql.parquet.datetimeRebaseModeInRead"
    before = spark.conf.get(name)
    try:
        for mode in ("LEGACY", "CORRECTED"):
            spark.conf.set(name, mode)
            rows = parquet_rows(spark, [FileOfRows(place.as_uri())], schema)
            assert ("day" in rows.unreadable) == (mode == "LEGACY")
    finally:
        spark.conf.set(name, before)


@pytest.mark.parametrize("text", ["0x1F", "+1", " 1", "1.0", "9" * 19])
def test_partitions_that_are_no_plain_numbers_are_left_to_spark(spark, tmp_path, text):
    place = tmp_path / "x.parquet"
    pq.write_table(numbers(3), place)
    schema = StructType([StructField("id", LongType()), StructField("part", IntegerType())])
    rows = parquet_rows(spark, [FileOfRows(place.as_uri(), {"part": text})], schema)
    assert set(rows.unreadable) == {"part"}


def test_the_first_rows_are_known_of_one_file_alone(opened, tmp_path):
    assert first_batch(opened(numbers(3))).num_rows == 3
    assert first_batch(opened(numbers(3), numbers(3))) is None
    df = opened(numbers(3))
    (tmp_path / "000.parquet").unlink()
    assert first_batch(df) is None


def test_partition_values_are_columns_of_their_types(spark, tmp_path):
    place = tmp_path / "x.parquet"
    pq.write_table(numbers(3), place)
    schema = StructType.fromDDL("id bigint, x double, part int, name string, day date")
    file = FileOfRows(place.as_uri(), {"part": "7", "name": None, "day": "2026-01-01"})
    rows = parquet_rows(spark, [file], schema)
    [batch] = rows.batches(0, ["part", "id", "name"])
    assert batch.to_pydict() == {"part": [7] * 3, "id": [0, 1, 2], "name": [None] * 3}
    assert set(rows.unreadable) == {"day"}


def test_a_file_that_is_gone_or_cut_short_is_named(opened, tmp_path):
    rows = reading_of(opened(numbers(100))).rows
    place = tmp_path / "000.parquet"
    content = place.read_bytes()
    for harmed in (content[:200], b"", None):
        place.unlink()
        if harmed is not None:
            place.write_bytes(harmed)
        with pytest.raises(TableError, match=r"a Python worker cannot read 'file:.*000.parquet'"):
            list(rows.batches(0, ["id"]))


def test_written_rows_are_read_back_and_have_their_comments(spark, opened, tmp_path):
    df = opened(numbers(10), numbers(5, 10))
    mapped = with_mapped(df, doubled, [column_input("id")], TWICE, keep=["id"])
    reading = reading_of(mapped)
    commented = mapped.withMetadata("twice", {"comment": "two times"})
    place = tmp_path / "written"
    rows = written(with_reading(commented, reading), place.as_uri())
    assert rows_of(rows) == [(i, 2 * i) for i in range(15)]
    assert counts_in_files(rows, "twice") == (15, 15)
    schema = spark.read.parquet(str(place)).schema
    assert [field.name for field in schema] == ["id", "twice"]
    for file in place.glob("*.parquet"):
        assert b"two times" in pq.read_metadata(file).metadata[parts.ROW_METADATA]


def test_a_table_without_rows_is_written_with_its_schema(spark, opened, tmp_path):
    rows = written(opened(numbers(0)), (tmp_path / "none").as_uri())
    assert rows.collect() == []
    assert spark.read.parquet(str(tmp_path / "none")).columns == ["id", "x"]


def test_what_another_attempt_left_is_no_part_of_the_table(opened, tmp_path):
    place = tmp_path / "written"
    (place / ".attempts").mkdir(parents=True)
    left = place / ".attempts" / "part-00000-ofanotherattempt.snappy.parquet"
    pq.write_table(numbers(3, 900), left)
    rows = written(opened(numbers(10)), place.as_uri())
    assert rows.count() == count_values(rows, "x")[0] == 10
    assert not left.parent.exists()


def test_row_groups_are_bounded_by_rows_and_by_bytes(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "MAX_BATCH_ROWS", 10)
    monkeypatch.setattr(parquet_files, "split_bytes", lambda _, total: total)
    df = opened(numbers(100), size=10)
    for bound, size in ((("_MAX_GROUP_ROWS", 40), 40), (("_MAX_GROUP_BYTES", 1), 10)):
        with monkeypatch.context() as lowered:
            lowered.setattr(parts, *bound)
            place = tmp_path / bound[0]
            groups = list(parts._grouped(reading_of(df).batches(0)))
            assert {sum(batch.num_rows for batch in group) for group in groups[:-1]} == {size}
            written(df, place.as_uri())
    [file] = place.glob("*.parquet")
    assert pq.read_table(file).num_rows == 100


def test_nulls_are_counted_as_the_engine_counts_them(opened):
    table = pa.table({"id": np.arange(4), "x": [1.0, None, None, 2.0], "l": [[1], None, [], [2]]})
    df = opened(table)
    assert counts_in_files(df, "x") == (4, 2)
    assert counts_in_files(df, "l") is None
    for name in ("x", "l", "id"):
        assert count_values(df, name) == count_values(df.select("*"), name)


@pytest.mark.parametrize(
    ("ids", "unique"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], True),
        ([4, 5, 6, 7, 0, 1, 2, 3], True),
        ([0, 2, 4, 6, 1, 3, 5, 7], True),
        ([0, 1, 2, 3, 3, 4, 5, 6], False),
        ([0, 1, 2, 3, 4, 5, 6, 2], False),
        ([7, 6, 5, 4, 3, 2, 1, 0], True),
        ([0, 1, 1, 2, 3, 4, 5, 6], False),
        ([0, 1, 2, None, 4, 5, 6, 7], False),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 8])
def test_keys_that_ascend_in_files_are_known_unique(opened, ids, unique, size):
    table = pa.table({"id": pa.array(ids, pa.int64())})
    found = summarize_key(opened(table.slice(0, 4), table.slice(4), size=size), "id")
    assert (found.n_rows, found.is_unique) == (8, unique)

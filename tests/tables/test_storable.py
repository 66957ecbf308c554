"""What a format cannot hold is refused before anything is written; all else it holds."""

import pytest

from lq_spark.errors import OptionError
from lq_spark.tables.formats import output_table, read_table, write_table
from lq_spark.tables.spec import TableSpec

VALUES = {
    "void": "null",
    "array<void>": "array()",
    "struct<v:void>": "struct(null as v)",
    "interval": "make_interval(1, 2, 0, 3)",
    "interval year to month": "interval '1-2' year to month",
    "interval day to hour": "interval '1 2' day to hour",
    "variant": "parse_json('1')",
    "array<variant>": "array(parse_json('1'))",
    "time(6)": "time '10:00:00'",
    "timestamp_ntz": "timestamp_ntz '2026-01-01 00:00:00'",
    "map<int,decimal(2,1)>": "map(1, 1.5BD)",
    "struct<a b:int>": "struct(1 as `a b`)",
    "tinyint": "1Y",
    "binary": "x'01'",
}
INTERVALS = {"interval", "interval year to month", "interval day to hour"}
NESTED = {"array<void>", "struct<v:void>"}
REFUSED = {
    ("parquet", "spark"): {"interval"},
    ("delta", "spark"): {*INTERVALS, *NESTED, "time(6)"},
    ("iceberg", "spark"): {*INTERVALS, *NESTED, "void", "variant", "array<variant>", "time(6)"},
    ("parquet", "embedded"): {"interval"},
    ("delta", "embedded"): {*INTERVALS, *NESTED, "void", "time(6)"},
    ("iceberg", "embedded"): {*INTERVALS, *NESTED},
}
SIGNS = [" ", ",", ";", "{", "}", "(", ")", "=", "\t", "\n", ".", "`"]
NAMES = [*SIGNS, "größe 😀", 'a "quote"', "it's", "SELECT"]


@pytest.fixture
def place(spark, engine, interpreted, tmp_path):
    """Return the specification of a table that is not there, by its format."""
    catalog = []

    def make(table_format):
        if table_format != "iceberg" or engine == "embedded":
            return TableSpec(str(tmp_path / table_format), "output", table_format)
        catalog.append(spark.sql("CREATE NAMESPACE lake.storable"))
        return TableSpec("lake.storable.t", "output", "iceberg")

    yield make
    if catalog:
        spark.sql("DROP TABLE IF EXISTS lake.storable.t")
        spark.sql("DROP NAMESPACE lake.storable")


@pytest.mark.spark
@pytest.mark.parametrize("table_format", ["parquet", "delta", "iceberg"])
def test_types_are_held_or_refused_by_name(table_format, spark, engine, place):
    refused, spec = REFUSED[table_format, engine], place(table_format)
    table = output_table(spark, spec)
    for kind in refused:
        try:
            df = spark.sql(f"SELECT 1L AS id, {VALUES[kind]} AS `the column`")
            df.schema  # noqa: B018
        except Exception as error:
            if kind == "time(6)" and "UNSUPPORTED_TIME_TYPE" in str(error):
                continue  # Spark has it behind a setting
            raise
        with pytest.raises(OptionError) as raised:
            table.check(df.schema)
        message = str(raised.value)
        assert message.startswith(f"output: {table_format.capitalize()} tables hold no ")
        assert message.endswith(f"column 'the column' is {kind}; cast or drop it")
    held = VALUES.keys() - refused
    if engine == "spark":
        held -= {"time(6)"}  # which Spark has behind a setting
    columns = ", ".join(f"{VALUES[kind]} AS `c{n}`" for n, kind in enumerate(sorted(held)))
    write_table(spark.sql(f"SELECT 1L AS id, {columns}"), spec)
    found = read_table(spark, spec).df
    assert found.count() == 1
    assert len(found.columns) == 1 + len(held)


@pytest.mark.spark
@pytest.mark.parametrize("table_format", ["parquet", "delta", "iceberg"])
def test_columns_of_any_name_are_held(table_format, spark, place):
    names = [f"c{n}{name}" for n, name in enumerate(NAMES)]
    df = spark.createDataFrame([(1, *range(len(names)))], ["id", *names])
    spec = place(table_format)
    write_table(df, spec)
    write_table(df.withColumn("id", df["id"] + 1), TableSpec(spec.name, "output", table_format))
    found = read_table(spark, spec).df
    assert found.columns == ["id", *names]
    assert found.collect() == [(2, *range(len(names)))]


@pytest.mark.spark_only
def test_a_delta_table_that_does_not_map_its_columns_says_so(spark, place):
    spec = place("delta")
    write_table(spark.range(1), spec)
    with pytest.raises(OptionError) as error:
        output_table(spark, spec).check(spark.sql("SELECT 1L AS id, 2 AS `a b`").schema)
    assert f"output: the Delta table {spec.name!r} cannot hold 'a b', for a character" in str(
        error.value
    )
    assert "ALTER TABLE delta.`" in str(error.value)

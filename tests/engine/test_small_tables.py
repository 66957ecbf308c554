"""Few rows of the driver as a table: what the engine would make of the Python objects."""

import datetime
from decimal import Decimal

import pytest
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from lq_spark.engine.small_tables import small_table

VALUES = [
    (BooleanType(), True),
    (ShortType(), -3),
    (IntegerType(), 2**31 - 1),
    (LongType(), -(2**63)),
    (DoubleType(), -0.0),
    (StringType(), "ä \U0001f600"),
    (DateType(), datetime.date(1582, 10, 4)),
    (DecimalType(38, 10), Decimal("1.0000000001")),
    (TimestampType(), datetime.datetime(2026, 3, 29, 2, 30)),
    (BinaryType(), bytearray(b"\x00")),
    (ArrayType(LongType()), [1, None]),
    (MapType(LongType(), StringType()), {1: "a", 2: None}),
    (MapType(LongType(), TimestampType()), {1: datetime.datetime(2026, 3, 29, 2, 30)}),
]


@pytest.mark.spark
@pytest.mark.parametrize(("kind", "value"), VALUES, ids=lambda v: getattr(v, "simpleString", str)())
def test_rows_are_those_that_the_engine_makes(spark, kind, value):
    schema = StructType([StructField("n", LongType(), False), StructField("value", kind)])
    rows = [(1, value), (2, None)]
    table = small_table(spark, rows, schema)
    assert table.schema == schema
    found, expected = (
        sorted(map(tuple, made.collect())) for made in (table, spark.createDataFrame(rows, schema))
    )
    assert repr(found) == repr(expected)
    assert found[0][1] == value


@pytest.mark.spark
def test_no_rows(spark):
    schema = StructType([StructField("n", LongType()), StructField("s", StringType())])
    table = small_table(spark, [], schema)
    assert table.schema == schema
    assert table.collect() == []

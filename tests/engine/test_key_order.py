"""The order of keys in Python is that of the engine."""

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from pyspark.sql import Row
from pyspark.sql.types import StructType

from lq_spark.engine.key_order import are_up_to, last_keys, plain_key_type, plain_keys

INSTANT = datetime.datetime(2024, 3, 31, 0, 30, tzinfo=datetime.timezone.utc)
KEYS = {
    "bigint": [-(1 << 60), -1, 0, 1 << 60],
    "string": ["", "B", "a", "b", "é", "\U0001f600"],
    "boolean": [False, True],
    "date": [datetime.date(1, 1, 1), datetime.date(1970, 1, 1), datetime.date(2024, 2, 29)],
    "decimal(20,3)": [Decimal("-1.500"), Decimal("0.000"), Decimal("99999999999999999.999")],
    "binary": [b"", b"\x00", b"\x7f", b"\xff"],
    "timestamp": [INSTANT + datetime.timedelta(minutes=30 * step) for step in range(6)],
    "struct<word: string, place: int>": [("a", 2), ("a", 10), ("b", 0), ("b", 1)],
}


@pytest.mark.spark
@pytest.mark.parametrize("kind", KEYS)
def test_keys_are_ordered_as_by_the_engine(spark, kind):
    values = KEYS[kind]
    df = spark.createDataFrame([(value,) for value in reversed(values)], f"key {kind}")
    rows = df.orderBy("key").toArrow()["key"].combine_chunks()
    ordered = plain_keys(rows)
    assert len(ordered) == len(values)
    type_of_key = plain_key_type(df.schema["key"].dataType)
    for place in range(len(values)):
        one = spark.createDataFrame(pa.table({"key": ordered.slice(place, 1)}))
        value = one.collect()[0]["key"]  # as a cut has it
        last = last_keys(dict.fromkeys(range(len(values)), value), len(values), type_of_key)
        assert are_up_to(ordered, last).tolist() == [row <= place for row in range(len(values))]


def test_keys_that_were_found_are_at_their_places():
    kind = StructType().add("word", "string").add("place", "integer")
    last = last_keys({1: Row(word="a", place=1)}, 2, kind)
    assert last.is_valid().to_pylist() == [False, True]
    keys = pa.array([{"word": "a", "place": 1}] * 2, last.type)
    assert are_up_to(keys, last).tolist() == [False, True]

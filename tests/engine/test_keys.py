import datetime
from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from lq_spark.engine import keys
from lq_spark.engine.keys import KeySummary, duplicate_keys, summarize_key
from lq_spark.errors import ColumnError

LOWEST, HIGHEST = -(2**63), 2**63 - 1
DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 2, 29, 12, 0)

UNIQUE = {
    "dense": ("int", list(range(300))),
    "dense from elsewhere": ("bigint", list(range(10**15, 10**15 + 300))),
    "sparse": ("bigint", [n * 10**12 for n in range(50)]),
    "negative": ("int", list(range(-150, 150))),
    "tiny": ("tinyint", list(range(-128, 128))),
    "lowest": ("bigint", [LOWEST, LOWEST + 1, LOWEST + 2]),
    "highest": ("bigint", [HIGHEST - 2, HIGHEST - 1, HIGHEST]),
    "lowest and highest": ("bigint", [LOWEST, 0, HIGHEST]),
    # Beyond 2^15 positions they are in more than one bitmap.
    "several bitmaps": ("int", [n * 50 for n in range(2000)]),
    "one": ("int", [7]),
    "none": ("int", []),
    "strings": ("string", ["a", "b", "A", "", " "]),
    "no strings": ("string", []),
    "dates": ("date", [DAY, DAY + datetime.timedelta(days=1)]),
    "timestamps": ("timestamp", [MOMENT, MOMENT + datetime.timedelta(microseconds=1)]),
    "decimals": ("decimal(20,1)", [Decimal("0.1"), Decimal("0.2")]),
}
NOT_UNIQUE = {
    "dense": ("int", [*range(300), 0]),
    "sparse": ("bigint", [*(n * 10**12 for n in range(50)), 0]),
    "negative": ("int", [-5, -4, -3, -4]),
    "all equal": ("int", [7] * 300),
    "lowest": ("bigint", [LOWEST, LOWEST + 1, LOWEST]),
    "highest": ("bigint", [HIGHEST, HIGHEST - 1, HIGHEST]),
    "lowest and highest": ("bigint", [LOWEST, HIGHEST, LOWEST, HIGHEST]),
    "strings": ("string", ["a", "b", "a"]),
    "equal strings": ("string", ["a"] * 300),
    "dates": ("date", [DAY, DAY]),
    "null": ("int", [1, None, 2]),
    "null among sparse": ("bigint", [1, None, 10**15]),
    "null string": ("string", ["a", None]),
    "nulls alone": ("int", [None, None]),
    "null strings alone": ("string", [None]),
}


ON_SPARK = {"several bitmaps", "strings", "null among sparse"}


def params(cases):
    """Return the cases as parameters, some of which also run on classic Spark."""
    marks = dict.fromkeys(ON_SPARK, pytest.mark.spark)
    return [pytest.param(*case, id=name, marks=marks.get(name, ())) for name, case in cases.items()]


@pytest.fixture
def table_of(spark):
    """Make a table of a key column in two partitions, the first half and the second."""
    return lambda kind, values: spark.createDataFrame([(key,) for key in values], f"x {kind}")


@pytest.mark.parametrize(("kind", "values"), params(UNIQUE))
def test_keys_that_tell_rows_apart_are_unique(table_of, kind, values):
    assert summarize_key(table_of(kind, values), "x") == KeySummary(len(values), True)


@pytest.mark.parametrize(("kind", "values"), params(NOT_UNIQUE))
def test_nulls_and_keys_of_two_rows_are_not_unique(table_of, kind, values):
    assert summarize_key(table_of(kind, values), "x") == KeySummary(len(values), False)


@pytest.mark.parametrize("sparse", [0, 64, 10**6])
@pytest.mark.parametrize(("last", "is_unique"), [(3000, True), (2991, False)])
def test_bitmaps_and_hashes_say_the_same(table_of, monkeypatch, sparse, last, is_unique):
    monkeypatch.setattr(keys, "_SPARSE", sparse)
    table = table_of("int", [*range(0, 3000, 3), last])
    assert summarize_key(table, "x") == KeySummary(1001, is_unique)


@pytest.mark.parametrize(
    ("values", "is_unique"), [(["a", "b", "c"], True), (["a", "b", "a"], False)]
)
def test_keys_of_equal_hashes_are_compared_themselves(table_of, monkeypatch, values, is_unique):
    monkeypatch.setattr(keys.F, "xxhash64", lambda key: F.length(key).cast("bigint"))
    assert summarize_key(table_of("string", values), "x") == KeySummary(3, is_unique)


@pytest.mark.parametrize("kind", ["float", "double"])
def test_a_key_of_floats_is_refused(table_of, kind):
    with pytest.raises(ColumnError, match=f"^id: column 'x' is {kind}; allowed are"):
        summarize_key(table_of(kind, []), "x")


@pytest.mark.spark
def test_duplicate_keys_are_listed_once_and_nulls_are_not(table_of):
    table = table_of("string", ["a", "b", "a", "c", "a", "b", None, None])
    duplicates = duplicate_keys(table, "x")
    assert duplicates.columns == ["x"]
    assert sorted(row[0] for row in duplicates.collect()) == ["a", "b"]


@pytest.mark.parametrize("name", ["count", "rows", "keys", "key"])
def test_a_key_column_may_have_any_name(table_of, name):
    table = table_of("string", ["a", "b", "a"]).toDF(name)
    assert not summarize_key(table, name).is_unique
    assert [row[0] for row in duplicate_keys(table, name).collect()] == ["a"]

"""Ranks over a table: 1 for the lowest value, of equal ones for the lowest key."""

import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark.engine import rank
from lq_spark.engine.rank import ranked, ranked_by_key

EDGES = [
    *(-1e-6, -1e-9, -5e-324, -0.0, 0.0, 5e-324, 1e-308, 1e-300, 1e-17),
    *(0.5 - 2**-54, 0.5, 0.5 + 2**-53, 1.0 - 2**-53, 1.0, 1.0 + 2**-52, 1.001),
]


def values_of_all_sizes():
    """Return random values, many equal ones, each edge several times."""
    rng = np.random.default_rng(0)
    crowded_near_0 = 10.0 ** (-20 * rng.random(100))
    values = np.concatenate([rng.random(100), crowded_near_0, rng.integers(0, 4, 100) / 4])
    return rng.permutation(np.concatenate([values, np.repeat(EDGES, 5)]))


def texts(n):
    """Return keys in an order of their own: by length neither, nor all ASCII."""
    return [f"{'ß' * (i % 3)}{i}" for i in np.random.default_rng(1).permutation(n)]


KEYS = {"bigint": lambda n: np.random.default_rng(1).permutation(n).tolist(), "string": texts}


@pytest.fixture
def table(spark):
    def make(key_type, n_partitions):
        values = values_of_all_sizes()
        keys = KEYS[key_type](len(values))
        rows = [
            (value, f"note {key}", key) for value, key in zip(values.tolist(), keys, strict=True)
        ]
        schema = f"value double, count string, key {key_type}"
        return spark.createDataFrame(rows, schema).repartition(n_partitions)

    return make


def assert_ranked(table):
    """Assert that the ranks are the places in the sorted table, every row with its own columns."""
    result = ranked(table)
    assert result.columns[-1] == "rank"
    assert sorted(result.columns) == sorted([*table.columns, "rank"])
    found = sorted(result.select("rank", "value", "key", "count").collect())
    rows = [tuple(row) for row in table.select("value", "key", "count").collect()]
    expected = sorted(rows, key=lambda row: (row[0], row[1]))
    assert [tuple(row) for row in found] == [(i + 1, *row) for i, row in enumerate(expected)]


@pytest.mark.parametrize(
    ("key_type", "n_partitions"),
    [
        ("bigint", 1),
        ("string", 2),
        ("bigint", 7),
        pytest.param("string", 7, marks=[pytest.mark.spark, pytest.mark.connect]),
    ],
)
def test_ranks_are_the_places_in_the_sorted_table(table, key_type, n_partitions):
    assert_ranked(table(key_type, n_partitions))


@pytest.mark.parametrize("n_buckets", [1, 3])
def test_the_number_of_buckets_does_not_change_the_ranks(monkeypatch, table, n_buckets):
    monkeypatch.setattr(rank, "N_BUCKETS", n_buckets)
    assert_ranked(table("string", 2))


def test_rows_of_one_value_are_ranked_by_key(spark):
    rows = spark.range(50).selectExpr("0.25D as value", "50 - id as key").repartition(3)
    assert {row["key"]: row["rank"] for row in ranked(rows).collect()} == {
        key: key for key in range(1, 51)
    }


@pytest.mark.spark
def test_of_no_rows_none_is_ranked(spark):
    result = ranked(spark.createDataFrame([], "value double, key string, note int"))
    assert sorted(result.dtypes) == [
        ("key", "string"),
        ("note", "int"),
        ("rank", "bigint"),
        ("value", "double"),
    ]
    assert result.collect() == []


@pytest.mark.spark
@pytest.mark.parametrize("n_buckets", [3, rank.N_BUCKETS])
def test_rows_are_ranked_by_value_where_buckets_are_of_another_column(
    spark, monkeypatch, n_buckets
):
    monkeypatch.setattr(rank, "N_BUCKETS", n_buckets)
    values = [-1e300, -7.5, -0.0, 0.0, -0.0, 0.0, 0.25, 3.0, 1e300] * 3
    keys = np.random.default_rng(0).permutation(len(values)).tolist()
    rows = list(zip(values, keys, strict=True))
    table = spark.createDataFrame(rows, "value double, key int").repartition(3)
    # Never lower for a higher value, and the same for many.
    share = F.when(F.col("value") < 0.0, 0.0).when(F.col("value") > 0.25, 1.0).otherwise(0.5)
    found = ranked(table.withColumn("share", share), share="share").collect()
    order = [key for _, key in sorted((value + 0.0, key) for value, key in rows)]
    assert {row["rank"]: row["key"] for row in found} == dict(enumerate(order, start=1))


OF_TYPES = {
    "bigint": "id * 7919 % 10007 - 5000",
    "string": "concat(repeat('ß', cast(id % 3 AS int)), cast(id * 7919 % 10007 AS string))",
    "date": "date_add(date '1960-05-03', cast(id * 7919 % 10007 AS int))",
    "timestamp": "timestamp_seconds(1698500000 + (id * 7919 % 10007) * 61)",
    "timestamp_ntz": "timestamp_ntz '1969-12-31 23:00:00' + make_interval(0, 0, 0, 0, 0, 0, id)",
    "decimal(20,3)": "cast(id * 7919 % 10007 AS decimal(20, 3)) / 1000 - 2",
    "binary": "encode(cast(id * 7919 % 10007 AS string), 'utf-8')",
}


@pytest.mark.spark
@pytest.mark.connect
@pytest.mark.parametrize("kind", OF_TYPES)
def test_keys_of_any_type_are_ranked_in_their_order(spark, monkeypatch, kind):
    monkeypatch.setattr(rank, "N_RANGES", 5)
    monkeypatch.setattr(rank, "N_DRAWN", 40)
    keys = spark.range(300).selectExpr(f"cast({OF_TYPES[kind]} AS {kind}) AS key", "id AS n")
    found = ranked_by_key(keys.repartition(3))
    assert found.columns == ["key", "n", "rank"]
    expected = [row["n"] for row in keys.orderBy("key").collect()]
    assert {row["rank"]: row["n"] for row in found.collect()} == dict(enumerate(expected, start=1))


@pytest.mark.parametrize("n_rows", [0, 1, 2])
def test_few_keys_are_ranked(spark, n_rows):
    found = ranked_by_key(spark.range(n_rows).selectExpr("10 - id AS key")).collect()
    assert sorted(tuple(row) for row in found) == [
        (10 - n, n_rows - n) for n in reversed(range(n_rows))
    ]


@pytest.mark.spark
def test_the_keys_of_each_group_are_ranked_by_themselves(spark, monkeypatch):
    monkeypatch.setattr(rank, "N_RANGES", 5)
    monkeypatch.setattr(rank, "N_DRAWN", 40)
    rng = np.random.default_rng(0)
    groups, keys = rng.integers(0, 4, 200), [f"r{n:03}" for n in rng.permutation(200)]
    rows = list(zip(groups.tolist(), keys, strict=True))
    df = spark.createDataFrame(rows, "group bigint, key string").repartition(3)
    found = ranked_by_key(df, "group").collect()
    places = {group: sorted(k for g, k in rows if g == group) for group, _ in rows}
    expected = [(g, k, places[g].index(k) + 1) for g, k in rows]
    assert sorted((r["group"], r["key"], r["rank"]) for r in found) == sorted(expected)

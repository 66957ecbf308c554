"""Rows drawn by a hash of their key: those that a sort of all rows would say."""

import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark.engine import draws
from lq_spark.engine.draws import drawn, row_hash, with_part

SIZES = {0: {5: 3, 1: 0, 2: 60}, 1: {7: 1}, 2: {1: 0}, 4: {0: 40, 1: 40, 2: 40}}
COUNTS = {0: 100, 1: 60, 2: 30, 3: 20, 4: 120}


def texts(n):
    """Return keys in an order of their own: by length neither, nor all ASCII."""
    return [f"{'ß' * (i % 3)}{i}" for i in range(n)]


KEYS = {"bigint": lambda n: list(range(n)), "string": texts}


def hashes_of(kind, n, rng):
    """Return 64-bit hashes: spread evenly, or few different ones, or at the ends of buckets."""
    edges = [-(2**63), -(2**63) + 1, -1, 0, 1, 2**63 - 1, *(k << 50 for k in range(-8, 8))]
    if kind == "even":
        return rng.integers(-(2**63), 2**63 - 1, n)
    return rng.choice(np.array(edges if kind == "edges" else [7, -3], dtype=np.int64), n)


def expected(rows):
    """Return the part of each key, by a sort."""
    found = {}
    for group in COUNTS:
        ordered = sorted(row[1:3] for row in rows if row[0] == group)
        parts = [part for part, n in SIZES.get(group, {}).items() for _ in range(n)]
        parts += [None] * (len(ordered) - len(parts))
        found |= {key: part for (_, key), part in zip(ordered, parts, strict=True)}
    return found


@pytest.mark.parametrize("n_counts", [1, 1 << 14])
@pytest.mark.parametrize("kind", ["even", "edges", "few"])
@pytest.mark.parametrize(
    ("key_type", "n_partitions"),
    [("bigint", 1), pytest.param("string", 5, marks=[pytest.mark.spark, pytest.mark.connect])],
)
def test_parts_are_those_of_a_sort(spark, monkeypatch, key_type, n_partitions, kind, n_counts):
    monkeypatch.setattr(draws, "N_COUNTS", n_counts)
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(list(COUNTS), list(COUNTS.values()))).tolist()
    hashes = hashes_of(kind, len(groups), rng).tolist()
    keys = KEYS[key_type](len(groups))
    rows = list(zip(groups, hashes, keys, ["x"] * len(keys), strict=True))
    schema = f"group bigint, hash bigint, key {key_type}, `other.one` string"
    df = spark.createDataFrame(rows, schema).repartition(n_partitions)
    draw = drawn(df, SIZES)
    found = with_part(df, draw, "part", group=F.col("group"), hash=F.col("hash"), key="key")
    assert found.dtypes == [*df.dtypes, ("part", "bigint")]
    taken = found.collect()
    assert len(taken) == len(rows)
    assert {row["key"]: row["part"] for row in taken} == expected(rows)


@pytest.mark.spark
def test_where_nothing_is_drawn_all_rows_are_of_no_part(spark):
    df = spark.range(5).selectExpr("id as key", "id as hash", "id % 2 as group")
    draw = drawn(df, {0: {1: 0}, 1: {}})
    assert draw.pieces == ()
    found = with_part(df, draw, "part", group=F.col("group"), hash=F.col("hash"), key="key")
    assert [row["part"] for row in found.collect()] == [None] * 5


def test_few_counts_come_to_the_driver(spark):
    df = spark.range(4000).selectExpr("id as key", "xxhash64(id) as hash", "id % 2 as group")
    draw = drawn(df, {0: {1: 2000}, 1: {0: 2000}})
    assert len(draw.pieces) <= draws.N_COUNTS
    many = df.withColumn("group", F.col("key") % 500)
    draw = drawn(many, {group: {1: 8} for group in range(500)})
    assert draw.bits == 5


OF_TYPES = {
    "tinyint": "cast(id % 100 AS tinyint)",
    "int": "cast(id - 60 AS int)",
    "bigint": "id * 79191918172 - 5000",
    "string": "concat(repeat('ß', cast(id % 3 AS int)), cast(id AS string))",
    "date": "date_add(date '1960-05-03', cast(id AS int))",
    "timestamp": "timestamp_seconds(1698500000 + id * 61)",
    "timestamp_ntz": "timestamp_ntz '1969-12-31 23:00:00' + make_interval(0, 0, 0, 0, 0, 0, id)",
    "decimal(20,3)": "cast(id AS decimal(20, 3)) / 1000 - 2",
    "decimal(9,9)": "cast(concat('-0.0000000', cast(id + 10 AS string)) AS decimal(9, 9))",
    "binary": "encode(cast(id AS string), 'utf-8')",
    "boolean": "id > 5",
}


def hashes(spark, kind, seed=3):
    """Return the hashes of keys of a type, in an order."""
    keys = spark.range(100).selectExpr("id", f"cast({OF_TYPES[kind]} AS {kind}) AS key")
    key_type = keys.schema["key"].dataType
    hashed = keys.select("id", row_hash(F.col("key"), key_type, seed).alias("hash"))
    return [row["hash"] for row in hashed.orderBy("id").collect()]


@pytest.mark.spark_only
@pytest.mark.parametrize("kind", OF_TYPES)
def test_hashes_of_keys_of_any_type_are_the_same_on_both_engines(spark, on_embedded, kind):
    beside = on_embedded(__file__, "hashes", kind)
    assert hashes(spark, kind) == beside.result()


@pytest.mark.spark
def test_the_seed_and_the_key_make_the_hash_whatever_its_type_of_whole_numbers(spark):
    keys = spark.range(20)
    made = []
    for kind in ("bigint", "int", "smallint"):
        typed = keys.select(F.col("id").cast(kind).alias("id"))
        own = row_hash(F.col("id"), typed.schema["id"].dataType, 5)
        made.append([row[0] for row in typed.select(own, "id").orderBy("id").collect()])
    assert made[0] == made[1] == made[2]
    assert len({*made[0], *hashes(spark, "string", 5), *hashes(spark, "string", 6)}) == 220

"""Exact selection: the n lowest rows of each group, ties by key."""

import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark.engine import select
from lq_spark.engine.select import Cut, lowest_cuts, one_zero, sorted_cuts, take

VALUES = {
    "uniform": lambda rng, n: rng.random(n),
    "over 300 orders of magnitude": lambda rng, n: 10.0 ** (-300 * rng.random(n)),
    "negative too": lambda rng, n: rng.standard_normal(n),
    "six values": lambda rng, n: np.round(rng.random(n) * 5) / 5,
    "one value": lambda rng, n: np.full(n, 0.25),
    "the smallest doubles": lambda rng, n: rng.integers(0, 3, n) * 5e-324,
    "nearly all equal": lambda rng, n: np.where(rng.random(n) < 0.99, 1.0, rng.random(n)),
}


def expected(groups, values, keys, quotas):
    """Return the keys of the n lowest rows of each group by sorting it."""
    taken = set()
    for group, n in quotas.items():
        rows = np.flatnonzero(groups == group)
        order = np.lexsort([keys[rows], values[rows]])
        taken |= set(keys[rows][order[:n]].tolist())
    return taken


def mark(df, cuts):
    columns = {name: F.col(name) for name in ("group", "value", "key")}
    return take(df, cuts, "taken", **columns, key_type=df.schema["key"].dataType)


@pytest.fixture(params=[0, select.MAX_SORTED], ids=["narrowed", "sorted"])
def selection(spark, request, monkeypatch):
    monkeypatch.setattr(select, "MAX_SORTED", request.param)

    def run(groups, values, keys, quotas, n_partitions=3):
        rows = list(zip(groups.tolist(), values.tolist(), keys.tolist(), strict=True))
        df = spark.createDataFrame(rows, "group int, value double, key bigint")
        df = df.repartition(n_partitions)
        marked = mark(df, lowest_cuts(df, quotas))
        assert marked.columns == ["group", "value", "key", "taken"]
        found = marked.collect()
        assert len(found) == len(rows)
        return {row["key"] for row in found if row["taken"]}

    return run


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.spark] * (kind == "negative too")) for kind in VALUES],
)
def test_the_lowest_rows_of_each_group_are_taken(kind, selection):
    rng = np.random.default_rng(len(kind))
    n = 400
    groups, keys, values = rng.integers(0, 5, n), rng.permutation(n), VALUES[kind](rng, n)
    quotas = {k: int(rng.integers(0, 100)) for k in range(5)} | {9: 3}  # group 9 has no rows
    assert selection(groups, values, keys, quotas) == expected(groups, values, keys, quotas)


@pytest.mark.parametrize("n_partitions", [1, 2, 7, 64])
def test_thousands_of_ties_at_the_cut_do_not_depend_on_partitions(n_partitions, selection):
    rng = np.random.default_rng(0)
    n = 5000
    groups, keys = np.zeros(n, dtype=int), rng.permutation(n)
    values = np.where(rng.random(n) < 0.1, rng.random(n) / 2, 0.5)
    quotas = {0: 2500}
    assert selection(groups, values, keys, quotas, n_partitions) == expected(
        groups, values, keys, quotas
    )


def test_few_counts_a_pass_take_more_passes_and_give_the_same(monkeypatch, selection):
    rng = np.random.default_rng(1)
    groups, keys, values = rng.integers(0, 4, 300), rng.permutation(300), rng.random(300)
    quotas = dict.fromkeys(range(4), 17)
    monkeypatch.setattr(select, "MAX_COUNTS", 8)  # so each group has the fewest buckets
    assert selection(groups, values, keys, quotas) == expected(groups, values, keys, quotas)


def test_a_group_with_no_more_rows_than_its_quota_is_taken_whole(spark):
    df = spark.createDataFrame([(0, 0.5, 1), (0, 0.7, 2)], "group int, value double, key int")
    assert lowest_cuts(df, {0: 2}) == {0: Cut(0.7)}
    assert lowest_cuts(df, {0: 5}) == {0: Cut(0.7, n_missing=3)}


@pytest.mark.spark
@pytest.mark.connect
def test_ties_are_cut_at_a_key_of_any_type(spark):
    rows = [(0, 0.5, "b"), (0, 0.5, "a"), (0, 0.5, "c")]
    df = spark.createDataFrame(rows, "group int, value double, key string")
    cuts = lowest_cuts(df, {0: 2})
    assert cuts == {0: Cut(0.5, "b")}
    taken = mark(df, cuts).where("taken").collect()
    assert sorted(row["key"] for row in taken) == ["a", "b"]


def test_without_quotas_nothing_is_read_or_taken(spark):
    df = spark.createDataFrame([(0, 0.5, 1)], "group int, value double, key int")
    assert lowest_cuts(df, {}) == lowest_cuts(df, {0: 0}) == {}
    assert [row["taken"] for row in mark(df, {}).collect()] == [False]


@pytest.mark.spark
def test_a_zero_loses_its_sign_and_no_other_number_changes(spark, assert_same_bits):
    values = [-0.0, 0.0, -5e-324, 5e-324, -1.0, 1.5, -1e308, float("inf")]
    table = spark.createDataFrame(list(enumerate(values)), "id int, value double")
    found = table.select("id", one_zero("value")).orderBy("id").collect()
    expected = np.array([0.0, *values[1:]])
    assert_same_bits(np.array([row["value"] for row in found]), expected)


@pytest.mark.spark
@pytest.mark.parametrize("cuts_of", [lowest_cuts, sorted_cuts])
def test_zeros_of_either_sign_are_cut_by_key(spark, cuts_of):
    rows = [(0, -0.0 if key % 3 else 0.0, key) for key in range(20)]
    df = spark.createDataFrame(rows, "group bigint, value double, key bigint").repartition(3)
    cuts = cuts_of(df, {0: 7})
    assert cuts == {0: Cut(0.0, 6)}
    taken = mark(df, cuts).where("taken").collect()
    assert sorted(row["key"] for row in taken) == list(range(7))

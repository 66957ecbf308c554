"""Properties of tables that tell the classes apart: those of core, whatever the partitions."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from pyspark.sql import DataFrame

from lq_spark import spurious
from lq_spark.core.spurious import find_spurious_correlations
from lq_spark.errors import DataError, InvalidRowsError
from lq_spark.tasks.spurious import SpuriousHealth

N = 500
NAMES = ("ant", "bee", "cat", "dog")
OPTIONS = {"properties": ["light", "size", "noise", "same"], "n_classes": 4}


def data(seed=1):
    """Return labels, the last of 3 rows, and properties; in the order of the ids.

    The classes do not occur in their own order, which would give other folds.
    """
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, N, p=[0.2, 0.6, 0.2])
    labels[[40, 41, 333]] = 3
    return labels, {
        "light": 1e6 + labels + rng.normal(size=N) * 0.1,
        "size": labels // 2 * 3 + rng.integers(0, 5, N),
        "noise": rng.normal(size=N),
        "same": np.full(N, 7.0),
    }


@pytest.fixture
def table(spark):
    """Make a table of rows that are in no order, by the ids of their places."""

    def make(id_of=int, id="bigint", label=int, kind="int", seed=1):
        labels, properties = data(seed)
        columns = [values.tolist() for values in (labels, *properties.values())]
        each = zip(*columns, strict=True)
        rows = [(id_of(n), label(k), *values) for n, (k, *values) in enumerate(each)]
        rows = [rows[n] for n in np.random.default_rng(1).permutation(N)]
        numbers = "light double, size int, noise double, same double"
        return spark.createDataFrame(rows, f"id {id}, label {kind}, {numbers}")

    return make


def assert_found(health, expected):
    """Assert that it is what core finds, to the bit."""
    assert health.n_rows == N
    assert health.properties == ("light", "size", "noise", "same")
    assert health.baseline == expected.baseline
    assert health.accuracies == expected.accuracies
    assert health.scores == expected.scores
    is_issue = tuple(name in health.issues for name in health.properties)
    assert is_issue == expected.is_issue


@pytest.mark.parametrize("n_partitions", [1, 3, pytest.param(7, marks=pytest.mark.spark)])
def test_it_is_that_of_core(table, n_partitions):
    labels, properties = data()
    expected = find_spurious_correlations(properties, labels)
    df = table().repartition(n_partitions)
    health = spurious.summarize(df, **OPTIONS)
    assert_found(health, expected)
    assert (health.issues, health.few) == (("light",), ("3",))
    assert 0.3 < health.scores[1] < health.scores[2] <= health.scores[3] <= 1.0
    issues = spurious.find_issues(df, **OPTIONS)
    assert isinstance(issues, DataFrame)
    assert issues.dtypes == [
        *(("property", "string"), ("is_spurious_correlation", "boolean")),
        *((name, "double") for name in ("score", "accuracy", "baseline")),
    ]
    of_each = expected.is_issue, expected.scores, expected.accuracies
    assert [tuple(row) for row in issues.collect()] == [
        (*row, expected.baseline) for row in zip(properties, *of_each, strict=True)
    ]


@pytest.mark.parametrize(
    ("id", "id_of"),
    [
        ("string", lambda n: f"r{n:03}"),
        ("date", lambda n: date(1969, 6, 1) + timedelta(n)),
        ("decimal(20,1)", lambda n: Decimal(n) / 2),
        ("binary", lambda n: f"{n:03}".encode()),
    ],
)
def test_folds_are_cut_in_the_order_of_the_ids(table, id, id_of):
    labels, properties = data(5)
    expected = find_spurious_correlations(properties, labels, n_folds=7)
    df = table(id_of, id, seed=5).repartition(2)
    assert_found(spurious.summarize(df, **OPTIONS, n_folds=7), expected)
    # The order matters: that of other ids gives other folds.
    other = find_spurious_correlations({n: v[::-1] for n, v in properties.items()}, labels[::-1])
    assert other.accuracies != expected.accuracies


@pytest.mark.parametrize("kind", ["double", "decimal(3,0)", "string"])
def test_the_type_of_the_labels_does_not_matter(table, kind):
    labels, properties = data()
    label = {"string": lambda k: NAMES[k], "decimal(3,0)": Decimal}.get(kind, float)
    given = {"classes": NAMES} if kind == "string" else {}
    health = spurious.summarize(
        table(label=label, kind=kind), properties=OPTIONS["properties"], **given
    )
    assert_found(health, find_spurious_correlations(properties, labels))
    assert health.few == (("dog",) if kind == "string" else ("3",))


def test_the_threshold_says_what_an_issue_is(table):
    df = table()
    assert spurious.summarize(df, **OPTIONS, threshold=0.0).issues == ()
    scores = spurious.summarize(df, **OPTIONS).scores
    assert spurious.summarize(df, **OPTIONS, threshold=scores[1]).issues == ("light",)
    above = float(np.nextafter(scores[1], 1.0))
    assert spurious.summarize(df, **OPTIONS, threshold=above).issues == ("light", "size")


def test_properties_of_any_type_of_number_are_looked_at(spark):
    values = np.arange(40) % 8
    kinds = {"a": "tinyint", "b": "bigint", "c": "float", "d": "double", "e": "decimal(12,2)"}
    rows = [(n, int(v > 3), int(v)) for n, v in enumerate(values.tolist())]
    df = spark.createDataFrame(rows, "id int, label int, v int").selectExpr(
        "id", "label", *(f"cast(v AS {kind}) AS {name}" for name, kind in kinds.items())
    )
    health = spurious.summarize(df, properties=[*kinds])
    assert health.accuracies == (1.0,) * 5
    assert health.issues == tuple(kinds)


@pytest.mark.spark
def test_rows_that_cannot_be_looked_at_are_counted_and_named(spark):
    nan, inf = float("nan"), float("inf")
    rows = [(n, n % 2, float(n), n) for n in range(20)]
    bad = [(20, 0, None, 1), (21, 1, nan, None), (22, 1, -inf, 1), (23, 9, nan, 1)]
    df = spark.createDataFrame(rows + bad, "id int, label int, a double, b int")
    options = {"properties": ["a", "b"], "n_classes": 2}
    checked = spurious.validate(df, id="id", **options)
    reasons = {r["id"]: r["invalid_reason"] for r in checked.where("id > 18").collect()}
    assert reasons == {
        19: None,
        20: "null property",
        21: "null property",
        22: "property not finite",
        23: "label out of range",
    }
    with pytest.raises(InvalidRowsError, match=r"^1 of 24 rows .*; spurious\.validate says which"):
        spurious.summarize(df, **options)
    said = (
        "3 of 23 rows cannot be scored, 2 with null property and 1 with property not finite; "
        "spurious.validate says which"
    )
    with pytest.raises(InvalidRowsError) as refused:
        spurious.find_issues(df.where("id < 23"), **options)
    assert str(refused.value) == said
    without = spurious.validate(df, label=None, properties=["a"]).where("id > 20").collect()
    assert [row["invalid_reason"] for row in without] == ["property not finite"] * 3


def test_there_must_be_a_class_of_as_many_rows_as_folds(spark):
    rows = [(n, n % 3, float(n)) for n in range(11)]
    df = spark.createDataFrame(rows, "id int, label int, a double")
    message = "no class has as many rows as there are folds, 5; the largest has 4"
    with pytest.raises(DataError, match=message):
        spurious.summarize(df, properties=["a"])
    health = spurious.summarize(df, properties=["a"], n_folds=4)
    assert health.few == ("2",)
    assert "11 rows, 1 property, " in repr(health)
    assert ", 1 small class" in repr(health)


def test_what_is_shown_has_the_lowest_scores_first():
    found = SpuriousHealth(9, 0.5, ("a", "b"), (0.5, 0.9), (1.0, 0.2), ("b",))
    [table] = found._tables()
    assert table.columns["property"] == ["b", "a"]
    assert table.columns["score"] == [0.2, 1.0]
    assert table.columns["accuracy"] == [0.9, 0.5]

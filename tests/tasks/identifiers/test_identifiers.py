"""Columns that number the rows: those of core and of cleanlab, whatever the partitions."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from lq_spark import identifiers
from lq_spark.core.identifiers import find_identifier_columns
from lq_spark.errors import ColumnError, OptionError

N = 70_000  # more than a bitmap has room for
LOWEST, HIGHEST = -(2**63), 2**63 - 1


def columns_of(rng, n):
    """Return columns that number the rows, or nearly."""
    up = np.arange(n)
    hole = np.where(up == n // 2, n // 2 + 1, up)
    return {
        "numbers": up,
        "shuffled": rng.permutation(n).astype(np.int32) - 40_000,
        "pairs": (up // 2).astype(np.int32),
        "lowest": up + LOWEST,
        "highest": HIGHEST - up,
        "codes": (up % 7).astype(np.int8),
        "hole": hole,
        "wide": np.where(up == 0, n * 3, up),
        "both ends": np.where(up == 0, LOWEST, np.where(up == 1, HIGHEST, up)),
        "constant": np.full(n, 5, dtype=np.int16),
        "measured": rng.random(n),
    }


def found_in(issues):
    return {row["column"]: tuple(row)[1:] for row in issues.collect()}


@pytest.fixture(scope="module")
def columns():
    return columns_of(np.random.default_rng(0), N)


@pytest.mark.parametrize("n_partitions", [1, 2, pytest.param(7, marks=pytest.mark.spark)])
def test_identifiers_are_those_of_core(spark, columns, n_partitions):
    order = np.random.default_rng(n_partitions).permutation(N)
    df = spark.createDataFrame(pa.table(columns).take(order)).repartition(n_partitions)
    issues = identifiers.find_issues(df)
    assert isinstance(issues, DataFrame)
    assert issues.dtypes == [
        *(("column", "string"), ("is_identifier", "boolean")),
        *((name, "bigint") for name in ("low", "high", "n_distinct")),
    ]
    whole = [name for name, values in columns.items() if values.dtype.kind == "i"]
    assert [row["column"] for row in issues.collect()] == whole
    found = found_in(issues)
    expected = find_identifier_columns(columns)
    assert expected == ["numbers", "shuffled", "pairs", "lowest", "highest", "codes"]
    assert [name for name in whole if found[name][0]] == expected
    for name in whole:
        values = columns[name]
        low, high = int(values.min()), int(values.max())
        counted = high - low + 1 <= N
        n_distinct = len(np.unique(values)) if counted else None
        assert found[name][1:] == (low, high, n_distinct), name
    assert found["wide"][3] is found["both ends"][3] is None
    assert found["hole"] == (False, 0, N - 1, N - 1)
    health = identifiers.summarize(df)
    assert (health.n_rows, health.columns, list(health.identifiers)) == (N, tuple(whole), expected)


def test_of_many_columns_each_is_looked_at_by_itself(spark):
    rng = np.random.default_rng(2)
    starts = rng.choice([0, LOWEST, HIGHEST - 9], 90)
    columns = {f"c{n}": start + rng.integers(0, 2 + n % 8, 20) for n, start in enumerate(starts)}
    expected = find_identifier_columns(columns)
    assert 20 < len(expected) < 80
    health = identifiers.summarize(spark.createDataFrame(pa.table(columns)))
    assert list(health.identifiers) == expected


def test_only_what_may_be_an_identifier_is_read_a_second_time(spark, monkeypatch):
    passes = []
    agg = type(spark.range(1)).agg
    monkeypatch.setattr(
        type(spark.range(1)),
        "agg",
        lambda self, *made: passes.append(len(made)) or agg(self, *made),
    )
    df = spark.createDataFrame(pa.table({"far": [1, 100, 7], "same": [3, 3, 3]}))
    assert found_in(identifiers.find_issues(df)) == {
        "far": (False, 1, 100, None),
        "same": (False, 3, 3, 1),
    }
    assert passes == [7]  # the number of rows, and three numbers of each column


@pytest.mark.spark
def test_nulls_are_left_out(spark):
    table = {"a": pa.array([1, None, 3, 2]), "b": pa.array([None] * 4, pa.int32())}
    df = spark.createDataFrame(pa.table({**table, "c": [4, 4, 5, 5]}))
    assert found_in(identifiers.find_issues(df)) == {
        "a": (True, 1, 3, 3),
        "b": (False, None, None, 0),
        "c": (True, 4, 5, 2),
    }
    assert identifiers.summarize(df).identifiers == ("a", "c")


def test_of_columns_that_are_named_the_others_are_not_looked_at(spark):
    df = spark.createDataFrame(pa.table({"id": [1, 2], "n": [5, 6], "text": ["a", "b"]}))
    assert list(found_in(identifiers.find_issues(df, columns=["n"]))) == ["n"]
    assert identifiers.summarize(df, columns=("n", "id")).columns == ("n", "id")


@pytest.mark.spark
def test_a_table_without_rows_or_whole_numbers_has_no_identifier(spark):
    df = spark.createDataFrame(pa.table({"id": [1, 2], "text": ["a", "b"]}))
    nothing = df.where("id > 5")
    assert found_in(identifiers.find_issues(nothing)) == {"id": (False, None, None, 0)}
    assert identifiers.summarize(nothing).identifiers == ()
    without = df.select("text")
    assert found_in(identifiers.find_issues(without)) == {}
    health = identifiers.summarize(without)
    assert (health.n_rows, health.columns, health.identifiers) == (2, (), ())


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (
            ["text"],
            ColumnError,
            "columns: column 'text' is string; allowed are tinyint, smallint, ",
        ),
        (
            ["part"],
            ColumnError,
            "columns: column 'part' is double; allowed are tinyint, smallint, ",
        ),
        (
            ["idd"],
            ColumnError,
            "columns: no column 'idd' in the table; it has 'id', 'part', 'text'",
        ),
        ([], OptionError, "columns must name columns, each once, got []"),
        (["id", "id"], OptionError, "columns must name columns, each once, got ['id', 'id']"),
        ("id", OptionError, "columns must be a list of names, got 'id'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("call", [identifiers.find_issues, identifiers.summarize])
def test_a_wrong_column_is_refused_before_a_job(unread, call, columns, error, message):
    with pytest.raises(error) as refused:
        call(unread(id="bigint", part="double", text="string"), columns=columns)
    assert str(refused.value).startswith(message)


def test_identifiers_are_those_of_cleanlab(spark, quietly):
    from cleanlab import Datalab
    from cleanlab.datalab.internal.issue_manager.identifier_column import (
        IdentifierColumnIssueManager,
    )

    rng = np.random.default_rng(1)
    columns = columns_of(rng, 60)
    del columns["measured"], columns["lowest"], columns["highest"], columns["both ends"]
    matrix = np.stack([values.astype(np.int64) for values in columns.values()], axis=1)
    lab = Datalab({"y": [0] * 60}, verbosity=0)
    manager = IdentifierColumnIssueManager(lab)
    quietly(manager.find_issues, features=matrix)
    theirs = [list(columns)[place] for place in manager.info["identifier_columns"]]
    df = spark.createDataFrame(pa.table(columns))
    assert list(identifiers.summarize(df).identifiers) == theirs

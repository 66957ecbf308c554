"""Nulls of tables: those of core, whatever the partitions and the types of the columns."""

import numpy as np
import pytest

from lq_spark import nulls
from lq_spark.core.nulls import find_nulls, is_null
from lq_spark.errors import ColumnError, OptionError

N, NAMES = 60, ("a", "b.c", "d", "e")


def values_like(share, seed=0):
    rng = np.random.default_rng(seed)
    missing = rng.random((N, 4)) < share
    missing[:3] = share > 0.0
    whole = [[float(n), f"t{n}", [n], n] for n in range(N)]
    for row, column in np.argwhere(missing):
        nan = column == 0 and row % 2
        whole[row][column] = float("nan") if nan else None
    return whole, missing


@pytest.fixture
def table(spark):
    def make(rows):
        schema = "id int, a double, `b.c` string, d array<int>, e bigint"
        return spark.createDataFrame([(n, *row) for n, row in enumerate(rows)], schema)

    return make


@pytest.mark.parametrize(
    ("share", "n_partitions"),
    [(0.0, 1), pytest.param(0.1, 7, marks=pytest.mark.spark), (0.5, 2), (0.97, 64)],
)
def test_they_are_those_of_core(table, share, n_partitions):
    values, missing = values_like(share)
    flags, scores, expected = find_nulls(missing)
    objects = np.empty((N, 4), dtype=object)
    for row, column in np.ndindex(N, 4):
        objects[row, column] = values[row][column]
    assert np.array_equal(is_null(objects), missing)
    rows = table(values).repartition(n_partitions)
    found = nulls.find_issues(rows, id="id").orderBy("id").collect()
    assert [row["is_null_issue"] for row in found] == flags.tolist()
    assert [row["null_score"] for row in found] == scores.tolist()
    health = nulls.summarize(rows)
    assert (health.n_rows, health.n_issues, health.score) == (N, flags.sum(), expected.score)
    assert list(health.column_nulls) == list(NAMES)
    assert list(health.column_shares.values()) == expected.column_shares.tolist()
    letters = zip(NAMES, expected.pattern or "0000", strict=True)
    assert health.pattern == tuple(name for name, letter in letters if letter == "1")
    assert health.pattern_rows == expected.pattern_count


def test_of_equally_common_patterns_that_of_the_lowest_id_is_named(table):
    rows = [[1.0, "x", [1], 1] for _ in range(6)]
    for row, column in ((5, 0), (1, 2), (3, 2), (2, 3), (4, 3)):
        rows[row][column] = None
    health = nulls.summarize(table(rows).repartition(3))
    assert (health.pattern, health.pattern_rows) == (("d",), 2)


def test_columns_may_be_named(table):
    values, missing = values_like(0.4)
    rows = table(values)
    some = nulls.score(rows, columns=["b.c", "e"]).orderBy("id").collect()
    assert [row["null_score"] for row in some] == find_nulls(missing[:, [1, 3]])[1].tolist()
    assert list(nulls.summarize(rows, columns=["e"]).column_nulls) == ["e"]
    # Without an id it is looked at as the others are.
    whole = nulls.score(rows).orderBy("id").collect()
    with_id = np.column_stack([np.zeros(N, bool), missing])
    assert [row["null_score"] for row in whole] == find_nulls(with_id)[1].tolist()


@pytest.mark.spark
def test_a_table_may_have_many_columns(spark):
    columns = ", ".join(f"if(id % {place + 2} = 0, null, id) x{place}" for place in range(300))
    rows = spark.sql(f"select id, {columns} from range(9)")
    missing = np.array([[n % (place + 2) == 0 for place in range(300)] for n in range(9)])
    found = nulls.find_issues(rows, id="id").orderBy("id").collect()
    flags, scores, expected = find_nulls(missing)
    assert [row["null_score"] for row in found] == scores.tolist()
    assert [row["is_null_issue"] for row in found] == flags.tolist()
    health = nulls.summarize(rows)
    assert (health.n_issues, health.score) == (1, expected.score)


def test_without_rows(table):
    health = nulls.summarize(table([]))
    assert (health.n_rows, health.score, health.pattern) == (0, None, ())
    assert health.column_shares == dict.fromkeys(NAMES)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": ["x"]}, ColumnError, "columns: no column 'x' in the table"),
        ({"columns": []}, OptionError, "columns must name columns, each once, got []"),
        ({"columns": ["a", "a"]}, OptionError, "columns must name columns, each once, got ['a', "),
        ({"id": "x"}, ColumnError, "id: no column 'x' in the table"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(table, options, error, message):
    for find in (nulls.find_issues, nulls.score, nulls.summarize, nulls.validate):
        with pytest.raises(error) as raised:
            find(table([]), **options)
        assert message in str(raised.value)
    with pytest.raises(OptionError, match="columns is not given, and the table has none beside"):
        nulls.find_issues(table([]).select("id"), id="id")

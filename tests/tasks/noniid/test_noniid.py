"""Whether the order of tables is random: as core and cleanlab have it, whatever the partitions."""

import numpy as np
import pytest
from cleanlab import Datalab

from lq_spark import neighbors, noniid
from lq_spark.core.neighbors import knn_graph
from lq_spark.core.noniid import find_non_iid
from lq_spark.core.noniid import search as core_search
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError
from lq_spark.tasks.neighbors import exact
from lq_spark.tasks.noniid import issues as task
from lq_spark.tasks.noniid import passes

N = 120
FOUND = ["is_non_iid_issue", "non_iid_score"]


def features_in_order(seed=0):
    """Return features that drift from row to row, a few of them the same."""
    rng = np.random.default_rng(seed)
    features = np.linspace(0.0, 2.0, N)[:, np.newaxis] + rng.normal(size=(N, 4)) * 0.4 + 2.0
    features[50:56] = features[50]
    return features


def columns_of(order):
    """Return ids, times and texts of rows that came in an order of the ids."""
    ids = np.empty(N, dtype=int)
    ids[order] = np.arange(N)
    features = features_in_order()[ids]
    return [
        (n, features[n].tolist(), int(ids[n]) * 37 - 500, f"t{ids[n] + 1000}") for n in range(N)
    ]


@pytest.fixture
def table(spark):
    """Rows in the order of their ids, which is another one than that of the column ``time``."""
    rows = columns_of(np.random.default_rng(1).permutation(N))
    return spark.createDataFrame(rows, "id bigint, features array<double>, time int, text string")


def found_in(rows):
    found = sorted((row["id"], row["is_non_iid_issue"], row["non_iid_score"]) for row in rows)
    return [row[1] for row in found], [row[2] for row in found]


def expected(table, order="id", k=10, metric=None, **options):
    """Return what core has of the rows in an order, row by row in the order of their ids."""
    rows = sorted(table.select("id", order, "features").collect(), key=lambda row: row["id"])
    nearest = knn_graph([row["features"] for row in rows], k=k, metric=metric).neighbors
    place = np.argsort(np.argsort(np.array([row[order] for row in rows])))
    in_order = np.empty_like(nearest)
    in_order[place] = place[nearest]
    flags, scores, found = find_non_iid(in_order, **options)
    return flags[place].tolist(), scores[place].tolist(), found


@pytest.mark.parametrize("n_partitions", [1, 2, 7])
def test_the_order_is_judged_as_core_does(table, monkeypatch, n_partitions):
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 40)
    monkeypatch.setattr(passes, "NEIGHBORS_OF_A_GROUP", 170)
    monkeypatch.setattr(core_search, "_LEAST_RANGES", 16)
    monkeypatch.setattr(passes, "MAX_COUNTS", 300)
    rows = table.orderBy("features").repartition(n_partitions)
    options = {"metric": "euclidean", "num_permutations": 7, "significance_threshold": 1.0}
    for more in ({}, {"order": "text"}, {"order": "time", "k": 3, "seed": 4, **options}):
        issues = noniid.find_issues(rows, **more)
        assert issues.columns == [*rows.columns, *FOUND]
        flags, scores = found_in(issues.collect())
        assert (flags, scores) == expected(table, **more)[:2]
        health, found = noniid.summarize(rows, **more), expected(table, **more)[2]
        assert (health.n_rows, health.statistic) == (N, found.statistic)
        assert (health.p_value, health.is_issue) == (found.p_value, found.is_issue)
        assert sum(flags) == found.is_issue == bool(more)
        some = {name: more[name] for name in ("order", "k", "metric") if name in more}
        scored = noniid.score(rows, **some).orderBy("id")
        assert scored.columns == [*rows.columns, "non_iid_score"]
        assert [row["non_iid_score"] for row in scored.collect()] == scores


def test_hashed_orders_are_those_of_core(table, monkeypatch):
    monkeypatch.setattr(task, "EXACT_UP_TO", N - 1)
    health = noniid.summarize(table, order="time")
    found = expected(table, order="time", exact_up_to=N - 1)[2]
    assert (health.statistic, health.p_value) == (found.statistic, found.p_value)
    assert found.p_value != expected(table, order="time")[2].p_value


@pytest.mark.parametrize("order", ["id", "time"])
def test_the_order_is_judged_as_datalab_does(table, quietly, order):
    table = table.where("(time + 500) / 37 NOT BETWEEN 50 AND 55")  # of copies any comes first
    rows = table.orderBy(order).collect()

    def datalabs():
        lab = Datalab({"label": [0] * len(rows)}, label_name="label", verbosity=0)
        features = np.array([row["features"] for row in rows])
        lab.find_issues(features=features, issue_types={"non_iid": {"k": 5}})
        return lab.get_issues("non_iid"), lab.get_info("non_iid")["p-value"]

    theirs, p_value = quietly(datalabs)
    given = table.repartition(3)
    found = noniid.find_issues(given, order=order, k=5).orderBy(order).collect()
    scores = [row["non_iid_score"] for row in found]
    np.testing.assert_allclose(scores, theirs["non_iid_score"], rtol=0, atol=1e-9)
    assert [row["is_non_iid_issue"] for row in found] == theirs["is_non_iid_issue"].tolist()
    health = noniid.summarize(given, order=order, k=5)
    assert health.p_value == pytest.approx(p_value, abs=1e-9)
    assert health.is_issue == (order == "time")


def test_of_a_graph_all_neighbours_count(table):
    edges = neighbors.graph(table, k=4).repartition(3)
    rows = table.select("id", "time")
    found = noniid.find_issues(rows, graph=edges, order="time")
    assert found_in(found.collect()) == expected(table, "time", 4)[:2]
    health = noniid.summarize(rows, graph=edges, order="time")
    assert health == noniid.summarize(table, order="time", k=4)
    with pytest.raises(DataError, match="graph: id 80 has edges, and is not in the table"):
        noniid.score(rows.where("id < 80"), graph=edges)


BAD = (
    "id",
    "IF(id = 2, array(1.0D), IF(id = 3, NULL, features)) AS features",
    "CASE id WHEN 4 THEN NULL WHEN 5 THEN 7777 WHEN 6 THEN 7777 ELSE time END AS time",
)


def test_rows_that_cannot_be_placed_are_named(table):
    bad = table.selectExpr(*BAD)

    def named(**options):
        checked = noniid.validate(bad, id="id", n_features=4, **options)
        assert checked.columns == [*bad.columns, "invalid_reason"]
        wrong = checked.where("invalid_reason IS NOT NULL")
        return dict(wrong.select("id", "invalid_reason").collect())

    of_features = {2: "features of wrong length", 3: "null features"}
    of_order = {4: "null order", 5: "duplicate order", 6: "duplicate order"}
    assert named() == of_features
    assert named(order="time") == of_features | of_order
    assert noniid.validate(bad, features=None).where("invalid_reason IS NOT NULL").count() == 0
    for call in (noniid.find_issues, noniid.score, noniid.summarize):
        with pytest.raises(InvalidRowsError) as error:
            call(bad, order="time", n_features=4)
        assert str(error.value) == (
            "order: column 'time' has nulls or values that occur twice; "
            "noniid.validate says which rows"
        )
    with pytest.raises(InvalidRowsError, match="2 of 120 rows cannot be scored, for want of usabl"):
        noniid.find_issues(bad, n_features=4)


def test_rows_without_features_are_left_out_of_the_order(table):
    bad = table.selectExpr(*BAD[:2], "time")
    scored = noniid.score(bad, order="time", n_features=4, on_invalid="null").collect()
    assert sorted(row["id"] for row in scored if row["non_iid_score"] is None) == [2, 3]
    good = sorted((row["id"], row["non_iid_score"]) for row in scored if row["id"] not in (2, 3))
    scores = expected(table.where("id NOT IN (2, 3)"), "time")[1]
    assert [score for _, score in good] == scores


@pytest.mark.parametrize("n_rows", [0, 1])
def test_there_must_be_two_rows(table, n_rows):
    few = table.where(f"id < {n_rows}")
    for call in (noniid.find_issues, noniid.score, noniid.summarize):
        with pytest.raises(DataError) as error:
            call(few, n_features=4)
        assert str(error.value) == "there are fewer than 2 rows, which are in no order"


def test_where_all_rows_are_near_the_order_says_nothing(table):
    few = table.where("id < 8")
    with pytest.raises(DataError, match="in all of 25 random orders, which says nothing of the"):
        noniid.find_issues(few)
    assert noniid.score(few).count() == 8


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": "tim"}, ColumnError, "order: no column 'tim' in the table; it has 'id', "),
        ({"order": "features"}, ColumnError, "order: column 'features' is array<double>; allowed"),
        ({"k": N}, OptionError, "k must be below the number of rows, for a row is no neighbour"),
        ({"seed": -1}, OptionError, "seed must be a whole number of at least 0, got -1"),
        ({"num_permutations": 1}, OptionError, "num_permutations must be a whole number of at le"),
        (
            {"significance_threshold": 1.5},
            OptionError,
            "significance_threshold must be a number from 0 to 1, got 1.5",
        ),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(table, options, error, message):
    for call in (noniid.find_issues, noniid.summarize):
        with pytest.raises(error) as raised:
            call(table, **options)
        assert str(raised.value).startswith(message)

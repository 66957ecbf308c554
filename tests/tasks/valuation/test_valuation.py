"""Values of the rows of tables: those of core and of cleanlab, whatever the partitions."""

import numpy as np
import pytest
from cleanlab import Datalab

from lq_spark import neighbors, valuation
from lq_spark.core.neighbors import knn_graph
from lq_spark.core.valuation import data_shapley_knn
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError
from lq_spark.tasks.neighbors import exact

N = 90


def data(seed=0):
    """Return features around three points, some the same, and labels, every sixth another one."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, N)
    features = rng.normal(size=(N, 4)) + 3.0 * np.eye(4)[truth]
    features[5:11] = features[5]
    labels = np.where(rng.random(N) < 1 / 6, rng.integers(0, 3, N), truth)
    return features, labels


@pytest.fixture
def table(spark):
    features, labels = data()
    rows = list(zip(range(N), features.tolist(), labels.tolist(), strict=True))
    return spark.createDataFrame(rows, "id bigint, features array<double>, label int")


def found_in(rows):
    columns = ("id", "is_data_valuation_issue", "data_valuation_score")
    found = sorted(tuple(row[name] for name in columns) for row in rows)
    return [row[1] for row in found], [row[2] for row in found]


def expected(k, metric=None):
    features, labels = data()
    nearest = knn_graph(features, k=k, metric=metric).neighbors
    return data_shapley_knn(labels, neighbors=nearest, k=k)


@pytest.mark.parametrize("n_partitions", [1, 2, 7])
def test_values_are_those_of_core(table, monkeypatch, n_partitions):
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 40)
    rows = table.orderBy("features").repartition(n_partitions)
    for k, options in (
        (10, {}),
        (3, {"k": 3, "metric": "euclidean", "threshold": 0.505}),
        (1, {"k": 1}),
    ):
        values = expected(k, options.get("metric"))
        issues = valuation.find_issues(rows, **options)
        assert issues.columns == [*rows.columns, *found_columns()]
        flags, scores = found_in(issues.collect())
        assert scores == values.tolist()
        assert flags == (values < options.get("threshold", 0.5)).tolist()
        health = valuation.summarize(rows, **options)
        assert (health.n_rows, health.n_issues) == (N, sum(flags))
        assert health.mean_score == pytest.approx(values.mean(), abs=1e-12)
    assert 0 < (expected(10) < 0.5).sum() < N / 4


def found_columns():
    return ["is_data_valuation_issue", "data_valuation_score"]


@pytest.mark.parametrize("threshold", [0.5, 0.501])
def test_values_and_issues_are_those_of_datalab(table, quietly, threshold):
    features, labels = (values[11:] for values in data())  # copies are equally near

    def datalabs():
        lab = Datalab({"label": labels.tolist()}, label_name="label", verbosity=0)
        lab.find_issues(
            features=features, issue_types={"data_valuation": {"k": 7, "threshold": threshold}}
        )
        return lab.get_issues("data_valuation")

    theirs = quietly(datalabs)
    rows = table.where("id >= 11").repartition(3)
    found = valuation.find_issues(rows, k=7, threshold=threshold)
    flags, scores = found_in(found.collect())
    np.testing.assert_allclose(scores, theirs["data_valuation_score"], rtol=0, atol=1e-9)
    assert flags == theirs["is_data_valuation_issue"].tolist()
    assert 0 < sum(flags) < N


@pytest.mark.parametrize(
    "label",
    [
        "concat('class ', label)",
        "cast(label - 5 as double)",
        "cast(label * 7 as decimal(9,0))",
        "cast(label as bigint) + 1000000",
    ],
)
def test_labels_of_any_type_are_only_compared(table, label):
    rows = table.selectExpr("id", "features", f"{label} AS given").repartition(2)
    scores = found_in(valuation.find_issues(rows, label="given", k=4).collect())[1]
    assert scores == expected(4).tolist()


def test_of_a_graph_the_first_neighbours_count(table):
    edges = neighbors.graph(table, k=6).repartition(4)
    rows = table.select("id", "label")
    for k in (1, 4, 6, None):
        scores = found_in(valuation.find_issues(rows, graph=edges, k=k).collect())[1]
        assert scores == expected(k or 6).tolist()
    for call in (valuation.find_issues, valuation.summarize):
        with pytest.raises(OptionError) as error:
            call(rows, graph=edges, k=7)
        assert str(error.value) == "k must be at most 6, the neighbours of a row in graph, got 7"


def test_few_rows_have_fewer_neighbours(table):
    few = table.where("id < 4")
    features, labels = data()
    nearest = knn_graph(features[:4], k=3).neighbors
    values = data_shapley_knn(labels[:4], neighbors=nearest, k=3)
    assert found_in(valuation.find_issues(few).collect())[1] == values.tolist()
    assert found_in(valuation.find_issues(table.where("id = 3")).collect()) == ([False], [0.5])
    with pytest.raises(OptionError, match="k must be below the number of rows, for a row is no"):
        valuation.find_issues(few, k=4)


BAD = (
    "id",
    "IF(id = 2, NULL, features) AS features",
    "CASE id WHEN 4 THEN NULL WHEN 5 THEN 0.5D ELSE label END AS label",
)
REASONS = {2: "null features", 4: "null label", 5: "label not a whole number"}


def test_rows_that_cannot_be_scored_are_named_and_can_be_left_out(table):
    bad, good = table.selectExpr(*BAD), ~np.isin(np.arange(N), list(REASONS))
    checked = valuation.validate(bad, id="id").where("invalid_reason IS NOT NULL")
    assert dict(checked.select("id", "invalid_reason").collect()) == REASONS
    of_labels = valuation.validate(bad, features=None).where("invalid_reason IS NOT NULL")
    assert sorted(row["id"] for row in of_labels.collect()) == [4, 5]
    with pytest.raises(InvalidRowsError) as error:
        valuation.find_issues(bad)
    assert str(error.value) == (
        "2 of 90 rows cannot be scored, for want of usable labels; "
        "valuation.validate says which and why"
    )
    scored = sorted(valuation.score(bad, k=5, on_invalid="null").collect())
    assert [row["id"] for row in scored if row["data_valuation_score"] is None] == [2, 4, 5]
    features, labels = (values[good] for values in data())
    values = data_shapley_knn(labels, neighbors=knn_graph(features, k=5).neighbors, k=5)
    found = [row["data_valuation_score"] for row in scored]
    assert [value for value in found if value is not None] == values.tolist()


def test_a_row_of_a_graph_needs_a_label(table):
    edges = neighbors.graph(table, k=3)
    with pytest.raises(InvalidRowsError, match="2 of 90 rows cannot be scored, for want of usable"):
        valuation.score(table.selectExpr(*BAD), graph=edges, on_invalid="null")
    with pytest.raises(DataError, match="graph: id 80 has edges, and is not in the table"):
        valuation.score(table.where("id < 80"), graph=edges)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label": "features"}, ColumnError, "label: column 'features' is array<double>; allowed"),
        ({"label": "lable"}, ColumnError, "label: no column 'lable' in the table"),
        ({"id": "label"}, InvalidRowsError, "id: column 'label' has nulls or values that occur"),
        ({"k": N}, OptionError, "k must be below the number of rows, for a row is no neighbour"),
        ({"k": 2.5}, OptionError, "k must be a whole number of neighbours, at least 1, got 2.5"),
        ({"threshold": 1.5}, OptionError, "threshold must be a number from 0 to 1, got 1.5"),
        ({"recall": 0.0}, OptionError, "recall must be a number above 0 and at most 1, got 0.0"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(table, options, error, message):
    with pytest.raises(error) as raised:
        valuation.find_issues(table, **options)
    assert str(raised.value).startswith(message)

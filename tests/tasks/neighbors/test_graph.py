"""The graph of a table's rows: that of core, to the bit, whatever the partitions and the blocks."""

import numpy as np
import pytest

from lq_spark import files, neighbors
from lq_spark.core.neighbors import knn_graph
from lq_spark.errors import ColumnError, InvalidRowsError, OptionError
from lq_spark.tasks.neighbors import exact


def features_like(shape, n_rows=90, n_features=5, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_rows, n_features))
    if shape == "copies":
        features = features[rng.integers(0, n_rows // 6, n_rows)]
    if shape == "one row":
        features = np.ones_like(features)
    if shape == "few values":
        features = rng.integers(0, 2, (n_rows, n_features)) * 1.0
    return features


@pytest.fixture
def table(spark):
    def make(features, ids=None, kind="array<double>"):
        ids = range(len(features)) if ids is None else ids
        rows = list(zip(ids, features.tolist(), strict=True))
        key = "bigint" if isinstance(rows[0][0], int) else "string"
        return spark.createDataFrame(rows, f"`row id` {key}, features {kind}")

    return make


def lists_of(edges):
    """Return {id: (neighbours, distances)} of a table of edges."""
    found = {}
    for row in sorted(edges.collect(), key=lambda row: (row["id"], row["rank"])):
        near, away = found.setdefault(row["id"], ([], []))
        near.append(row["neighbor"])
        away.append(row["distance"])
        assert row["rank"] == len(near)
    return found


@pytest.mark.parametrize(
    ("shape", "metric", "block_rows", "n_partitions"),
    [
        ("normal", "cosine", 1 << 14, 1),
        ("normal", "euclidean", 17, 7),
        ("copies", "cosine", 4, 3),
        ("copies", "euclidean", 1 << 14, 64),
        ("few values", "cosine", 9, 2),
        ("one row", "cosine", 5, 2),
    ],
)
@pytest.mark.parametrize("k", [1, 10, 89])
def test_it_is_that_of_core(table, monkeypatch, shape, metric, block_rows, n_partitions, k):
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", block_rows)
    features = features_like(shape)
    expected = knn_graph(features, k=k, metric=metric)
    rows = table(features).repartition(n_partitions)
    edges = neighbors.graph(rows, id="row id", k=k, metric=metric)
    found = lists_of(edges)
    for row in range(len(features)):
        assert found[row] == (expected.neighbors[row].tolist(), expected.distances[row].tolist())


@pytest.mark.spark
def test_forms_of_features_and_ids_make_no_difference(spark, monkeypatch):
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 13)
    features = features_like("copies", n_rows=60, n_features=3).astype(np.float32)
    expected = knn_graph(features, k=4, metric="cosine")
    ids = [f"row {n:03}" for n in range(60)]
    rows = list(zip(ids, features.tolist(), *features.astype(float).T.tolist(), strict=True))
    schema = "id string, features array<float>, x double, y double, z double"
    table = spark.createDataFrame(rows, schema).repartition(5)
    named = {"array": "features", "columns": ["x", "y", "z"]}
    for form in named.values():
        found = lists_of(neighbors.graph(table, features=form, k=4, metric="cosine"))
        for row, key in enumerate(ids):
            near = [ids[n] for n in expected.neighbors[row]]
            assert found[key] == (near, expected.distances[row].tolist())


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["smallint", "bigint", "decimal(5,2)"])
def test_features_may_be_any_numbers(spark, table, tmp_path, kind):
    features = np.random.default_rng(0).integers(-9, 9, (40, 3)).astype(float)
    expected = lists_of(neighbors.graph(table(features), id="row id", k=3))
    rows = table(features).selectExpr("`row id`", f"cast(features AS array<{kind}>) AS features")
    rows.coalesce(1).write.parquet(f"file://{tmp_path}/rows")
    read = files(spark, f"{tmp_path}/rows"), spark.read.parquet(f"file://{tmp_path}/rows")
    for df in (rows, *read):
        assert lists_of(neighbors.graph(df, id="row id", k=3)) == expected
    lacking = rows.selectExpr("`row id`", f"array(cast(null AS {kind}), 1, 2) AS features")
    reasons = neighbors.validate(lacking, id="row id").select("invalid_reason").distinct()
    assert [row[0] for row in reasons.collect()] == ["null feature"]


def test_the_defaults_are_those_of_core(table):
    features = features_like("normal", n_rows=8, n_features=3)
    expected = knn_graph(features)
    assert (expected.metric, expected.neighbors.shape) == ("euclidean", (8, 7))
    found = lists_of(neighbors.graph(table(features), id="row id"))
    assert found[3] == (expected.neighbors[3].tolist(), expected.distances[3].tolist())


@pytest.mark.spark
def test_the_result_may_be_looked_at_again(table):
    edges = neighbors.graph(table(features_like("copies")), id="row id", k=3)
    first = sorted(map(tuple, edges.collect()))
    derived = edges.where("rank = 1")
    assert len(derived.collect()) == 90
    del edges
    assert sorted(map(tuple, derived.collect())) == [row for row in first if row[2] == 1]


def test_a_table_without_rows_has_no_neighbors(table, spark):
    nothing = spark.createDataFrame([], "id int, features array<double>")
    edges = neighbors.graph(nothing)
    assert edges.columns == ["id", "neighbor", "rank", "distance"]
    assert edges.collect() == []
    alone = table(np.ones((1, 2)))
    assert neighbors.graph(alone, id="row id").collect() == []
    with pytest.raises(OptionError, match="k must be below the number of rows"):
        neighbors.graph(alone, id="row id", k=1)


NAN = float("nan")
ROWS = [
    (1, [1.0, 2.0], None),
    (2, None, "null features"),
    (3, [1.0], "features of wrong length"),
    (4, [1.0, None], "null feature"),
    (5, [1.0, NAN], "feature not finite"),
    (6, [float("inf"), 0.0], "feature not finite"),
    (7, [1e151, 0.0], "feature not finite"),
    (8, [0.0, 0.0], None),
    (9, [3.0, 0.0], "duplicate id"),
    (9, [4.0, 0.0], "duplicate id"),
    (None, [5.0, 0.0], "null id"),
]


@pytest.mark.spark
def test_rows_that_have_no_place_are_named(spark):
    rows = [(n, *row) for n, row in enumerate(ROWS)]
    schema = "row int, id int, features array<double>, reason string"
    table = spark.createDataFrame(rows, schema).coalesce(1)
    checked = neighbors.validate(table, id="id").orderBy("row").collect()
    assert [row["invalid_reason"] for row in checked] == [row[-1] for row in ROWS]
    wide = neighbors.validate(table, n_features=3).where("invalid_reason is null")
    assert wide.count() == 0
    with pytest.raises(
        InvalidRowsError, match=r"^id: column 'id' has nulls or values that occur t"
    ):
        neighbors.graph(table, k=1)
    with pytest.raises(InvalidRowsError, match=r"^6 of 8 rows cannot be scored, for want of"):
        neighbors.graph(table.where("row < 8"), k=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, OptionError, "k must be a whole number of neighbours, at least 1, got 0"),
        ({"k": 90}, OptionError, "k must be below the number of rows.*: got 90 of 90 rows"),
        ({"metric": "cosin"}, OptionError, "metric must be one of 'cosine', 'euclidean', got 'c"),
        ({"features": "x"}, ColumnError, "features: no column 'x' in the table"),
        ({"features": "row id"}, ColumnError, "features: column 'row id' is bigint; allowed are"),
        ({"features": ["features"]}, ColumnError, "allowed in a list of columns are whole numbers"),
        ({"features": []}, OptionError, "features must name columns, each once, got "),
        ({"n_features": 0}, OptionError, "n_features must be a whole number of at least 1, got 0"),
        ({"n_features": 2, "features": ["row id"]}, OptionError, "n_features is 2, features names"),
        ({"id": "features"}, ColumnError, "id: column 'features' is array<double>; allowed are"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(table, options, error, message):
    rows = table(features_like("normal"))
    with pytest.raises(error, match=message):
        neighbors.graph(rows, **{"id": "row id", **options})

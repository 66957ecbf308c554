"""The graph of nearest neighbours: cleanlab's distances, and neighbours by distance and row."""

from types import SimpleNamespace

import numpy as np
import pytest
from cleanlab.internal.neighbor.knn_graph import create_knn_graph_and_index

from lq_spark.core.neighbors import knn_graph, search
from lq_spark.core.neighbors.vectors import are_usable, distances, prepared
from lq_spark.errors import DataError, OptionError


def features_like(shape, n=150, d=6, seed=0):
    rng = np.random.default_rng(seed)
    made = {
        "normal": lambda: rng.normal(size=(n, d)),
        "float32": lambda: rng.normal(size=(n, d)).astype(np.float32),
        "few values": lambda: rng.integers(0, 3, (n, d)) * 1.0,
        "copies": lambda: rng.normal(size=(n // 5, d))[rng.integers(0, n // 5, n)],
        "many copies": lambda: rng.normal(size=(3, d))[rng.integers(0, 3, n)],
        "one constant column": lambda: np.column_stack([rng.normal(size=(n, d - 1)), np.ones(n)]),
        "far off": lambda: rng.normal(size=(n, d)) + 1e6,
        "zero vectors": lambda: rng.normal(size=(n, d)) * (rng.random((n, 1)) < 0.9),
        "of any size": lambda: rng.normal(size=(n, d)) * 10.0 ** rng.integers(-140, 140, (n, 1)),
        "close together": lambda: 1.0 + 1e-7 * rng.normal(size=(n, d)),
    }
    return made[shape]()


SHAPES = (
    *("normal", "float32", "few values", "copies", "many copies", "one constant column", "far off"),
    *("zero vectors", "of any size", "close together"),
)


def expected(features, k, metric):
    """Return the graph by looking at all pairs."""
    n = len(features)
    vectors = prepared(features, metric)
    i, j = np.divmod(np.arange(n * n), n)
    away = distances(vectors, vectors, (i, j), metric).reshape(n, n)
    equal = (features[:, None] == features[None]).all(axis=2)
    neighbors, found = np.empty((n, k), int), np.empty((n, k))
    for row in range(n):
        copies = [other for other in np.flatnonzero(equal[row])[: k + 1] if other != row][:k]
        others = np.flatnonzero(~equal[row])
        others = others[np.lexsort((others, away[row, others]))]
        neighbors[row] = [*copies, *others][:k]
        found[row] = [0.0] * len(copies) + away[row, others][: k - len(copies)].tolist()
    return neighbors, found


@pytest.fixture(params=["faiss", "numpy"])
def products(request, monkeypatch):
    """By what candidates are found; returns how often faiss was asked."""
    asked = []
    if request.param == "numpy":
        monkeypatch.setattr(search, "_faiss", lambda: None)
    else:
        import faiss

        def knn(*args):
            asked.append(len(args[0]))
            return faiss.knn(*args)

        counting = SimpleNamespace(knn=knn, METRIC_INNER_PRODUCT=faiss.METRIC_INNER_PRODUCT)
        monkeypatch.setattr(search, "_faiss", lambda: counting)
    return asked


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("shape", SHAPES)
def test_neighbors_are_those_of_all_pairs(shape, metric, monkeypatch, products):
    features = features_like(shape)
    for queries, first, references in ((1024, 512, 8192), (7, 3, 11), (150, 150, 150)):
        monkeypatch.setattr(search, "_QUERIES", queries)
        monkeypatch.setattr(search, "_FIRST", first)
        monkeypatch.setattr(search, "_REFERENCES", references)
        for k in (1, 10, 149):
            graph = knn_graph(features, k=k, metric=metric)
            neighbors, found = expected(features, k, metric)
            np.testing.assert_array_equal(graph.distances, found)
            np.testing.assert_array_equal(graph.neighbors, neighbors)


@pytest.mark.parametrize("spare", [0, 1, 16])
def test_where_faiss_cannot_be_sure_all_are_looked_at(products, monkeypatch, spare):
    monkeypatch.setattr(search, "_SPARE", spare)
    # Many that point the same way, and are of distance 0; and many nearly so.
    rng = np.random.default_rng(0)
    features = np.outer(2.0 ** rng.integers(-9, 9, 150), np.arange(1.0, 7.0))
    features[70:] += 1e-9 * rng.normal(size=(80, 6))
    for k in (1, 10, 120):
        neighbors, found = expected(features, k, "cosine")
        graph = knn_graph(features, k=k, metric="cosine")
        np.testing.assert_array_equal(graph.distances, found)
        np.testing.assert_array_equal(graph.neighbors, neighbors)


def test_faiss_is_asked_for_cosine_and_few_neighbors(products):
    features = features_like("normal")
    knn_graph(features, k=149)
    knn_graph(features, k=3, metric="euclidean")
    assert not products
    knn_graph(features, k=3)
    assert sum(products) in (0, 150)


@pytest.mark.parametrize("n_rows", [12, 99, 101, 400])
@pytest.mark.parametrize("n_features", [1, 3, 4, 20])
@pytest.mark.parametrize("shape", ["normal", "float32", "copies", "many copies", "few values"])
def test_distances_are_those_of_cleanlab(shape, n_features, n_rows):
    features = features_like(shape, n_rows, n_features, seed=n_rows)
    graph = knn_graph(features)
    theirs, _ = create_knn_graph_and_index(features, n_neighbors=10)
    assert graph.metric == ("cosine" if n_features > 3 else "euclidean")
    # cleanlab computes the distances of float32 features in that type.
    tolerance = 3e-7 if shape == "float32" else 1e-12
    if shape == "float32" and n_features <= 3:
        tolerance = 1e-5
    np.testing.assert_allclose(graph.distances, theirs.data.reshape(n_rows, 10), atol=tolerance)


def test_copies_are_neighbors_as_in_cleanlab():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(60, 5))
    for first, n in ((3, 4), (20, 11), (40, 15)):  # fewer than k + 1, k + 1, and more
        features[first : first + n] = features[first]
    features = features[rng.permutation(60)]
    theirs, _ = create_knn_graph_and_index(features, n_neighbors=10)
    graph = knn_graph(features, k=10)
    # Copies of another row are equally near, and in no order in cleanlab.
    is_copy = theirs.data.reshape(60, 10) == 0.0
    assert is_copy.sum() == 4 * 3 + 11 * 10 + 15 * 10
    np.testing.assert_array_equal(graph.distances == 0.0, is_copy)
    their_copies = theirs.indices.reshape(60, 10)[is_copy]
    np.testing.assert_array_equal(graph.neighbors[is_copy], their_copies)


def test_a_distance_has_the_same_bits_wherever_it_is_computed():
    rng = np.random.default_rng(0)
    for n_features in (1, 2, 7, 8, 9, 127, 128, 129, 1000):
        features = rng.normal(size=(70, n_features))
        for metric in ("cosine", "euclidean"):
            whole = prepared(features, metric)
            i, j = rng.integers(0, 70, (2, 500))
            away = distances(whole, whole, (i, j), metric)
            for first, last in ((0, 1), (3, 70), (13, 29)):
                part = prepared(features[first:last], metric)
                np.testing.assert_array_equal(part, whole[first:last])
                inside = np.flatnonzero((i >= first) & (i < last))[:7]
                found = distances(part, whole, (i[inside] - first, j[inside]), metric)
                np.testing.assert_array_equal(found, away[inside])
            np.testing.assert_array_equal(away, distances(whole, whole, (j, i), metric))


def test_a_vector_of_zeros_is_at_distance_1():
    graph = knn_graph([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], k=3, metric="cosine")
    assert graph.distances.tolist() == [[0, 1, 1], [1, 1, 2], [1, 1, 2], [0, 1, 1]]
    assert graph.neighbors.tolist() == [[3, 1, 2], [0, 3, 2], [0, 3, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        ([[1.0], [np.nan], [2.0]], {}, "not finite, or beyond 1e+150, in 1 rows, .* row 1"),
        ([[1.0], [1e200], [-np.inf]], {}, "in 2 rows, for instance row 1"),
        ([1.0, 2.0], {}, r"shape \(n, d\), n and d at least 1, got shape \(2,\) of float64"),
        (np.zeros((3, 0)), {}, r"got shape \(3, 0\)"),
        ([["a"], ["b"]], {}, "of <U1"),
        ([[1.0]], {}, "features has one row"),
        ([[1.0], [2.0]], {"k": 2}, "k must be below the number of rows.*: got 2 of 2 rows"),
        ([[1.0], [2.0]], {"k": 0}, "k must be a whole number of neighbours, at least 1, got 0"),
        ([[1.0], [2.0]], {"k": True}, "got True"),
        ([[1.0], [2.0]], {"metric": "cosin"}, "metric must be one of .*; did you mean 'cosine'"),
    ],
    ids=str,
)
def test_what_has_no_neighbors_is_refused(features, options, message):
    with pytest.raises((DataError, OptionError), match=message.replace("+", r"\+")):
        knn_graph(features, **options)


def test_whole_numbers_are_features_too():
    assert knn_graph(np.array([[1], [2], [4]]), k=1).neighbors.ravel().tolist() == [1, 0, 1]
    assert are_usable(np.array([[1.0, -1e150], [1.0, np.inf]])).tolist() == [True, False]

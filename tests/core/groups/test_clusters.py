import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.cluster import DBSCAN

from lq_spark.core.groups import dbscan_labels
from lq_spark.core.groups.clusters import (
    NO_ROOT,
    Edges,
    core_edges,
    core_rows,
    first_roots,
    numbered,
    step,
)
from lq_spark.errors import DataError, OptionError


def nearest(points, k):
    """Return the k nearest other points of each one, and their distances."""
    away = np.linalg.norm(points[:, np.newaxis] - points, axis=2)
    np.fill_diagonal(away, np.inf)
    order = np.argsort(away, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(away, order, axis=1)


@st.composite
def graphs(draw):
    """Return neighbours and distances of points in a few clouds, of which some are the same."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_rows = draw(st.integers(2, 80))
    centers = rng.normal(size=(draw(st.integers(1, 5)), 2)) * 3
    points = centers[rng.integers(len(centers), size=n_rows)] + rng.normal(size=(n_rows, 2)) * 0.5
    if draw(st.booleans()):
        points = points[rng.integers(n_rows, size=n_rows)]
    k = draw(st.one_of(st.integers(1, min(10, n_rows - 1)), st.just(n_rows - 1)))
    return nearest(points, k)


def scikit_learns(neighbors, distances, eps, min_samples):
    n_rows, k = neighbors.shape
    starts = np.arange(n_rows + 1) * k
    graph = csr_matrix((distances.ravel(), neighbors.ravel(), starts), shape=(n_rows, n_rows))
    return DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit_predict(graph)


EPS = st.sampled_from([1e-9, 0.1, 0.3, 0.5, 2.0])


@settings(deadline=None)
@given(graph=graphs(), eps=EPS, min_samples=st.integers(1, 8))
def test_clusters_equal_scikit_learns(graph, eps, min_samples, quietly):
    actual = dbscan_labels(*graph, eps=eps, min_samples=min_samples)
    assert actual.dtype == np.int64
    expected = quietly(scikit_learns, *graph, eps, min_samples)
    assert actual.tolist() == expected.tolist()


@settings(deadline=None)
@given(graph=graphs(), n_parts=st.integers(1, 5), seed=st.integers(0, 99))
def test_steps_do_not_depend_on_how_edges_are_split(graph, n_parts, seed):
    neighbors, distances = graph
    n_rows = len(neighbors)
    is_core = core_rows(distances, 0.5, 3)
    parts = np.array_split(np.random.default_rng(seed).permutation(n_rows), n_parts)
    edges = [
        core_edges(rows, neighbors[rows], distances[rows], 0.5)
        for part in parts
        for rows in [part[is_core[part]]]
    ]
    roots = first_roots(np.arange(n_rows), is_core)
    for _ in range(n_rows):  # no way is longer
        # Each part sends on its own, and the lowest of what is got is kept.
        roots = np.min([step(roots, part) for part in edges], axis=0)
    distinct = np.unique(roots[roots != NO_ROOT])
    labels = np.concatenate([numbered(roots[part], distinct) for part in parts])
    expected = dbscan_labels(neighbors, distances, min_samples=3)
    assert labels.tolist() == expected[np.concatenate(parts)].tolist()


def test_a_row_on_the_edge_of_two_clusters_is_in_the_first():
    # Row 2 is near to a row of either cluster; it is no core row, and sends nothing on.
    neighbors = [[1, 2], [0, 2], [0, 3], [4, 2], [3, 2]]
    distances = [[0.1, 0.2], [0.1, 0.2], [0.9, 0.9], [0.1, 0.2], [0.1, 0.2]]
    assert dbscan_labels(neighbors, distances, min_samples=3).tolist() == [0, 0, 0, 1, 1]


def test_a_long_way_takes_many_steps():
    n_rows = 500
    rows = np.arange(n_rows)
    neighbors = np.minimum(rows + 1, n_rows - 1)[:, np.newaxis]
    distances = np.where(rows < n_rows - 1, 0.1, 9.0)[:, np.newaxis]
    assert not dbscan_labels(neighbors, distances, min_samples=2).any()
    one = step(first_roots(rows, np.ones(n_rows, dtype=bool)), Edges(rows[:-1], rows[1:]))
    assert one.tolist() == [0, *range(n_rows - 1)]


def test_a_row_is_near_at_eps_itself():
    graph = [[1], [0]], [[0.5], [0.5]]
    assert dbscan_labels(*graph, min_samples=2).tolist() == [0, 0]
    assert dbscan_labels(*graph, min_samples=2, eps=0.4999).tolist() == [-1, -1]
    assert dbscan_labels(*graph, min_samples=1, eps=0.0).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("neighbors", "distances", "message"),
    [
        ([1, 0], [1, 1], "neighbors must be a non-empty 2-D array of whole numbers, got shape"),
        ([[1.0]], [[1.0]], "neighbors must be a non-empty 2-D array of whole numbers, got shape"),
        ([[1], [0]], [[1]], "distances must be numbers of shape (2, 1), as neighbors, got shape"),
        ([[1], [0]], [["a"], ["b"]], "distances must be numbers of shape (2, 1), as neighbors"),
        ([[2], [0]], [[1], [1]], "neighbors must be positions 0 to 1, got 2"),
        ([[1], [0]], [[1], [-1]], "distances must be at least 0, got -1 (1 such distances)"),
        ([[1], [0]], [[1], [np.nan]], "distances must be at least 0, got nan (1 such distances)"),
    ],
    ids=str,
)
def test_bad_graphs_are_refused(neighbors, distances, message):
    with pytest.raises(DataError) as error:
        dbscan_labels(neighbors, distances)
    assert str(error.value).startswith(message)


def test_bad_options_are_refused():
    with pytest.raises(OptionError, match="eps must be a number of at least 0, got -1"):
        dbscan_labels([[1], [0]], [[1], [1]], eps=-1)
    with pytest.raises(OptionError, match="min_samples must be a whole number of at least 1"):
        dbscan_labels([[1], [0]], [[1], [1]], min_samples=0)

import functools

import numpy as np
import pytest
from cleanlab.data_valuation import data_shapley_knn as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from lq_spark.core.valuation import data_shapley_knn
from lq_spark.core.valuation.contributions import (
    finish_values,
    merge_contributions,
    partial_contributions,
)
from lq_spark.errors import DataError, OptionError


def graph_of(neighbors):
    """Return neighbours as cleanlab takes them."""
    n_rows, width = neighbors.shape
    distances = np.tile(np.arange(1.0, width + 1), n_rows)
    starts = np.arange(n_rows + 1) * width
    return csr_matrix((distances, neighbors.ravel(), starts), shape=(n_rows, n_rows))


def random_neighbors(rng, n_rows, width, hubs=False):
    """Return other rows of each row; of hubs, the same few ones are near to all."""
    weights = rng.random((n_rows, n_rows)) * (np.arange(n_rows) ** 4 if hubs else 1.0)
    np.fill_diagonal(weights, -1.0)
    return np.argsort(-weights, axis=1)[:, :width]


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_rows = draw(st.integers(2, 60))
    width = draw(st.one_of(st.integers(1, n_rows - 1), st.just(n_rows - 1)))
    labels = rng.integers(0, draw(st.integers(1, 5)), n_rows)
    return labels, random_neighbors(rng, n_rows, width, draw(st.booleans()))


@settings(deadline=None)
@given(case=cases(), data=st.data())
def test_values_equal_cleanlabs(case, data):
    labels, neighbors = case
    k = data.draw(st.integers(1, neighbors.shape[1]))
    graph = graph_of(neighbors)
    expected = oracle(labels, knn_graph=graph, k=k)
    for actual in (
        data_shapley_knn(labels, neighbors=neighbors, k=k),
        data_shapley_knn(labels, knn_graph=graph, k=k),
    ):
        assert actual.dtype == np.float64
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


@settings(deadline=None)
@given(case=cases(), n_parts=st.integers(1, 9), seed=st.integers(0, 99))
def test_values_do_not_depend_on_how_rows_are_split(case, n_parts, seed):
    labels, neighbors = case
    whole = data_shapley_knn(labels, neighbors=neighbors, k=neighbors.shape[1])
    order = np.random.default_rng(seed).permutation(len(labels))
    parts = [
        partial_contributions(neighbors[rows], labels[neighbors[rows]] == labels[rows, np.newaxis])
        for rows in np.array_split(order, n_parts)
    ]
    merged = functools.reduce(merge_contributions, parts)
    assert (np.diff(merged.rows) > 0).all()
    assert finish_values(merged, *neighbors.shape).tolist() == whole.tolist()


def test_a_row_that_harms_is_below_one_half_and_nobodys_neighbour_at_it():
    # Row 3 is the nearest of two rows of another label; row 4 is near to none.
    neighbors = [[3, 1], [3, 0], [0, 1], [2, 0], [0, 1]]
    values = data_shapley_knn([0, 0, 0, 1, 0], neighbors=neighbors, k=2)
    assert values.tolist() == [0.5, 0.5, 0.5, 0.5 * (1 - 2 / 10), 0.5]


def test_the_order_of_neighbours_is_the_graphs_and_not_that_of_its_distances():
    labels, neighbors = np.array([0, 0, 1, 1]), random_neighbors(np.random.default_rng(1), 4, 3)
    graph = graph_of(neighbors)
    backwards = graph.copy()
    backwards.data = -graph.data
    for k in (1, 2, 3):
        ours = data_shapley_knn(labels, knn_graph=backwards, k=k)
        assert ours.tolist() == data_shapley_knn(labels, knn_graph=graph, k=k).tolist()
        np.testing.assert_allclose(ours, oracle(labels, knn_graph=backwards, k=k), atol=1e-12)


def test_no_row_contributes_nothing():
    empty = partial_contributions(np.empty((0, 3), dtype=np.int64), np.empty((0, 3), dtype=bool))
    assert finish_values(empty, 2, 3).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "neighbors or knn_graph must be given, one of the two, got none"),
        (
            {"neighbors": [[1], [0]], "knn_graph": graph_of(np.array([[1], [0]]))},
            "neighbors or knn_graph must be given, one of the two, got both",
        ),
        ({"neighbors": [[1], [0]], "k": 0}, "k must be a whole number of at least 1, got 0"),
        ({"neighbors": [[1], [0]], "k": 2}, "k must be at most 1, the neighbours given, got 2"),
    ],
    ids=str,
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(OptionError) as error:
        data_shapley_knn([0, 1], **options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbors": [1, 0]}, "neighbors must be whole numbers of shape (2, k), got shape (2,)"),
        ({"neighbors": [[1]]}, "neighbors must be whole numbers of shape (2, k), got shape (1, 1)"),
        ({"neighbors": [[1.0], [0.0]]}, "neighbors must be whole numbers of shape (2, k), got"),
        ({"neighbors": [[2], [0]]}, "neighbors must be positions 0 to 1, got 2"),
        ({"neighbors": [[1], [-1]]}, "neighbors must be positions 0 to 1, got -1"),
        (
            {"knn_graph": csr_matrix(np.array([[0.0, 1.0], [0.0, 0.0]]))},
            "knn_graph must have the same number of neighbours in every row",
        ),
    ],
    ids=str,
)
def test_bad_neighbours_are_refused(options, message):
    with pytest.raises(DataError) as error:
        data_shapley_knn([0, 1], k=1, **options)
    assert str(error.value).startswith(message)


def test_a_state_of_more_rows_is_refused():
    state = partial_contributions(np.array([[5]]), np.array([[True]]))
    with pytest.raises(DataError, match="neighbors must be positions 0 to 4, got 5"):
        finish_values(state, 5, 1)

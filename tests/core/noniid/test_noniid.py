import functools

import numpy as np
import pytest
from cleanlab import Datalab
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_matrix

from lq_spark.core.noniid import find_non_iid
from lq_spark.core.noniid.permutations import HashPermutation, permutations
from lq_spark.core.noniid.rows import non_iid_scores
from lq_spark.core.noniid.statistic import (
    finish_statistic,
    merge_index_distances,
    p_value,
    partial_index_distances,
)
from lq_spark.errors import DataError, OptionError


def random_neighbors(rng, n_rows, k, near):
    """Return k other rows of each row; near ones in the table the more, the larger ``near``."""
    places = np.arange(n_rows)
    away = rng.random((n_rows, n_rows)) + near * np.abs(places[:, np.newaxis] - places)
    np.fill_diagonal(away, np.inf)
    return np.argsort(away, axis=1)[:, :k]


@st.composite
def tables(draw, least=3):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_rows = draw(st.integers(least, 80))
    k = draw(st.one_of(st.integers(1, min(10, n_rows - 1)), st.just(n_rows - 1)))
    return random_neighbors(rng, n_rows, k, draw(st.sampled_from([0.0, 0.01, 0.1, 1.0])))


def cleanlabs(neighbors, **options):
    """Return flags, scores and p-value of cleanlab; None if it fails."""
    n_rows, k = neighbors.shape
    distances = np.tile(np.arange(1.0, k + 1), n_rows)
    starts = np.arange(n_rows + 1) * k
    graph = csr_matrix((distances, neighbors.ravel(), starts), shape=(n_rows, n_rows))
    lab = Datalab({"label": [0] * n_rows}, label_name="label", verbosity=0)
    lab.find_issues(knn_graph=graph, issue_types={"non_iid": options})
    if "is_non_iid_issue" not in lab.issues:
        return None
    issues = lab.get_issues("non_iid")
    columns = ["is_non_iid_issue", "non_iid_score"]
    return *(issues[column].to_numpy() for column in columns), lab.get_info("non_iid")["p-value"]


def statistics(neighbors, orders):
    """Return the statistic of the table in each order."""
    n_rows = len(neighbors)
    return [
        finish_statistic(partial_index_distances(np.arange(n_rows), neighbors, n_rows, order))
        for order in orders
    ]


@settings(deadline=None, max_examples=60)
@given(neighbors=tables(), seed=st.integers(0, 9), num_permutations=st.sampled_from([2, 3, 25, 40]))
def test_the_test_and_the_scores_are_cleanlabs(neighbors, seed, num_permutations, quietly):
    options = {"seed": seed, "num_permutations": num_permutations}
    expected = quietly(cleanlabs, neighbors, **options)
    if np.ptp(statistics(neighbors, permutations(len(neighbors), num_permutations, seed))) < 1e-12:
        with pytest.raises(DataError, match=r"the statistic is .* random orders"):
            find_non_iid(neighbors, **options)
        return  # cleanlab fails too, or has a p-value of what is rounded
    flags, scores, found = find_non_iid(neighbors, **options)
    np.testing.assert_allclose(scores, expected[1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.p_value, expected[2], rtol=0, atol=1e-9)
    assert flags.sum() == expected[0].sum() == found.is_issue
    # Which of equal rows is flagged hangs on their last bits in cleanlab.
    if (scores < scores.min() + 1e-12).sum() == 1:
        assert flags.tolist() == expected[0].tolist()


@given(neighbors=tables(), n_parts=st.integers(1, 9), seed=st.integers(0, 99))
def test_neither_counts_nor_scores_depend_on_how_rows_are_split(neighbors, n_parts, seed):
    n_rows = len(neighbors)
    rows = np.arange(n_rows)
    parts = np.array_split(np.random.default_rng(seed).permutation(n_rows), n_parts)
    for permutation in (None, HashPermutation.seeded(n_rows, seed, 0)):
        whole = partial_index_distances(rows, neighbors, n_rows, permutation)
        counts = [
            partial_index_distances(part, neighbors[part], n_rows, permutation) for part in parts
        ]
        assert functools.reduce(merge_index_distances, counts).tolist() == whole.tolist()
    scores = non_iid_scores(rows, neighbors, n_rows)
    for part in parts:
        assert non_iid_scores(part, neighbors[part], n_rows).tolist() == scores[part].tolist()


@given(neighbors=tables())
def test_the_statistic_is_that_of_the_sorted_distances(neighbors):
    n_rows = len(neighbors)
    rows = np.arange(n_rows)
    distances = np.sort(np.abs(neighbors - rows[:, np.newaxis]).ravel())
    ranks = np.arange(len(distances)) / len(distances)
    pairs = [sum(n_rows - e for e in range(1, d + 1)) for d in distances.tolist()]
    expected = np.abs(ranks - np.array(pairs) / (n_rows * (n_rows - 1) / 2)).max()
    actual = finish_statistic(partial_index_distances(rows, neighbors, n_rows))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def test_the_p_value_is_the_tail_of_the_smoothed_statistics():
    permuted = np.random.default_rng(0).normal(0.1, 0.02, 25)
    kernel = stats.gaussian_kde(permuted)
    for statistic in (0.0, 0.1, 0.12, 0.2):
        expected = kernel.integrate_box_1d(statistic, 100.0)
        np.testing.assert_allclose(p_value(statistic, permuted.tolist()), expected, atol=1e-12)


def test_hashed_orders_have_the_statistics_of_drawn_ones():
    n_rows = 300
    neighbors = random_neighbors(np.random.default_rng(0), n_rows, 5, 0.0)
    drawn = statistics(neighbors, permutations(n_rows, 400, 0, exact_up_to=n_rows))
    hashed = statistics(neighbors, permutations(n_rows, 400, 0, exact_up_to=0))
    assert stats.ks_2samp(drawn, hashed).pvalue > 1e-3


@pytest.mark.parametrize("exact_up_to", [0, 1000])
def test_a_table_in_order_is_found_and_a_shuffled_one_is_not(exact_up_to):
    rng = np.random.default_rng(3)
    neighbors = random_neighbors(rng, 200, 6, 0.05)
    flags, scores, found = find_non_iid(neighbors, exact_up_to=exact_up_to)
    assert found.is_issue
    assert flags.sum() == 1
    assert flags[scores.argmin()]
    order = rng.permutation(200)
    shuffled = np.empty_like(neighbors)
    shuffled[order] = order[neighbors]
    flags, _, found = find_non_iid(shuffled, exact_up_to=exact_up_to)
    assert not found.is_issue
    assert not flags.any()


def test_where_all_rows_are_neighbours_the_order_says_nothing():
    with pytest.raises(DataError) as error:
        find_non_iid([[1, 2], [0, 2], [0, 1]])
    assert str(error.value).startswith(
        "the statistic is 0.666667 in all of 25 random orders, which"
    )


@pytest.mark.parametrize(
    ("neighbors", "message"),
    [
        ([1, 0], "neighbors must be a non-empty 2-D array of whole numbers, got shape (2,) of int"),
        ([[1.0], [0.0]], "neighbors must be a non-empty 2-D array of whole numbers, got shape (2,"),
        (np.empty((3, 0), dtype=int), "neighbors must be a non-empty 2-D array of whole numbers"),
        ([[2], [0]], "neighbors must be positions 0 to 1, got 2"),
        ([[-1], [0]], "neighbors must be positions 0 to 1, got -1"),
        ([[1], [1]], "a row must not be its own neighbour, got 1 such neighbours"),
    ],
    ids=str,
)
def test_bad_neighbours_are_refused(neighbors, message):
    with pytest.raises(DataError) as error:
        find_non_iid(neighbors)
    assert str(error.value).startswith(message)


def test_no_neighbours_are_refused():
    with pytest.raises(DataError, match="there are no neighbours; each row needs at least 1"):
        finish_statistic(np.zeros(4, dtype=np.int64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_permutations": 1}, "num_permutations must be a whole number of at least 2, got 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"exact_up_to": 0.5}, "exact_up_to must be a whole number of at least 0, got 0.5"),
        ({"significance_threshold": 2}, "significance_threshold must be a number from 0 to 1"),
    ],
    ids=str,
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(OptionError) as error:
        find_non_iid([[1], [0]], **options)
    assert str(error.value).startswith(message)

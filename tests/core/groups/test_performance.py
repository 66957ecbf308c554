import functools

import numpy as np
import pytest
from cleanlab import Datalab
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from lq_spark.core.groups import dbscan_labels, find_underperforming_group
from lq_spark.core.groups.performance import finish_clusters, partial_cluster_sums
from lq_spark.core.groups.sums import GroupSums, merge_group_sums
from lq_spark.errors import DataError, OptionError


def rows_of(sizes, confidences, ids):
    """Return labels, pred_probs and ids of clusters of rows that are alike."""
    confidence = np.repeat(confidences, sizes)
    labels = np.arange(len(confidence)) % 2
    first = np.where(labels == 0, confidence, 1 - confidence)
    return labels, np.stack([first, 1 - first], axis=1), np.repeat(ids, sizes)


def cleanlabs(labels, pred_probs, graph=None, **options):
    """Return flags, scores, summary and clusters of cleanlab."""
    lab = Datalab({"label": labels}, label_name="label", verbosity=0)
    checks = {"underperforming_group": options}
    lab.find_issues(pred_probs=pred_probs, knn_graph=graph, issue_types=checks)
    issues = lab.get_issues("underperforming_group")
    summary = lab.get_issue_summary("underperforming_group")["score"][0]
    stats = lab.get_info("underperforming_group")["clustering"]["stats"]
    columns = ["is_underperforming_group_issue", "underperforming_group_score"]
    return *(issues[column].to_numpy() for column in columns), summary, stats["cluster_ids"]


@st.composite
def cases(draw):
    """Return rows in clusters, of which some are small; no id is left out."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_clusters = draw(st.integers(1, 6))
    sizes = rng.integers(1, 9, n_clusters)
    sizes[rng.integers(n_clusters)] = 9
    # Sums are in units of 2^-60: of confidences near that, ratios would be rough.
    confidences = 1e-3 + 0.999 * rng.random(n_clusters) ** draw(st.sampled_from([0.3, 1.0, 5.0]))
    ids = np.arange(n_clusters) - draw(st.integers(0, int(n_clusters > 1)))
    sizes[-1] = max(sizes[-1], 9)  # a cluster that is kept, if the first rows are in none
    labels, pred_probs, clusters = rows_of(sizes, confidences, ids)
    return labels, pred_probs, clusters


@settings(deadline=None, max_examples=60)
@given(
    case=cases(),
    threshold=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    min_cluster_samples=st.integers(1, 9),
)
def test_the_group_and_its_rule_are_cleanlabs(case, threshold, min_cluster_samples, quietly):
    labels, pred_probs, clusters = case
    options = {"threshold": threshold, "min_cluster_samples": min_cluster_samples}
    flags, scores, found = find_underperforming_group(*case, **options)
    expected = quietly(cleanlabs, labels, pred_probs, cluster_ids=clusters, **options)
    assert flags.tolist() == expected[0].tolist()
    np.testing.assert_allclose(scores, expected[1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.score, expected[2], rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_groups_of_a_graph_are_cleanlabs(seed, quietly):
    rng = np.random.default_rng(seed)
    n_rows, k = 90, 6
    points = rng.normal(size=(n_rows, 2)) * 0.25 + rng.integers(0, 3, (n_rows, 1)) * 3
    away = np.linalg.norm(points[:, np.newaxis] - points, axis=2)
    np.fill_diagonal(away, np.inf)
    neighbors = np.argsort(away, axis=1)[:, :k]
    distances = np.take_along_axis(away, neighbors, axis=1)
    starts = np.arange(n_rows + 1) * k
    graph = csr_matrix((distances.ravel(), neighbors.ravel(), starts), shape=(n_rows, n_rows))
    pred_probs = rng.dirichlet([1, 1, 1], n_rows)
    labels = rng.integers(0, 3, n_rows)
    clustering = {"eps": 0.3, "min_samples": 4}
    expected = quietly(
        cleanlabs, labels, pred_probs, graph, clustering_kwargs=clustering, threshold=0.9
    )
    clusters = dbscan_labels(neighbors, distances, **clustering)
    assert clusters.tolist() == expected[3].tolist()
    flags, scores, found = find_underperforming_group(labels, pred_probs, clusters, threshold=0.9)
    assert flags.tolist() == expected[0].tolist()
    np.testing.assert_allclose(scores, expected[1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.score, expected[2], rtol=0, atol=1e-12)


def test_a_later_cluster_may_hide_a_worse_one(quietly):
    outcomes = {}
    for ids in ([0, 1, 2], [2, 1, 0]):
        rows = rows_of([10, 10, 10], [0.02, 0.05, 0.95], ids)
        flags, _, found = find_underperforming_group(*rows)
        expected = quietly(cleanlabs, *rows[:2], cluster_ids=rows[2])
        assert flags.tolist() == expected[0].tolist()
        outcomes[tuple(ids)] = flags.sum(), found.worst, round(found.score, 4)
    assert outcomes == {(0, 1, 2): (0, None, 0.1471), (2, 1, 0): (10, 2, 0.0588)}


def test_clusters_are_taken_by_their_ids_and_not_as_a_set_has_them(quietly):
    # Python's set has 8 before 1.
    rows = rows_of([10, 10, 10], [0.02, 0.05, 0.95], [8, 1, 2])
    assert find_underperforming_group(*rows)[2].worst == 8
    assert not quietly(cleanlabs, *rows[:2], cluster_ids=rows[2])[0].any()


@given(case=cases(), n_parts=st.integers(1, 7), seed=st.integers(0, 99))
def test_sums_do_not_depend_on_how_rows_are_split(case, n_parts, seed):
    labels, pred_probs, clusters = case
    confidence = pred_probs[np.arange(len(labels)), labels]
    order = np.random.default_rng(seed).permutation(len(labels))
    parts = [
        partial_cluster_sums(clusters[rows], confidence[rows])
        for rows in np.array_split(order, n_parts)
    ]
    merged = functools.reduce(merge_group_sums, parts)
    whole = partial_cluster_sums(clusters, confidence)
    for name in whole.__slots__:
        assert np.array_equal(getattr(merged, name), getattr(whole, name))


def test_equal_clusters_all_are_as_good_as_the_mean():
    rows = rows_of([7, 5, 9], [0.1, 0.1, 0.1], [0, 1, 2])
    flags, scores, found = find_underperforming_group(*rows, threshold=1.0)
    assert (flags.any(), set(scores.tolist()), found.score) == (False, {1.0}, 1.0)
    flags, scores, _ = find_underperforming_group(*rows_of([7, 5], [0.0, 0.0], [0, 1]))
    assert (flags.any(), set(scores.tolist())) == (False, {1.0})


def test_rows_in_no_cluster_and_in_small_ones_are_left_out():
    rows = rows_of([9, 4, 9, 9], [0.0, 0.0, 0.3, 0.9], [-1, 0, 1, 2])
    _, scores, found = find_underperforming_group(*rows)
    assert found.clusters.tolist() == [1, 2]
    np.testing.assert_allclose(scores, np.repeat([1.0, 1.0, 0.5, 1.0], [9, 4, 9, 9]))


def test_where_no_cluster_is_large_enough_there_is_none_to_find():
    rows = rows_of([9, 4, 3], [0.1, 0.2, 0.3], [-1, 0, 1])
    with pytest.raises(DataError) as error:
        find_underperforming_group(*rows)
    assert str(error.value) == "no cluster has 5 rows: 2 clusters, the largest of 4"
    rows = rows_of([9], [0.1], [-1])
    with pytest.raises(DataError, match="no cluster has 5 rows: 0 clusters, the largest of 0"):
        find_underperforming_group(*rows)


def test_bad_clusters_are_refused():
    labels, pred_probs, clusters = rows_of([6, 6], [0.1, 0.9], [0, -2])
    with pytest.raises(DataError, match="cluster_ids must be at least -1, got -2"):
        find_underperforming_group(labels, pred_probs, clusters)
    for wrong in (clusters[1:], clusters.astype(float), clusters[np.newaxis]):
        with pytest.raises(DataError, match=r"cluster_ids must be whole numbers of shape \(12,\)"):
            find_underperforming_group(labels, pred_probs, wrong)


def test_bad_options_are_refused():
    rows = rows_of([6, 6], [0.1, 0.9], [0, 1])
    with pytest.raises(OptionError, match="threshold must be a number from 0 to 1, got 2"):
        find_underperforming_group(*rows, threshold=2)
    with pytest.raises(OptionError, match="min_cluster_samples must be a whole number of at least"):
        find_underperforming_group(*rows, min_cluster_samples=0)


def test_more_rows_than_can_be_summed_are_refused():
    zeros = np.zeros((2, 1), dtype=np.int64)
    state = GroupSums(np.array([0]), np.array([2**32 + 1]), zeros)
    with pytest.raises(DataError, match="a group has 4294967297 rows, at most 4294967296 can be"):
        finish_clusters(state)

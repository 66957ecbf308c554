"""Inverted lists: centroids, the lists nearest to a vector, and how many give a recall."""

import numpy as np
import pytest

from lq_spark.core.neighbors.lists import (
    centroids_of,
    lists_in_groups,
    nearest_lists,
    probes_for,
    recall_of,
)
from lq_spark.core.neighbors.vectors import prepared


def blobs(seed=0, n=600, n_blobs=6):
    rng = np.random.default_rng(seed)
    of_blob = rng.integers(0, n_blobs, n)
    middles = np.eye(n_blobs) * 20.0 + 1.0
    return middles[of_blob] + 0.1 * rng.normal(size=(n, n_blobs)), of_blob, middles


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_every_centroid_is_the_middle_of_its_list(metric):
    features, _, _ = blobs()
    vectors = prepared(features, metric)
    centroids = centroids_of(vectors, 20, metric, seed=3)
    assert np.array_equal(centroids, centroids_of(vectors, 20, metric, seed=3))
    assert not np.array_equal(centroids, centroids_of(vectors, 20, metric, seed=4))
    of_list = nearest_lists(vectors, centroids, 1, metric)[:, 0]
    there = np.unique(of_list)
    assert len(there) > 6
    middles = prepared(np.array([vectors[of_list == one].mean(axis=0) for one in there]), metric)
    moved = np.linalg.norm(middles - centroids[there], axis=1)
    assert moved.max() < 0.1 * np.linalg.norm(vectors - vectors.mean(axis=0), axis=1).mean()
    if metric == "cosine":
        np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1.0, rtol=1e-12)


def test_the_nearest_lists_are_those_of_the_distances():
    rng = np.random.default_rng(1)
    vectors, centroids = rng.normal(size=(200, 5)), rng.normal(size=(30, 5))
    away = np.linalg.norm(vectors[:, None] - centroids[None], axis=2)
    found = nearest_lists(vectors, centroids, 7, "euclidean")
    assert np.array_equal(found, np.argsort(away, axis=1)[:, :7])
    some = rng.permutation(200)[:50]
    assert np.array_equal(nearest_lists(vectors[some], centroids, 7, "euclidean"), found[some])


def test_as_few_lists_as_a_recall_needs():
    ranks = np.array([0, 1, 2, 9] * 50)
    queries = np.repeat(np.arange(50), 4)
    assert recall_of(1, ranks, queries) == (0.25, 0.0)
    assert recall_of(9, ranks, queries) == (0.75, 0.0)
    assert [probes_for(r, ranks, queries, 12) for r in (0.2, 0.25, 0.26, 0.5, 0.75, 0.8)] == [
        *(1, 1, 2, 2, 3, 10)
    ]
    assert probes_for(1.0, ranks, queries, 12) == 12


def test_the_recall_of_a_sample_must_be_surely_enough():
    # Of half of the queries all neighbours are in the first list, of the others in the third.
    ranks = np.repeat([0, 2], 50)
    queries = np.arange(100)
    mean, error = recall_of(1, ranks, queries)
    assert (mean, error) == (0.5, pytest.approx(0.5 / np.sqrt(99)))
    assert probes_for(0.5, ranks, queries, 9) == 3
    assert probes_for(0.5 - 2.0 * error, ranks, queries, 9) == 1


def test_groups_are_of_lists_that_lie_near_and_not_too_large():
    rng = np.random.default_rng(2)
    centroids = rng.normal(size=(300, 4))
    sizes = rng.integers(0, 100, 300)
    sizes[7] = 5000
    groups = lists_in_groups(centroids, sizes, 800)
    there, n_lists = np.unique(groups, return_counts=True)
    assert there.tolist() == list(range(len(there)))
    of_group = np.bincount(groups, sizes)
    assert (of_group[n_lists > 1] <= 800).all()
    assert of_group.max() == 5000
    assert n_lists[groups[7]] == 1
    assert (of_group > 200).mean() > 0.9

    def spread(of):
        return np.mean([centroids[of == one].var(axis=0).sum() for one in there])

    assert spread(groups) < 0.7 * spread(rng.permutation(groups))
    assert lists_in_groups(centroids, np.zeros(300, np.int64), 800).max() == 0

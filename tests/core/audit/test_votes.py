"""What neighbours say of a label: as a k-nearest-neighbours classifier without the row itself."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from lq_spark.core.audit import neighbor_votes
from lq_spark.core.neighbors import knn_graph


@pytest.mark.parametrize("k", [1, 5, 10])
def test_votes_are_the_probabilities_of_a_classifier_without_a_rows_own_vote(k):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(80, 3)), rng.integers(0, 4, 80)
    near = knn_graph(features, k=k, metric="euclidean").neighbors
    votes = neighbor_votes(labels[near], 5)
    model = KNeighborsClassifier(k + 1).fit(features, labels)
    theirs = (model.predict_proba(features) - np.eye(4)[labels] / (k + 1)) * (k + 1) / k
    np.testing.assert_allclose(votes[:, :4], theirs, atol=1e-12)
    assert not votes[:, 4].any()
    assert votes.dtype == np.float64


def test_no_rows_have_no_votes():
    assert neighbor_votes(np.zeros((0, 3), dtype=np.int64), 2).shape == (0, 2)

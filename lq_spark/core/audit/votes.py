"""What a row's nearest neighbours say of its label."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lq_spark.core.shared.blocks import Float64


def neighbor_votes(labels: ArrayLike, n_classes: int) -> Float64:
    """Return how often each class is given among the neighbours of each row.

    Parameters
    ----------
    labels : array-like of int, shape (n, k)
        The classes 0..K-1 of the k neighbours of each row.
    n_classes : int
        K.

    Returns
    -------
    array of float64, shape (n, K)
        Out-of-sample probabilities: the share of the neighbours that have each class. A row has no
        vote on its own.

    Notes
    -----
    Those of cleanlab 2.9.0's Datalab where it has features and no probabilities: of a k-nearest-
    neighbours classifier, without the vote of the row itself.

    Examples
    --------
    >>> neighbor_votes([[0, 0, 1, 2]], 3)
    array([[0.5 , 0.25, 0.25]])
    """
    labels = np.asarray(labels, dtype=np.int64)
    n, k = labels.shape
    places = labels + n_classes * np.arange(n, dtype=np.int64)[:, None]
    counts = np.bincount(places.ravel(), minlength=n * n_classes)
    votes: Float64 = counts.reshape(n, n_classes) / k
    return votes

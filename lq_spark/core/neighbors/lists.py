"""Inverted lists: which vectors lie near which of some centroids, so that a search looks at a few.

Vectors are listed with the nearest of n centroids. A search looks through the lists of the
centroids that are nearest to what is searched for: all that it misses are vectors of other lists.
So how many lists it takes for a recall is known from the exact neighbours of a few vectors.

Sources: Jegou, Douze, Schmid, "Product quantization for nearest neighbor search", TPAMI 33 (2011),
section IV (the inverted file); Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory
28 (1982).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.neighbors.search import Int64, nearest
from lq_spark.core.neighbors.vectors import prepared
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.segments import offsets_of, owners

_N_ROUNDS: Final = 10
"""Of Lloyd's: more move few vectors to another list."""

_SURE: Final = 2.0
"""How many standard errors the recall of a sample must be above what is wanted."""


def centroids_of(sample: Float64, n_lists: int, metric: str, seed: int) -> Float64:
    """Return the centroids of a sample, shape (n_lists, d), by k-means.

    Parameters
    ----------
    sample : ndarray of float64, shape (n, d)
        From :func:`lq_spark.core.neighbors.vectors.prepared`; n is at least ``n_lists``.
    n_lists : int
    metric : str
    seed : int

    Examples
    --------
    >>> sample = np.array([[0.0], [1.0], [8.0], [9.0]])
    >>> np.sort(centroids_of(sample, 2, "euclidean", seed=0).ravel())
    array([0.5, 8.5])
    """
    rng = np.random.default_rng(seed)
    centroids = sample[np.sort(rng.permutation(len(sample))[:n_lists])]
    for _ in range(_N_ROUNDS):
        of_list = nearest_lists(sample, centroids, 1, metric)[:, 0]
        counts = np.bincount(of_list, minlength=n_lists)
        order = np.argsort(of_list, kind="stable")
        starts = offsets_of(counts)[:-1]
        there = counts > 0
        sums = np.add.reduceat(sample[order], starts[there], axis=0)
        # A list without a vector takes one at random, most likely of a long list.
        centroids = sample[rng.integers(0, len(sample), n_lists)]
        centroids[there] = sums / counts[there, np.newaxis]
        centroids = prepared(centroids, metric)
    return centroids


def nearest_lists(vectors: Float64, centroids: Float64, n: int, metric: str) -> NDArray[np.int32]:
    """Return the n lists whose centroids are nearest to each vector, shape (m, n), nearest first.

    They do not depend on which other vectors are looked at in the same call.
    """
    order = np.arange(len(centroids))
    found = nearest(vectors, centroids, order, n, metric, same=False)
    return found.reference.reshape(len(vectors), n).astype(np.int32)


def probes_for(recall: float, ranks: NDArray[np.integer], queries: Int64, n_lists: int) -> int:
    """Return how many lists a search must look through for a recall.

    Parameters
    ----------
    recall : float
        Wanted, above 0; 1 takes all lists.
    ranks : ndarray of int, shape (m,)
        Of each true neighbour in a sample of queries: how many lists come before its own in the
        order of the query.
    queries : ndarray of int64, shape (m,)
        Which query it is a neighbour of, 0, 1, 2 and so on.
    n_lists : int

    Examples
    --------
    >>> probes_for(0.5, np.array([0, 3, 0, 3]), np.array([0, 0, 1, 1]), n_lists=9)
    1
    """
    if recall >= 1.0:
        return n_lists
    low, high = 1, n_lists
    while low < high:
        middle = (low + high) // 2
        mean, error = recall_of(middle, ranks, queries)
        if mean - _SURE * error >= recall:
            high = middle
        else:
            low = middle + 1
    return low


def recall_of(n_probes: int, ranks: NDArray[np.integer], queries: Int64) -> tuple[float, float]:
    """Return the mean share of true neighbours that are found, and the standard error of the mean.

    Parameters are those of :func:`probes_for`.
    """
    n_true = np.bincount(queries)
    n_found = np.bincount(queries, ranks < n_probes, len(n_true))
    shares = n_found[n_true > 0] / n_true[n_true > 0]
    if len(shares) < 2:
        return float(shares.mean()) if len(shares) else 1.0, 0.0
    return float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))


def lists_in_groups(centroids: Float64, sizes: Int64, largest: int) -> NDArray[np.int32]:
    """Return the group of each list, shape (n_lists,): lists that lie near to each other.

    A group has at most ``largest`` vectors, or is one list.

    Examples
    --------
    >>> lists_in_groups(np.array([[0.0], [9.0], [1.0], [8.0]]), np.array([5, 5, 5, 5]), largest=10)
    array([0, 1, 0, 1], dtype=int32)
    """
    groups = []
    waiting = [np.arange(len(centroids))]
    while waiting:
        lists = waiting.pop()
        if len(lists) == 1 or sizes[lists].sum() <= largest:
            groups.append(lists)
            continue
        spread = centroids[lists]
        along = spread[:, np.argmax(spread.var(axis=0))]
        order = lists[np.argsort(along, kind="stable")]
        reached = np.cumsum(sizes[order])
        cut = int(np.searchsorted(reached, reached[-1] / 2.0)) + 1
        cut = min(max(cut, 1), len(order) - 1)
        waiting += [order[cut:], order[:cut]]
    found = np.empty(len(centroids), dtype=np.int32)
    found[np.concatenate(groups)] = owners(offsets_of(map(len, groups)))
    return found

"""The cluster whose labels the model knows least, as cleanlab finds it: exact sums by cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.groups.clusters import OUTLIER
from lq_spark.core.groups.sums import GroupSums, partial_group_sums
from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.core.shared.checks import checked_inputs
from lq_spark.core.shared.exact import exact_mean, scaled_halves
from lq_spark.errors import DataError, require_number, require_whole_number

THRESHOLD: Final = 0.1
"""A cluster underperforms below this part of the mean self-confidence."""

MIN_CLUSTER_SAMPLES: Final = 5
"""Clusters of fewer rows are left out."""


@dataclass(frozen=True, slots=True)
class UnderperformingGroup:
    """How well the model knows the labels of each cluster.

    Attributes
    ----------
    clusters : ndarray of int64, shape (C,)
        Those with enough rows, ascending.
    performance : ndarray of float64, shape (C,)
        The mean self-confidence of each.
    scores : ndarray of float64, shape (C,)
        It as a part of the mean of all rows in these clusters, 1 where it is none lower: 0 bad.
    worst : int or None
        The cluster that underperforms, if one does.
    score : float
        That of the worst cluster by cleanlab's rule.
    """

    clusters: NDArray[np.int64]
    performance: Float64
    scores: Float64
    worst: int | None
    score: float


def find_underperforming_group(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    cluster_ids: ArrayLike,
    *,
    threshold: float = THRESHOLD,
    min_cluster_samples: int = MIN_CLUSTER_SAMPLES,
) -> tuple[Mask, Float64, UnderperformingGroup]:
    """Return the rows of the cluster whose labels the model knows least, if by much.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Given labels, 0 to K - 1.
    pred_probs : array-like of float, shape (n, K)
        Out-of-sample predicted probabilities.
    cluster_ids : array-like of int, shape (n,)
        Cluster of each row, -1 for none; as of :func:`lq_spark.core.groups.dbscan_labels`.
    threshold : float
        The worst cluster underperforms if its score is below, from 0 to 1.
    min_cluster_samples : int
        Clusters of fewer rows are left out.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for the rows of the cluster that underperforms.
    ndarray of float64, shape (n,)
        Score of each row's cluster: 0 bad, 1 good; 1 for rows in none.
    UnderperformingGroup

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If rows cannot be scored, or no cluster has enough rows.

    Notes
    -----
    The check ``underperforming_group`` of cleanlab's Datalab, with its rule for the worst cluster:
    of the clusters below the mean, one after the other, one replaces the worst so far if its mean
    self-confidence, not its score, is below the score of that. A later cluster so may replace a
    worse one, and hide it. Here they are taken by their ids; cleanlab takes them as a Python set
    has them, which is the same where no id is left out. Means are exact.
    :func:`lq_spark.core.groups.find_worse_groups` tests all groups alike.

    Examples
    --------
    >>> probs = [[0.9, 0.1]] * 8 + [[0.05, 0.95]] * 2
    >>> flags, scores, found = find_underperforming_group(
    ...     [0] * 10, probs, [0] * 8 + [1] * 2, min_cluster_samples=2
    ... )
    >>> flags.sum(), found.worst, round(found.score, 3), scores.round(3).tolist()[-3:]
    (np.int64(2), 1, 0.068, [1.0, 0.068, 0.068])
    """
    given, matrix = checked_inputs(labels, pred_probs)
    clusters = np.asarray(cluster_ids)
    if clusters.shape != given.shape or clusters.dtype.kind not in "iu":
        raise DataError(
            f"cluster_ids must be whole numbers of shape {given.shape}, as labels, "
            f"got shape {clusters.shape} of {clusters.dtype}"
        )
    clusters = clusters.astype(np.int64, copy=False)
    state = partial_cluster_sums(clusters, matrix[np.arange(len(given)), given])
    found = finish_clusters(state, threshold, min_cluster_samples)
    flags, scores = performance_of_rows(clusters, found)
    return flags, scores, found


def partial_cluster_sums(
    clusters: NDArray[np.int64], confidence: NDArray[np.floating]
) -> GroupSums:
    """Return the state of a batch of rows: their clusters and their self-confidence, (m,) each.

    Two numbers a row are summed, the halves of :mod:`lq_spark.core.shared.exact`.
    """
    return partial_group_sums(clusters, np.array(scaled_halves(confidence)).astype(np.int64))


def finish_clusters(
    state: GroupSums,
    threshold: float = THRESHOLD,
    min_cluster_samples: int = MIN_CLUSTER_SAMPLES,
) -> UnderperformingGroup:
    """Return how well the model knows the labels of each cluster.

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If an id is below -1, no cluster has enough rows, or one has too many to be summed.
    """
    limit = require_number("threshold", threshold, 0.0, 1.0)
    require_whole_number("min_cluster_samples", min_cluster_samples, 1)
    state.require_summable()
    if state.groups.min(initial=OUTLIER) < OUTLIER:
        raise DataError(f"cluster_ids must be at least {OUTLIER}, got {state.groups[0]}")
    kept = (state.groups != OUTLIER) & (state.counts >= min_cluster_samples)
    if not kept.any():
        raise DataError(
            f"no cluster has {min_cluster_samples} rows: "
            f"{np.count_nonzero(state.groups != OUTLIER)} clusters, "
            f"the largest of {state.counts[state.groups != OUTLIER].max(initial=0)}"
        )
    counts, (high, low) = state.counts[kept], state.sums[:, kept].tolist()
    performance = np.array(list(map(exact_mean, high, low, counts)))
    mean = exact_mean(sum(high), sum(low), counts.sum())
    clusters = state.groups[kept]
    scores = np.where(performance < mean, performance / (mean or 1.0), 1.0)
    worst, score = _worst(clusters, performance, scores)
    return UnderperformingGroup(
        clusters, performance, scores, worst if score < limit else None, score
    )


def performance_of_rows(
    clusters: NDArray[np.int64], found: UnderperformingGroup
) -> tuple[Mask, Float64]:
    """Return flags and scores of a batch of rows of these clusters, shape (m,) each: 0 bad."""
    place = np.minimum(np.searchsorted(found.clusters, clusters), len(found.clusters) - 1)
    scores = np.where(found.clusters[place] == clusters, found.scores[place], 1.0)
    flags: Mask = np.zeros(len(clusters), dtype=bool)
    if found.worst is not None:
        flags = clusters == found.worst
    return flags, scores


def _worst(
    clusters: NDArray[np.int64], performance: Float64, scores: Float64
) -> tuple[int | None, float]:
    worst, worst_score = None, 1.0
    for cluster, own, score in zip(
        clusters.tolist(), performance.tolist(), scores.tolist(), strict=True
    ):
        if score < 1.0 and own < worst_score:
            worst, worst_score = cluster, score
    return worst, worst_score

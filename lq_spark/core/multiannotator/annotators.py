"""What is known of each annotator: sums over its labels, class by class, and the table of them.

Source: Goh, Tkachenko, Mueller, "CROWDLAB: Supervised learning to infer consensus labels and
quality scores for data with multiple annotators" (2022), arXiv:2210.06812.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations
from lq_spark.core.multiannotator.crowdlab import CrowdlabWeights
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import ABSENT_CLASS_THRESHOLD, CONFIDENT_THRESHOLDS_LOWER_BOUND
from lq_spark.core.shared.exact import scaled_halves, scaled_means
from lq_spark.core.shared.segments import ranges


@dataclass(frozen=True, slots=True)
class AnnotatorSums:
    """Sums over the labels of each annotator and class that occur together, as whole numbers.

    Attributes
    ----------
    keys : ndarray of int64, shape (u,)
        ``annotator * K + class``, ascending.
    counts, hits : ndarray of int64, shape (u,)
        Labels, and those equal to the consensus.
    shared, shared_hits : ndarray of int64, shape (u,)
        The same, of items with several labels alone.
    high, low : ndarray of int64, shape (u,)
        Summed quality of the consensus of the labelled items (:mod:`lq_spark.core.shared.exact`).
    own_high, own_low : ndarray of int64, shape (u,)
        Summed quality of the labels.
    """

    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    hits: NDArray[np.int64]
    shared: NDArray[np.int64]
    shared_hits: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    own_high: NDArray[np.int64]
    own_low: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AnnotatorTable:
    """The annotators, in the order of their numbers; arrays of shape (A,).

    Attributes
    ----------
    quality, agreement : ndarray of float64
        1 good, 0 bad; the agreement is with the consensus, on all items of the annotator. The
        quality is NaN for one who has no item in common with others.
    worst_class, num_labels : ndarray of int64
        The class whose labels are the least often the consensus; how many labels were given.
    """

    quality: Float64
    agreement: Float64
    worst_class: NDArray[np.int64]
    num_labels: NDArray[np.int64]


def partial_annotators(
    annotations: Annotations,
    consensus: NDArray[np.int64],
    consensus_quality: Float64,
    label_quality: Float64,
) -> AnnotatorSums:
    """Return the state of a batch of n items with m labels.

    Parameters
    ----------
    annotations : Annotations
    consensus, consensus_quality : ndarray, shape (n,)
    label_quality : ndarray of float64, shape (m,)
    """
    items = annotations.items
    hits = annotations.labels == consensus[items]
    shared = (annotations.sizes > 1)[items]
    columns: list[NDArray[Any]] = [np.ones(len(hits), dtype=bool), hits, shared, shared & hits]
    columns += [half[items] for half in scaled_halves(consensus_quality)]
    columns += scaled_halves(label_quality)
    keys = annotations.annotators * annotations.n_classes + annotations.labels
    return _summed(keys, columns)


def merge_annotators(a: AnnotatorSums, b: AnnotatorSums) -> AnnotatorSums:
    """Return the state of the items of ``a`` and ``b`` together."""
    keys, *columns = (
        np.concatenate([getattr(a, field.name), getattr(b, field.name)])
        for field in fields(AnnotatorSums)
    )
    return _summed(keys, columns)


def _summed(keys: NDArray[np.int64], columns: Sequence[NDArray[Any]]) -> AnnotatorSums:
    order = np.argsort(keys)  # whole numbers have no order of addition: it need not be stable
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(keys)])
    sums = [np.zeros(0, dtype=np.int64) for _ in columns]
    if len(keys):
        sums = [np.add.reduceat(column[order].astype(np.int64), starts) for column in columns]
    return AnnotatorSums(ordered[starts], *sums)


def finish_annotators(
    sums: AnnotatorSums,
    n_annotators: int,
    n_classes: int,
    weights: CrowdlabWeights | None = None,
) -> AnnotatorTable:
    """Return the table of all annotators.

    The quality is the agreement with the consensus on items with several labels. With ``weights``
    it is averaged with the mean quality of the annotator's labels, which counts as much as the
    models do beside the annotators of a mean item.
    """
    annotators, classes = np.divmod(sums.keys, n_classes)

    def per_annotator(column: NDArray[np.int64]) -> NDArray[np.int64]:
        totals = np.zeros(n_annotators, dtype=np.int64)
        np.add.at(totals, annotators, column)
        return totals

    counts = per_annotator(sums.counts)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: nothing in common with others
        quality = per_annotator(sums.shared_hits) / per_annotator(sums.shared)
    if weights is not None:
        model = float(weights.models.mean())
        share = model / (model + float(weights.annotators.mean()) * weights.labels_per_item)
        own = scaled_means(per_annotator(sums.own_high), per_annotator(sums.own_low), counts)
        quality = share * own + (1.0 - share) * quality
    # Worst first: least often right, then most labels, then the better consensus, then the class.
    accuracy = sums.hits / sums.counts
    consensus_quality = scaled_means(sums.high, sums.low, sums.counts)
    order = np.lexsort((classes, -consensus_quality, -sums.counts, accuracy, annotators))
    first = np.searchsorted(annotators, np.arange(n_annotators))
    return AnnotatorTable(quality, per_annotator(sums.hits) / counts, classes[order[first]], counts)


def annotator_thresholds(
    sums: AnnotatorSums, annotators: NDArray[np.int64], n_classes: int
) -> Float64:
    """Return the confident thresholds of some annotators' labels, shape (len(annotators), K).

    ``sums`` has the self-confidence of the labels as their quality.
    """
    table = np.full((len(annotators), n_classes), ABSENT_CLASS_THRESHOLD)
    first = np.searchsorted(sums.keys, annotators * n_classes)
    lengths = np.searchsorted(sums.keys, (annotators + 1) * n_classes) - first
    rows = np.repeat(np.arange(len(annotators)), lengths)
    found = ranges(first, lengths)
    means = scaled_means(sums.own_high[found], sums.own_low[found], sums.counts[found])
    table[rows, sums.keys[found] % n_classes] = np.maximum(means, CONFIDENT_THRESHOLDS_LOWER_BOUND)
    return table

"""Quality of a consensus and of each label, from the probability of each class of each item.

Source: Goh, Tkachenko, Mueller, "CROWDLAB: Supervised learning to infer consensus labels and
quality scores for data with multiple annotators" (2022), arXiv:2210.06812.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.thresholds import (
    ClassSums,
    finish_thresholds,
    merge_class_sums,
    partial_class_sums,
)
from lq_spark.core.multiannotator.annotations import Annotations, Votes
from lq_spark.core.multiannotator.annotators import (
    AnnotatorSums,
    annotator_thresholds,
    merge_annotators,
    partial_annotators,
)
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.shared.blocks import BLOCK_ELEMENTS, Float64

Blocks = Iterator[tuple[slice, Float64]]
"""Rows of items, and the probability of each class of each of them."""


@dataclass(frozen=True, slots=True)
class ThresholdSums:
    """Sums of self-confidence for adjusted scores: of the consensus, and of annotators' labels."""

    consensus: ClassSums
    annotators: AnnotatorSums


def vote_shares(
    annotations: Annotations, votes: Votes, *, cleanlab_compatible: bool = False
) -> Blocks:
    """Yield (items, block): the share of each class among the labels of an item.

    With ``cleanlab_compatible`` the shares of the classes that occur are in the first places, as in
    cleanlab 2.9.0. The next block is in the same memory.
    """
    places = votes.ranks if cleanlab_compatible else votes.labels
    step = max(1, min(annotations.n_items, BLOCK_ELEMENTS // annotations.n_classes))
    scratch = np.empty((step, annotations.n_classes))
    for start in range(0, annotations.n_items, step):
        rows = slice(start, min(start + step, annotations.n_items))
        block = scratch[: rows.stop - start]
        block[:] = 0.0
        part = slice(votes.offsets[start], votes.offsets[rows.stop])
        items = votes.items[part]
        block[items - start, places[part]] = votes.counts[part] / annotations.sizes[items]
        yield rows, block


def quality_scores(
    annotations: Annotations,
    votes: Votes,
    consensus: NDArray[np.int64],
    blocks: Blocks,
    method: str = "self_confidence",
    thresholds: ThresholdSums | None = None,
) -> tuple[Float64, Float64]:
    """Return the quality of each consensus, shape (n,), and of each label, shape (m,): 1 clean.

    Parameters
    ----------
    annotations, votes
        Of a batch of items: the scores of one do not depend on the others.
    consensus : ndarray of int64, shape (n,)
    blocks : iterator of (items, probability of each class)
        Of the same items, in order.
    method : str
        As in :func:`lq_spark.core.multiclass.get_label_quality_scores`.
    thresholds : ThresholdSums, optional
        Of all items: adjusts the scores of the consensus by its thresholds, those of an annotator's
        labels by the annotator's own.
    """
    of_consensus = None if thresholds is None else finish_thresholds(thresholds.consensus)
    consensus_quality = np.empty(annotations.n_items)
    vote_quality = np.empty(len(votes.items))
    label_quality = np.empty(len(annotations.labels))
    for rows, block in blocks:
        consensus_quality[rows] = score_rows(consensus[rows], block, method, of_consensus)
        if thresholds is None:
            part = slice(votes.offsets[rows.start], votes.offsets[rows.stop])
            items = votes.items[part] - rows.start
            vote_quality[part] = _scores(block, items, votes.labels[part], method)
        else:
            own = annotations.between(rows.start, rows.stop)
            part = slice(annotations.offsets[rows.start], annotations.offsets[rows.stop])
            label_quality[part] = _adjusted_scores(block, own, method, thresholds.annotators)
    return consensus_quality, vote_quality[votes.vote_of] if thresholds is None else label_quality


def partial_thresholds(
    annotations: Annotations, votes: Votes, consensus: NDArray[np.int64], blocks: Blocks
) -> ThresholdSums:
    """Return the state of a batch of items; parameters as for :func:`quality_scores`."""
    empty = np.zeros(annotations.n_classes, dtype=np.int64)
    classes = ClassSums(empty, empty, empty)
    vote_quality = np.empty(len(votes.items))
    for rows, block in blocks:
        classes = merge_class_sums(classes, partial_class_sums(consensus[rows], block))
        part = slice(votes.offsets[rows.start], votes.offsets[rows.stop])
        vote_quality[part] = block[votes.items[part] - rows.start, votes.labels[part]]
    unused = np.zeros(annotations.n_items)
    of_labels = vote_quality[votes.vote_of]
    return ThresholdSums(classes, partial_annotators(annotations, consensus, unused, of_labels))


def merge_thresholds(a: ThresholdSums, b: ThresholdSums) -> ThresholdSums:
    """Return the state of the items of ``a`` and ``b`` together."""
    return ThresholdSums(
        merge_class_sums(a.consensus, b.consensus), merge_annotators(a.annotators, b.annotators)
    )


def _scores(
    block: Float64,
    items: NDArray[np.int64],
    labels: NDArray[np.int64],
    method: str,
    thresholds: Float64 | None = None,
) -> Float64:
    """Return the score of each (row of the block, label), some megabytes at a time."""
    if method == "self_confidence" and thresholds is None:
        found: Float64 = block[items, labels]  # without a copy of the rows
        return found
    scores = np.empty(len(items))
    step = max(1, BLOCK_ELEMENTS // block.shape[1])
    for start in range(0, len(items), step):
        part = slice(start, start + step)
        own = None if thresholds is None else thresholds[part]
        scores[part] = score_rows(labels[part], block[items[part]], method, own)
    return scores


def _adjusted_scores(
    block: Float64, annotations: Annotations, method: str, sums: AnnotatorSums
) -> Float64:
    scores = np.empty(len(annotations.labels))
    items, n_classes = annotations.items, annotations.n_classes
    step = max(1, BLOCK_ELEMENTS // n_classes)
    for start in range(0, len(scores), step):
        part = slice(start, start + step)
        who, which = np.unique(annotations.annotators[part], return_inverse=True)
        thresholds = annotator_thresholds(sums, who, n_classes)[which]
        scores[part] = _scores(block, items[part], annotations.labels[part], method, thresholds)
    return scores

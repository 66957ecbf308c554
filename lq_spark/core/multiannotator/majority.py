"""The majority vote of several annotators, and what the data set says about tied votes.

Source: Goh, Tkachenko, Mueller, "CROWDLAB: Supervised learning to infer consensus labels and
quality scores for data with multiple annotators" (2022), arXiv:2210.06812.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations, Votes
from lq_spark.core.multiannotator.temperature import Model, mean_probabilities
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.display import Displayed
from lq_spark.errors import DataError


@dataclass(frozen=True, slots=True)
class VoteCounts:
    """What the labels alone say about the data set and its annotators; whole numbers all.

    Attributes
    ----------
    n_items, n_single, n_agreeing : int
        Items; those with one label; those with two labels that agree.
    class_counts : ndarray of int64, shape (K,)
        Labels of each class.
    labelled : ndarray of int64, shape (A,)
        Labels of each annotator.
    clear, clear_hits : ndarray of int64, shape (A,)
        Labels on items with one most frequent class, and how many of them are of that class.
    others, others_agreeing : ndarray of int64, shape (A,)
        Labels of others on the annotator's items, and how many of them agree with its own.
    """

    n_items: int
    n_single: int
    n_agreeing: int
    class_counts: NDArray[np.int64]
    labelled: NDArray[np.int64]
    clear: NDArray[np.int64]
    clear_hits: NDArray[np.int64]
    others: NDArray[np.int64]
    others_agreeing: NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False)
class VoteSummary(Displayed):
    """What the steps after the count of votes need of the whole data set.

    Attributes
    ----------
    class_counts : ndarray of int64, shape (K,)
        Of tied classes the rarer wins.
    clear_agreement : ndarray of float64, shape (A,)
        How often each annotator is with the majority where that is clear; for one who labelled no
        such item the mean of the others.
    agreement : ndarray of float64, shape (A,)
        How often others agree with each annotator; for one with no item in common with others the
        mean of the others.
    labels_per_item : float
        The mean number of labels.
    """

    class_counts: NDArray[np.int64]
    clear_agreement: Float64
    agreement: Float64
    labels_per_item: float

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": len(self.class_counts),
            "annotators": len(self.agreement),
            "labels per item": self.labels_per_item,
        }


def partial_votes(annotations: Annotations, votes: Votes) -> VoteCounts:
    """Return the state of a batch of items."""
    sizes, per_label = annotations.sizes, votes.counts[votes.vote_of]
    n_annotators = annotations.n_annotators
    most, n_most = _most_voted(votes)
    clear = (n_most == 1)[annotations.items]
    hits = clear & (per_label == most[annotations.items])
    return VoteCounts(
        annotations.n_items,
        int((sizes == 1).sum()),
        int((most > 1).sum()),
        _count(annotations.labels, annotations.n_classes),
        _count(annotations.annotators, n_annotators),
        _count(annotations.annotators[clear], n_annotators),
        _count(annotations.annotators[hits], n_annotators),
        _total(annotations.annotators, sizes[annotations.items] - 1, n_annotators),
        _total(annotations.annotators, per_label - 1, n_annotators),
    )


def merge_votes(a: VoteCounts, b: VoteCounts) -> VoteCounts:
    """Return the state of the items of ``a`` and ``b`` together."""
    return VoteCounts(
        a.n_items + b.n_items,
        a.n_single + b.n_single,
        a.n_agreeing + b.n_agreeing,
        a.class_counts + b.class_counts,
        a.labelled + b.labelled,
        a.clear + b.clear,
        a.clear_hits + b.clear_hits,
        a.others + b.others,
        a.others_agreeing + b.others_agreeing,
    )


def finish_votes(counts: VoteCounts) -> VoteSummary:
    """Return the summary of all items.

    Raises
    ------
    DataError
        If there are fewer than 2 annotators, or one without a label.
    """
    if len(counts.labelled) < 2:
        raise DataError(f"there must be at least 2 annotators, got {len(counts.labelled)}")
    require_annotators(counts.labelled)
    return VoteSummary(
        counts.class_counts,
        _rates(counts.clear_hits, counts.clear),
        _rates(counts.others_agreeing, counts.others),
        int(counts.class_counts.sum()) / counts.n_items,
    )


def require_annotators(labelled: NDArray[np.int64]) -> None:
    """Raise DataError if an annotator gave no label; ``labelled`` has how many each gave."""
    idle = np.flatnonzero(labelled == 0)
    if len(idle):
        raise DataError(
            f"each annotator must have given a label, annotator {idle[0]} gave none "
            f"({len(idle)} such annotators)"
        )


def majority_votes(
    annotations: Annotations,
    votes: Votes,
    summary: VoteSummary,
    models: Sequence[Model] = (),
    item_ids: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the most frequent label of each item, shape (n,).

    Of tied classes wins the one with the highest mean probability of the models; of those still
    tied the one that is rarest among all labels; then the one whose annotators are most often with
    a clear majority; then one drawn by a hash of the item's id.

    Parameters
    ----------
    annotations, votes
        Of any batch of items: the label of an item does not depend on the others.
    summary : VoteSummary
        Of all items.
    models : sequence of Model
        Of the same items as the annotations.
    item_ids : ndarray of int64, shape (n,), optional
        By default the position.
    """
    most, n_most = _most_voted(votes)
    top = np.flatnonzero(votes.counts == most[votes.items])
    label = votes.labels[top[np.searchsorted(votes.items[top], np.arange(len(most)))]]
    tied = top[n_most[votes.items[top]] > 1]
    if models:
        chance = mean_probabilities(models, votes.items[tied], votes.labels[tied])
        tied = _highest(tied, votes.items, chance)
    tied = _highest(tied, votes.items, -summary.class_counts[votes.labels[tied]])
    if len(tied):
        of_annotators = summary.clear_agreement[annotations.annotators]
        sums = np.bincount(votes.vote_of, weights=of_annotators, minlength=len(votes.items))
        tied = _highest(tied, votes.items, sums[tied] / votes.counts[tied])
    items, starts, n_tied = np.unique(votes.items[tied], return_index=True, return_counts=True)
    drawn = _hashes(items if item_ids is None else item_ids[items]) % n_tied.astype(np.uint64)
    label[items] = votes.labels[tied[starts + drawn.astype(np.int64)]]
    return label


def _most_voted(votes: Votes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return per item the highest number of votes, and how many classes have it."""
    starts = votes.offsets[:-1]
    if not len(starts):
        return starts, starts
    most = np.maximum.reduceat(votes.counts, starts)
    return most, np.add.reduceat((votes.counts == most[votes.items]).astype(np.int64), starts)


def _highest(
    tied: NDArray[np.int64], items: NDArray[np.int64], values: NDArray[np.generic]
) -> NDArray[np.int64]:
    """Return the tied votes that have the highest value of those of their item."""
    if not len(tied):
        return tied
    first = np.append(True, items[tied[1:]] != items[tied[:-1]])
    highest = np.maximum.reduceat(values, np.flatnonzero(first))
    left: NDArray[np.int64] = tied[values == highest[np.cumsum(first) - 1]]
    return left


def _hashes(ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return well mixed bits of each id: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    z = ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _count(values: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    return np.bincount(values, minlength=length).astype(np.int64)


def _total(keys: NDArray[np.int64], values: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    # bincount adds in float64: exact, as no batch has 2^53 pairs of labels.
    return np.bincount(keys, weights=values, minlength=length).astype(np.int64)


def _rates(hits: NDArray[np.int64], counts: NDArray[np.int64]) -> Float64:
    """Return hits / counts, and their mean where there is no count (1 if there is none at all)."""
    some = counts > 0
    rates = np.ones(len(counts))
    rates[some] = hits[some] / counts[some]
    rates[~some] = rates[some].mean() if some.any() else 1.0
    return rates

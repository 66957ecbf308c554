"""CROWDLAB: consensus labels and their quality from annotators and models together.

Each annotator and each model votes with a weight that says how trustworthy it is.

Source: Goh, Tkachenko, Mueller, "CROWDLAB: Supervised learning to infer consensus labels and
quality scores for data with multiple annotators" (2022), arXiv:2210.06812.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations, Votes
from lq_spark.core.multiannotator.majority import VoteSummary
from lq_spark.core.multiannotator.temperature import Model
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import CLIPPING_LOWER_BOUND
from lq_spark.core.shared.display import Displayed
from lq_spark.errors import DataError

NOTHING_TO_COMPARE: Final = "each item has one label, so annotators cannot be compared"


@dataclass(frozen=True, slots=True)
class ConsensusCounts:
    """How labels and models agree with a consensus, on the items with several labels.

    Attributes
    ----------
    n_items : int
        Items with several labels.
    agreeing : ndarray of int64, shape (s + 1,)
        Per number of labels of an item: how many labels of such items are the consensus.
    class_counts : ndarray of int64, shape (K,)
        Items of each consensus class.
    model_errors : ndarray of int64, shape (M,)
        Items whose consensus a model does not predict.
    """

    n_items: int
    agreeing: NDArray[np.int64]
    class_counts: NDArray[np.int64]
    model_errors: NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False)
class CrowdlabWeights(Displayed):
    """How much each annotator and model counts.

    Attributes
    ----------
    annotators : ndarray of float64, shape (A,)
    models : ndarray of float64, shape (M,)
    agreement : float
        The probability that an annotator's label is the consensus.
    labels_per_item : float
        The mean number of labels.
    """

    annotators: Float64
    models: Float64
    agreement: float
    labels_per_item: float

    def _facts(self) -> dict[str, Any]:
        return {
            "annotators": len(self.annotators),
            "models": len(self.models),
            "agreement": self.agreement,
            "labels per item": self.labels_per_item,
        }


def predicted_labels(models: Sequence[Model]) -> NDArray[np.int64]:
    """Return the class each model gives each item, shape (M, n); no temperature changes it."""
    return np.array([model.pred_probs.argmax(axis=1) for model in models])


def agreeing_labels(votes: Votes, consensus: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many labels of each item are its consensus, shape (n,)."""
    agreeing = np.zeros(len(consensus), dtype=np.int64)
    hits = votes.labels == consensus[votes.items]
    agreeing[votes.items[hits]] = votes.counts[hits]
    return agreeing


def partial_consensus(
    annotations: Annotations,
    votes: Votes,
    consensus: NDArray[np.int64],
    predicted: NDArray[np.int64],
) -> ConsensusCounts:
    """Return the state of a batch of n items: consensus of shape (n,), predicted of (M, n)."""
    several = annotations.sizes > 1
    sizes, agreeing = annotations.sizes[several], agreeing_labels(votes, consensus)[several]
    return ConsensusCounts(
        int(several.sum()),
        np.bincount(sizes, weights=agreeing).astype(np.int64),
        np.bincount(consensus[several], minlength=annotations.n_classes).astype(np.int64),
        (predicted != consensus)[:, several].sum(axis=1, dtype=np.int64),
    )


def merge_consensus(a: ConsensusCounts, b: ConsensusCounts) -> ConsensusCounts:
    """Return the state of the items of ``a`` and ``b`` together."""
    agreeing = np.zeros(max(len(a.agreeing), len(b.agreeing)), dtype=np.int64)
    agreeing[: len(a.agreeing)] += a.agreeing
    agreeing[: len(b.agreeing)] += b.agreeing
    return ConsensusCounts(
        a.n_items + b.n_items,
        agreeing,
        a.class_counts + b.class_counts,
        a.model_errors + b.model_errors,
    )


def finish_consensus(counts: ConsensusCounts, summary: VoteSummary) -> CrowdlabWeights:
    """Return the weights under a consensus.

    An annotator or model weighs ``1 - (its rate of disagreement) / (that of always giving the most
    frequent class)``, at least 1e-6; a model that times the root of the labels per item.

    Raises
    ------
    DataError
        If no item has several labels.
    """
    if not counts.n_items:
        raise DataError(NOTHING_TO_COMPARE)
    per_size = [int(hits) / size for size, hits in enumerate(counts.agreeing) if hits]
    baseline = 1.0 - int(counts.class_counts.max()) / counts.n_items
    baseline = max(baseline, CLIPPING_LOWER_BOUND)
    models = 1.0 - (counts.model_errors / counts.n_items) / baseline
    annotators = 1.0 - (1.0 - summary.agreement) / baseline
    return CrowdlabWeights(
        np.maximum(annotators, CLIPPING_LOWER_BOUND),
        np.maximum(models, CLIPPING_LOWER_BOUND) * math.sqrt(summary.labels_per_item),
        math.fsum(per_size) / counts.n_items,
        summary.labels_per_item,
    )


def annotator_weights(annotations: Annotations, weights: CrowdlabWeights) -> Float64:
    """Return the summed weight of the annotators of each item, shape (n,)."""
    # bincount adds in the order of the annotators, whatever the other items are.
    weighed = weights.annotators[annotations.annotators]
    return np.bincount(annotations.items, weighed, annotations.n_items).astype(np.float64)


def posteriors(
    annotations: Annotations, votes: Votes, models: Sequence[Model], weights: CrowdlabWeights
) -> Iterator[tuple[slice, Float64]]:
    """Yield (items, block): the probability of each class given annotators and models.

    A label gives its class the weight of the annotator times the agreement, and each other class
    that times an equal share of the disagreement. A row does not depend on the others, to the bit.
    The caller may change the block; the next one is in the same memory.
    """
    n_classes = annotations.n_classes
    others = (1.0 - weights.agreement) / (n_classes - 1)
    unnamed = annotator_weights(annotations, weights)
    totals = unnamed + weights.models.sum()
    unnamed *= others
    weighed = weights.annotators[annotations.annotators]
    by_vote = np.bincount(votes.vote_of, weighed, len(votes.items)).astype(np.float64)
    by_vote *= weights.agreement - others
    for blocks in zip(*(model.blocks() for model in models), strict=True):
        rows, block = blocks[0]
        block *= weights.models[0]
        for weight, (_, other) in zip(weights.models[1:], blocks[1:], strict=True):
            other *= weight
            block += other
        block += unnamed[rows, np.newaxis]
        part = slice(votes.offsets[rows.start], votes.offsets[rows.stop])
        block[votes.items[part] - rows.start, votes.labels[part]] += by_vote[part]
        block /= totals[rows, np.newaxis]
        yield rows, block


def best_labels(
    blocks: Iterator[tuple[slice, Float64]], majority: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the most probable class of each item, shape (n,); of equal ones the majority vote."""
    best = majority.copy()
    for rows, block in blocks:
        highest = block.argmax(axis=1)
        at = np.arange(len(block))
        alone = (block == block[at, highest][:, np.newaxis]).sum(axis=1) == 1
        best[rows][alone] = highest[alone]
    return best

"""Items with the labels of several annotators: the steps of CROWDLAB that look at items alone.

What they need of the whole data set was found by passes over its items: votes, temperatures (two
passes, if asked), weights under the majority vote, weights under the consensus. A data set in
memory goes through the same steps as a table too large for that, which goes batch by batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations, Votes, count_votes
from lq_spark.core.multiannotator.annotators import (
    AnnotatorSums,
    AnnotatorTable,
    finish_annotators,
    partial_annotators,
)
from lq_spark.core.multiannotator.consensus import (
    Blocks,
    ThresholdSums,
    partial_thresholds,
    quality_scores,
    vote_shares,
)
from lq_spark.core.multiannotator.crowdlab import (
    NOTHING_TO_COMPARE,
    ConsensusCounts,
    CrowdlabWeights,
    agreeing_labels,
    best_labels,
    finish_consensus,
    partial_consensus,
    posteriors,
    predicted_labels,
)
from lq_spark.core.multiannotator.majority import (
    VoteCounts,
    VoteSummary,
    finish_votes,
    majority_votes,
    partial_votes,
)
from lq_spark.core.multiannotator.temperature import Model, fit_temperature
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import DataError


@dataclass(frozen=True, slots=True)
class Rated:
    """Items under a consensus.

    Attributes
    ----------
    consensus : ndarray of int64, shape (n,)
    quality, agreement : ndarray of float64, shape (n,)
        Of the consensus: 1 clean, 0 suspect; the share of the labels that are the consensus.
    label_quality : ndarray of float64, shape (m,)
        Of each label.
    weights : CrowdlabWeights or None
        None where the quality is the agreement.
    """

    consensus: NDArray[np.int64]
    quality: Float64
    agreement: Float64
    label_quality: Float64
    weights: CrowdlabWeights | None


@dataclass(frozen=True, slots=True)
class Items:
    """Any batch of items, their votes, models and majority: no item depends on the others.

    Attributes
    ----------
    annotations : Annotations
        Of n items.
    votes : Votes
    models : tuple of M Model
    majority : ndarray of int64, shape (n,)
    cleanlab_compatible : bool
        Whether shares of votes are misplaced as in cleanlab 2.9.0.
    """

    annotations: Annotations
    votes: Votes
    models: tuple[Model, ...]
    majority: NDArray[np.int64]
    cleanlab_compatible: bool = False

    @classmethod
    def of(
        cls,
        annotations: Annotations,
        votes: Votes,
        models: Sequence[Model],
        summary: VoteSummary,
        item_ids: NDArray[np.int64] | None = None,
        *,
        cleanlab_compatible: bool = False,
    ) -> Items:
        """Return a batch of items with their majority votes, by :func:`majority_votes`."""
        majority = majority_votes(annotations, votes, summary, models, item_ids)
        return cls(annotations, votes, tuple(models), majority, cleanlab_compatible)

    def best_consensus(self, weights: CrowdlabWeights | None) -> NDArray[np.int64]:
        """Return the class of the highest quality of each item, shape (n,).

        ``weights`` are those under the majority vote; None where the quality is the agreement.
        """
        return best_labels(self._blocks(weights), self.majority)

    def consensus_counts(self, consensus: NDArray[np.int64]) -> ConsensusCounts:
        """Return the state of the batch that gives the weights under a consensus."""
        predicted = predicted_labels(self.models)
        return partial_consensus(self.annotations, self.votes, consensus, predicted)

    def threshold_sums(
        self, consensus: NDArray[np.int64], weights: CrowdlabWeights | None
    ) -> ThresholdSums:
        """Return the state of the batch that gives the thresholds of adjusted scores."""
        blocks = self._blocks(weights)
        return partial_thresholds(self.annotations, self.votes, consensus, blocks)

    def rated(
        self,
        consensus: NDArray[np.int64],
        weights: CrowdlabWeights | None,
        method: str = "self_confidence",
        thresholds: ThresholdSums | None = None,
    ) -> Rated:
        """Return the items under a consensus and the weights under it."""
        blocks = self._blocks(weights)
        quality, of_labels = quality_scores(
            self.annotations, self.votes, consensus, blocks, method, thresholds
        )
        agreement = agreeing_labels(self.votes, consensus) / self.annotations.sizes
        return Rated(
            consensus, agreement if weights is None else quality, agreement, of_labels, weights
        )

    def annotator_sums(self, rated: Rated) -> AnnotatorSums:
        """Return the state of the batch that gives the table of annotators."""
        return partial_annotators(
            self.annotations, rated.consensus, rated.quality, rated.label_quality
        )

    def _blocks(self, weights: CrowdlabWeights | None) -> Blocks:
        if weights is not None:
            return posteriors(self.annotations, self.votes, self.models, weights)
        return vote_shares(
            self.annotations, self.votes, cleanlab_compatible=self.cleanlab_compatible
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """All items of a data set, and what passes over them found.

    Attributes
    ----------
    items : Items
    counts : VoteCounts
    summary : VoteSummary
    """

    items: Items
    counts: VoteCounts
    summary: VoteSummary

    @classmethod
    def of(
        cls,
        annotations: Annotations,
        pred_probs: Sequence[NDArray[np.floating]],
        *,
        calibrate: bool = False,
        cleanlab_compatible: bool = False,
        item_ids: NDArray[np.int64] | None = None,
    ) -> Dataset:
        """Return the data set of annotations and M models' checked pred_probs, shape (n, K)."""
        votes = count_votes(annotations)
        counts = partial_votes(annotations, votes)
        summary = finish_votes(counts)
        temperatures: list[float | None] = [None] * len(pred_probs)
        if calibrate:
            temperatures = [
                fit_temperature(annotations, votes, member, cleanlab_compatible=cleanlab_compatible)
                for member in pred_probs
            ]
        items = Items.of(
            annotations,
            votes,
            tuple(map(Model, pred_probs, temperatures)),
            summary,
            item_ids,
            cleanlab_compatible=cleanlab_compatible,
        )
        return cls(items, counts, summary)

    def require_several(self) -> None:
        """Raise DataError if each item has one label: there is nothing to compare."""
        if self.counts.n_single == self.counts.n_items:
            raise DataError(
                f"{NOTHING_TO_COMPARE}; use lq_spark.core.multiclass.get_label_quality_scores"
            )

    def weights_under(self, consensus: NDArray[np.int64]) -> CrowdlabWeights:
        """Return the weights of annotators and models."""
        return finish_consensus(self.items.consensus_counts(consensus), self.summary)

    def best_consensus(self, quality_method: str = "crowdlab") -> NDArray[np.int64]:
        """Return the class of the highest quality of each item, shape (n,)."""
        weights = None
        if quality_method == "crowdlab":
            weights = self.weights_under(self.items.majority)
        return self.items.best_consensus(weights)

    def rated(
        self,
        consensus: NDArray[np.int64],
        quality_method: str = "crowdlab",
        *,
        method: str = "self_confidence",
        adjust_pred_probs: bool = False,
    ) -> Rated:
        """Return the items under a consensus, with the weights computed anew from it."""
        weights = self.weights_under(consensus) if quality_method == "crowdlab" else None
        thresholds = None
        if adjust_pred_probs:
            thresholds = self.items.threshold_sums(consensus, weights)
        return self.items.rated(consensus, weights, method, thresholds)

    def annotator_table(self, rated: Rated) -> AnnotatorTable:
        """Return what is known of each annotator."""
        annotations = self.items.annotations
        sums = self.items.annotator_sums(rated)
        return finish_annotators(
            sums, annotations.n_annotators, annotations.n_classes, rated.weights
        )

"""Items with the labels of several annotators: the steps of CROWDLAB that look at items alone.

What they need of the whole data set was found by passes over its items: votes, temperatures (two
passes, if asked), weights under the majority vote, weights under the consensus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations, Votes
from lq_spark.core.multiannotator.annotators import AnnotatorSums, partial_annotators
from lq_spark.core.multiannotator.consensus import (
    Blocks,
    ThresholdSums,
    partial_thresholds,
    quality_scores,
    vote_shares,
)
from lq_spark.core.multiannotator.crowdlab import (
    ConsensusCounts,
    CrowdlabWeights,
    agreeing_labels,
    best_labels,
    partial_consensus,
    posteriors,
    predicted_labels,
)
from lq_spark.core.multiannotator.majority import VoteSummary, majority_votes
from lq_spark.core.multiannotator.temperature import Model
from lq_spark.core.shared.blocks import Float64


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
class Crowd:
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
    ) -> Crowd:
        """Return the crowd of a batch, see :mod:`lq_spark.core.multiannotator.majority`."""
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

"""A data set of several annotators in memory: the steps of CROWDLAB over all its items, in order.

A table too large for that goes through the same steps batch by batch, one pass over its items each:
votes, temperatures (two passes, if asked), majority consensus, best consensus, scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.annotations import Annotations, Votes, count_votes
from lq_spark.core.annotator_sums import AnnotatorTable, finish_annotators, partial_annotators
from lq_spark.core.blocks import Float64
from lq_spark.core.consensus import Blocks, partial_thresholds, quality_scores, vote_shares
from lq_spark.core.crowdlab import (
    NOTHING_TO_COMPARE,
    CrowdlabWeights,
    agreeing_labels,
    best_labels,
    finish_consensus,
    partial_consensus,
    posteriors,
    predicted_labels,
)
from lq_spark.core.majority import (
    VoteCounts,
    VoteSummary,
    finish_votes,
    majority_votes,
    partial_votes,
)
from lq_spark.core.temperature import Model, fit_temperature
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
class Crowd:
    """Annotations, the votes and models of the same items, and what finished passes found.

    Attributes
    ----------
    annotations : Annotations
    votes : Votes
    counts : VoteCounts
    summary : VoteSummary
    models : tuple of M Model
    predicted : ndarray of int64, shape (M, n)
    majority : ndarray of int64, shape (n,)
    cleanlab_compatible : bool
    """

    annotations: Annotations
    votes: Votes
    counts: VoteCounts
    summary: VoteSummary
    models: tuple[Model, ...]
    predicted: NDArray[np.int64]
    majority: NDArray[np.int64]
    cleanlab_compatible: bool

    @classmethod
    def of(
        cls,
        annotations: Annotations,
        pred_probs: Sequence[NDArray[np.floating]],
        *,
        calibrate: bool = False,
        cleanlab_compatible: bool = False,
    ) -> Crowd:
        """Return the crowd of annotations and M models' checked pred_probs, shape (n, K)."""
        votes = count_votes(annotations)
        counts = partial_votes(annotations, votes)
        # Without probabilities cleanlab counts the classes right.
        misplaced = cleanlab_compatible and len(pred_probs) > 0
        summary = finish_votes(counts, cleanlab_compatible=misplaced)
        temperatures: list[float | None] = [None] * len(pred_probs)
        if calibrate:
            temperatures = [
                fit_temperature(annotations, votes, member, cleanlab_compatible=cleanlab_compatible)
                for member in pred_probs
            ]
        models = tuple(map(Model, pred_probs, temperatures))
        majority = majority_votes(annotations, votes, summary, models)
        predicted = predicted_labels(models)
        return cls(
            annotations, votes, counts, summary, models, predicted, majority, cleanlab_compatible
        )

    def require_several(self) -> None:
        """Raise DataError if each item has one label: there is nothing to compare."""
        if self.counts.n_single == self.counts.n_items:
            raise DataError(NOTHING_TO_COMPARE)

    def weights_under(self, consensus: NDArray[np.int64]) -> CrowdlabWeights:
        """Return the weights of annotators and models."""
        counts = partial_consensus(self.annotations, self.votes, consensus, self.predicted)
        return finish_consensus(counts, self.summary)

    def best_consensus(self, quality_method: str) -> NDArray[np.int64]:
        """Return the class of the highest quality of each item, shape (n,)."""
        weights = None
        if quality_method == "crowdlab":
            weights = self.weights_under(self.majority)
        return best_labels(self._blocks(weights), self.majority)

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
        basis = (self.annotations, self.votes, consensus)
        thresholds = None
        if adjust_pred_probs:
            thresholds = partial_thresholds(*basis, self._blocks(weights))
        quality, of_labels = quality_scores(*basis, self._blocks(weights), method, thresholds)
        agreement = agreeing_labels(self.votes, consensus) / self.annotations.sizes
        return Rated(
            consensus, agreement if weights is None else quality, agreement, of_labels, weights
        )

    def annotator_table(self, rated: Rated) -> AnnotatorTable:
        """Return what is known of each annotator."""
        sums = partial_annotators(
            self.annotations, rated.consensus, rated.quality, rated.label_quality
        )
        n_annotators, n_classes = self.annotations.n_annotators, self.annotations.n_classes
        return finish_annotators(sums, n_annotators, n_classes, rated.weights)

    def _blocks(self, weights: CrowdlabWeights | None) -> Blocks:
        if weights is not None:
            return posteriors(self.annotations, self.votes, self.models, weights)
        return vote_shares(
            self.annotations, self.votes, cleanlab_compatible=self.cleanlab_compatible
        )

"""A data set of several annotators in memory: the steps of CROWDLAB over all its items, in order.

A table too large for that goes through the same steps batch by batch, one pass over its items each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations, count_votes
from lq_spark.core.multiannotator.annotators import AnnotatorTable, finish_annotators
from lq_spark.core.multiannotator.crowdlab import (
    NOTHING_TO_COMPARE,
    CrowdlabWeights,
    finish_consensus,
)
from lq_spark.core.multiannotator.items import Crowd, Rated
from lq_spark.core.multiannotator.majority import (
    VoteCounts,
    VoteSummary,
    finish_votes,
    partial_votes,
)
from lq_spark.core.multiannotator.temperature import Model, fit_temperature
from lq_spark.errors import DataError


@dataclass(frozen=True, slots=True)
class WholeCrowd:
    """All items of a data set, and what passes over them found.

    Attributes
    ----------
    items : Crowd
    counts : VoteCounts
    summary : VoteSummary
    """

    items: Crowd
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
    ) -> WholeCrowd:
        """Return the crowd of annotations and M models' checked pred_probs, shape (n, K)."""
        votes = count_votes(annotations)
        counts = partial_votes(annotations, votes)
        summary = finish_votes(counts)
        temperatures: list[float | None] = [None] * len(pred_probs)
        if calibrate:
            temperatures = [
                fit_temperature(annotations, votes, member, cleanlab_compatible=cleanlab_compatible)
                for member in pred_probs
            ]
        items = Crowd.of(
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

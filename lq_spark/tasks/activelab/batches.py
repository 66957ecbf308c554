"""The batch functions of ActiveLab: Arrow arrays in, Arrow arrays out, no Spark session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql.types import DoubleType, IntegerType, StructField, StructType

from lq_spark.core.activelab.api import (
    labelled_scores,
    unlabelled_consensus,
    unlabelled_scores,
    votes_of_models,
)
from lq_spark.core.multiannotator.crowdlab import CrowdlabWeights
from lq_spark.core.multiannotator.majority import VoteCounts, VoteSummary, partial_votes
from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.core.multiannotator.temperature import Model, mean_probabilities
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.multiannotator.batches import CONSENSUS, N_LABELS, scattered
from lq_spark.tasks.multiannotator.reader import ItemBatch, ItemReader

SCORE = "__lq_score"
ACTIVE_SCHEMA = StructType(
    [
        StructField(SCORE, DoubleType()),
        StructField(CONSENSUS, IntegerType()),
        StructField(N_LABELS, IntegerType()),
    ]
)


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """What all items say, for the scores of each.

    Attributes
    ----------
    annotators : MultiannotatorModel or None
        None where no item has several labels: nobody can be compared.
    weights : CrowdlabWeights
        Those of the annotators, or equal ones.
    votes : VoteSummary or None
        Of several models on the unlabelled items.
    """

    annotators: MultiannotatorModel | None
    weights: CrowdlabWeights
    votes: VoteSummary | None

    def models(self, pred_probs: tuple[np.ndarray, ...]) -> tuple[Model, ...]:
        """Return the models of some items."""
        if self.annotators is None:
            return tuple(map(Model, pred_probs))
        return tuple(map(Model, pred_probs, self.annotators.temperatures))


def count_model_votes(batch: ItemBatch) -> VoteCounts:
    """Return what several models predict of the unlabelled items of a batch."""
    return partial_votes(*votes_of_models(tuple(map(Model, batch.unlabelled_probs))))


def active_batch(reader: ItemReader, model: ActiveModel) -> BatchFunction:
    """Return gathered columns -> active learning score, consensus, number of labels.

    An item without a label has no consensus. What cannot be scored gets nulls, where the reader
    does not fail it.
    """

    def run(*columns: pa.Array) -> dict[str, pa.Array]:
        batch, n_rows = reader.read(columns), len(columns[0])
        annotations = batch.annotations
        if model.annotators is None:
            consensus = annotations.labels  # one an item
            models = model.models(batch.pred_probs)
            quality = mean_probabilities(models, np.arange(len(consensus)), consensus)
        else:
            labelled = model.annotators.items_of(annotations, batch.pred_probs, batch.ids)
            consensus = model.annotators.consensus(labelled)
            quality = labelled.rated(consensus, model.weights).quality
        known = labelled_scores(quality, annotations, model.weights)
        unseen = model.models(batch.unlabelled_probs)
        guess = unlabelled_consensus(unseen, model.votes, batch.unlabelled_ids)
        rows = np.append(batch.rows, batch.unlabelled)
        scores = np.append(known, unlabelled_scores(unseen, guess, model.weights))
        n_labels = np.append(annotations.sizes, np.zeros(len(batch.unlabelled), dtype=np.int64))
        return {
            SCORE: scattered(scores, rows, n_rows),
            CONSENSUS: scattered(consensus, batch.rows, n_rows).cast(pa.int32()),
            N_LABELS: scattered(n_labels, rows, n_rows).cast(pa.int32()),
        }

    return run

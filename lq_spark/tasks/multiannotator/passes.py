"""The passes over gathered items that say how much each annotator and each model counts."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Any, TypeVar

from pyspark.sql import functions as F

from lq_spark.core.multiannotator.annotations import count_votes
from lq_spark.core.multiannotator.consensus import ThresholdSums, merge_thresholds
from lq_spark.core.multiannotator.crowdlab import (
    NOTHING_TO_COMPARE,
    ConsensusCounts,
    CrowdlabWeights,
    finish_consensus,
    merge_consensus,
)
from lq_spark.core.multiannotator.majority import (
    VoteCounts,
    finish_votes,
    merge_votes,
    partial_votes,
)
from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.core.multiannotator.temperature import (
    COARSE_TEMPERATURES,
    TemperatureLosses,
    fine_temperatures,
    finish_losses,
    merge_losses,
    partial_losses,
)
from lq_spark.engine.kept import kept
from lq_spark.engine.verbs import reduce_rows
from lq_spark.errors import DataError
from lq_spark.tasks.multiannotator.columns import (
    IS_ITEM,
    ITEM_ID,
    LABELS,
    AnnotationTables,
    annotator_names,
    gathered,
    probability_columns,
)
from lq_spark.tasks.multiannotator.options import ConsensusOptions
from lq_spark.tasks.multiannotator.reader import ItemBatch, ItemReader, over_batches
from lq_spark.tasks.shared.reasons import unknown_labels

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

State = TypeVar("State")

MAX_STATES = 64
"""How many states a pass brings to the driver at most: each has some numbers of every annotator."""


@dataclass(frozen=True)
class GatheredItems:
    """Items with their labels and probabilities, and how their batches are read.

    Attributes
    ----------
    rows : DataFrame
        See :func:`lq_spark.tasks.multiannotator.columns.gathered`; read once in each pass.
    probabilities : sequence of M str
        Columns of the models.
    reader : ItemReader
    """

    rows: DataFrame
    probabilities: Sequence[str]
    reader: ItemReader

    @property
    def columns(self) -> list[str]:
        """Return the columns that batch functions take, in order."""
        return [IS_ITEM, ITEM_ID, LABELS, *self.probabilities]

    @property
    def inputs(self) -> list[Column]:
        """Return these columns."""
        return [F.col(name) for name in self.columns]

    def reduce(
        self, partial: Callable[[ItemBatch], State], merge: Callable[[State, State], State]
    ) -> State:
        """Return one state of all items, in one Python pass.

        Raises
        ------
        DataError
            If there is no item.
        """
        rows = self.rows.select(*self.columns).coalesce(MAX_STATES)
        state = reduce_rows(rows, over_batches(self.reader, partial), merge)
        if state is None:
            raise DataError("there are no items; at least 1 is needed")
        return state


@contextmanager
def counted_items(
    tables: AnnotationTables, reader: ItemReader
) -> Iterator[tuple[GatheredItems, VoteCounts, tuple[Any, ...]]]:
    """Give items gathered and kept, what their labels say, and the annotators' names.

    The annotators that gave a label that can be scored come first: so many has the items' reader;
    the labels of the others, if any, are left out.

    Raises
    ------
    InvalidRowsError
        If something cannot be scored and the reader is to fail.
    """
    names = annotator_names(tables)
    n_known = len(names)
    while True:
        with kept(gathered(tables, names)) as rows:
            known = replace(reader, n_annotators=n_known)
            items = GatheredItems(rows, probability_columns(tables), known)
            counts, faults = count_faults(items)
            if known.fail and faults:
                named = unknown_labels(tables.annotations, tables.index, tables.label)
                raise known.error(faults, named=named)
            if counts.labelled.all():
                yield items, counts, names
                return
        # Gathered anew: a name more or less changes all numbers.
        labelled = counts.labelled > 0
        n_known = int(labelled.sum())
        names = (*compress(names, labelled), *compress(names, ~labelled))


def counts_of_labels(batch: ItemBatch) -> VoteCounts:
    """Return what the labels of a batch alone say."""
    return partial_votes(batch.annotations, count_votes(batch.annotations))


def count_faults(items: GatheredItems) -> tuple[VoteCounts, Counter[str]]:
    """Return what all labels say, and how many items and labels cannot be scored; one pass."""
    lenient = replace(items, reader=replace(items.reader, fail=False))
    return lenient.reduce(_counts_and_faults, _merge_counts_and_faults)


def _counts_and_faults(batch: ItemBatch) -> tuple[VoteCounts, Counter[str]]:
    return counts_of_labels(batch), batch.faults


def _merge_counts_and_faults(
    a: tuple[VoteCounts, Counter[str]], b: tuple[VoteCounts, Counter[str]]
) -> tuple[VoteCounts, Counter[str]]:
    return merge_votes(a[0], b[0]), a[1] + b[1]


def fit_annotators(
    items: GatheredItems,
    counts: VoteCounts,
    names: Sequence[Any],
    classes: tuple[str, ...] | None,
    options: ConsensusOptions,
) -> MultiannotatorModel:
    """Return what the items say of their annotators and models.

    Passes: two for temperatures, if asked; one for the weights under the majority vote, and one
    under the best consensus.

    Raises
    ------
    DataError
        If each item has one label, or there are fewer than 2 annotators.
    """
    if counts.n_single == counts.n_items:
        raise DataError(f"{NOTHING_TO_COMPARE}; use lq_spark.multiclass.score")
    model = MultiannotatorModel(
        tuple(names),
        items.reader.n_classes,
        classes,
        options.consensus_method,
        options.quality_method,
        _temperatures(items, options),
        finish_votes(counts),
        None,
        None,
        options.cleanlab_compatible,
    )
    if options.quality_method == "agreement":
        return model
    weights = _weights(items, replace(model, consensus_method="majority_vote"))
    model = replace(model, majority_weights=weights, weights=weights)
    if options.consensus_method == "majority_vote":
        return model
    return replace(model, weights=_weights(items, model))


def sum_thresholds(items: GatheredItems, model: MultiannotatorModel) -> ThresholdSums:
    """Return what adjusted scores are adjusted by; one pass."""
    model = model.unnamed()

    def partial(batch: ItemBatch) -> ThresholdSums:
        labelled = model.items_of(batch.annotations, batch.pred_probs, batch.ids)
        return labelled.threshold_sums(model.consensus(labelled), model.weights)

    return items.reduce(partial, merge_thresholds)


def _weights(items: GatheredItems, model: MultiannotatorModel) -> CrowdlabWeights:
    """Return the weights under the consensus of a model; one pass."""
    model = model.unnamed()

    def partial(batch: ItemBatch) -> ConsensusCounts:
        labelled = model.items_of(batch.annotations, batch.pred_probs, batch.ids)
        return labelled.consensus_counts(model.consensus(labelled))

    return finish_consensus(items.reduce(partial, merge_consensus), model.votes)


def _temperatures(items: GatheredItems, options: ConsensusOptions) -> tuple[float | None, ...]:
    n_models = len(items.probabilities)
    if not options.calibrate_probs:
        return (None,) * n_models
    best = _best_of(items, [COARSE_TEMPERATURES] * n_models, options.cleanlab_compatible)
    grids = [fine_temperatures(place) for place in best]
    places = _best_of(items, grids, options.cleanlab_compatible)
    return tuple(grid[place] for grid, place in zip(grids, places, strict=True))


def _best_of(
    items: GatheredItems, grids: Sequence[Sequence[float]], cleanlab_compatible: bool
) -> list[int]:
    """Return the place of the best temperature in each model's grid; one pass."""

    def partial(batch: ItemBatch) -> list[TemperatureLosses]:
        votes = count_votes(batch.annotations)
        losses = functools.partial(
            partial_losses, batch.annotations, votes, cleanlab_compatible=cleanlab_compatible
        )
        return [losses(probs, grid) for probs, grid in zip(batch.pred_probs, grids, strict=True)]

    def merge(a: list[TemperatureLosses], b: list[TemperatureLosses]) -> list[TemperatureLosses]:
        return [merge_losses(*pair) for pair in zip(a, b, strict=True)]

    return [finish_losses(losses) for losses in items.reduce(partial, merge)]

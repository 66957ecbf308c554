"""The batch functions that rate items and annotators: Arrow arrays in, Arrow arrays out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.types import ArrayType, DoubleType, IntegerType, LongType, StructField, StructType

from lq_spark.core.multiannotator.annotations import Annotations
from lq_spark.core.multiannotator.annotators import (
    AnnotatorSums,
    finish_annotators,
    partial_annotators,
)
from lq_spark.core.multiannotator.consensus import ThresholdSums
from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.multiannotator.columns import CODE_BITS
from lq_spark.tasks.multiannotator.reader import ItemReader
from lq_spark.tasks.shared.batches import list_array

CONSENSUS, QUALITY, AGREEMENT, N_LABELS, LABEL_QUALITIES = (
    f"__lq_{name}" for name in ("consensus", "quality", "agreement", "n_labels", "label_qualities")
)
RATED_SCHEMA = StructType(
    [
        StructField(CONSENSUS, IntegerType()),
        StructField(QUALITY, DoubleType()),
        StructField(AGREEMENT, DoubleType()),
        StructField(N_LABELS, IntegerType()),
        StructField(LABEL_QUALITIES, ArrayType(DoubleType())),
    ]
)

SUMS_SCHEMA = StructType(
    [StructField(field.name, LongType(), False) for field in fields(AnnotatorSums)]
)

ANNOTATOR_QUALITY, AGREEMENT_WITH_CONSENSUS = "annotator_quality", "agreement_with_consensus"
WORST_CLASS, N_LABELLED = "worst_class", "num_examples_labeled"
ANNOTATOR_WEIGHT = "annotator_weight"
ANNOTATOR_SCHEMA = StructType(
    [
        StructField(ANNOTATOR_QUALITY, DoubleType()),
        StructField(AGREEMENT_WITH_CONSENSUS, DoubleType()),
        StructField(WORST_CLASS, IntegerType()),
        StructField(N_LABELLED, LongType()),
        StructField(ANNOTATOR_WEIGHT, DoubleType()),
    ]
)


def rate_batch(
    reader: ItemReader, model: MultiannotatorModel, method: str, thresholds: ThresholdSums | None
) -> BatchFunction:
    """Return gathered columns -> consensus, its quality, the qualities of the labels.

    What cannot be scored gets nulls, where the reader does not fail it.
    """

    def run(*columns: pa.Array) -> dict[str, pa.Array]:
        batch, n_rows = reader.read(columns), len(columns[0])
        items = model.items_of(batch.annotations, batch.pred_probs, batch.ids)
        rated = items.rated(model.consensus(items), model.weights, method, thresholds)
        n_labels = batch.annotations.sizes

        def placed(values: NDArray[np.generic], kind: pa.DataType) -> pa.Array:
            return scattered(values, batch.rows, n_rows).cast(kind)

        qualities = scattered(
            rated.label_quality, np.flatnonzero(batch.usable_labels), len(batch.usable_labels)
        )
        return {
            CONSENSUS: placed(rated.consensus, pa.int32()),
            QUALITY: placed(rated.quality, pa.float64()),
            AGREEMENT: placed(rated.agreement, pa.float64()),
            N_LABELS: placed(n_labels, pa.int32()),
            LABEL_QUALITIES: list_array(qualities, batch.offsets),
        }

    return run


def scattered(values: NDArray[np.generic], rows: NDArray[np.int64], n_rows: int) -> pa.Array:
    """Return ``n_rows`` values: those given at ``rows``, null elsewhere."""
    whole = np.zeros(n_rows, dtype=values.dtype)
    whole[rows] = values
    if len(rows) == n_rows:
        return pa.array(whole)
    missing = np.ones(n_rows, dtype=bool)
    missing[rows] = False
    return pa.array(whole, mask=missing)


def sum_batch(n_annotators: int, n_classes: int) -> Callable[[pa.RecordBatch], AnnotatorSums]:
    """Return (labels, consensus, quality, label qualities) of rated items -> sums of annotators."""

    def run(batch: pa.RecordBatch) -> AnnotatorSums:
        labels, consensus, quality, qualities = batch.columns
        given, of_labels = flat_lists(labels), flat_lists(qualities).values
        usable_labels = np.asarray(of_labels.is_valid())
        packed = given.values.to_numpy()[usable_labels]
        item = given.rows[usable_labels]
        counts = np.bincount(item, minlength=batch.num_rows)
        rated = counts > 0
        annotations = Annotations(
            packed >> CODE_BITS,
            packed & ((1 << CODE_BITS) - 1),
            np.append(0, np.cumsum(counts[rated])),
            n_annotators,
            n_classes,
        )
        return partial_annotators(
            annotations,
            _numbers(consensus, rated).astype(np.int64),
            _numbers(quality, rated),
            _numbers(of_labels, usable_labels),
        )

    return run


def _numbers(column: pa.Array, present: NDArray[np.bool_]) -> Float64:
    """Return the values of a column that has nulls elsewhere."""
    return np.asarray(column if present.all() else column.drop_null())


def sum_rows(sums: AnnotatorSums) -> pa.RecordBatch:
    """Return sums of annotators as rows."""
    return pa.RecordBatch.from_arrays(
        [pa.array(column) for column in astuple(sums)], names=SUMS_SCHEMA.names
    )


def annotator_batch(model: MultiannotatorModel) -> BatchFunction:
    """Return (all sums of an annotator) -> what is known of it, for some annotators at a time."""
    n_classes, weights = model.n_classes, model.weights

    def run(sums: pa.Array) -> dict[str, pa.Array]:
        lists = flat_lists(sums)
        keys, *columns = (np.asarray(lists.values.field(name)) for name in SUMS_SCHEMA.names)
        annotators, classes = np.divmod(keys, n_classes)
        here = lists.rows * n_classes + classes
        table = finish_annotators(AnnotatorSums(here, *columns), len(sums), n_classes, weights)
        own = annotators[lists.offsets[1:] - 1]
        return {
            ANNOTATOR_QUALITY: pa.array(table.quality, mask=np.isnan(table.quality)),
            AGREEMENT_WITH_CONSENSUS: pa.array(table.agreement),
            WORST_CLASS: pa.array(table.worst_class.astype(np.int32)),
            N_LABELLED: pa.array(table.num_labels),
            ANNOTATOR_WEIGHT: (
                pa.nulls(len(own), pa.float64())
                if weights is None
                else pa.array(weights.annotators[own])
            ),
        }

    return run

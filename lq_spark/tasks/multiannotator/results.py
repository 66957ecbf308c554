"""Rated items, and the tables made of them: of items, of annotations, of annotators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.multiannotator.annotators import merge_annotators
from lq_spark.core.multiannotator.consensus import ThresholdSums
from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.engine.inputs import column_type
from lq_spark.engine.verbs import reduce_partitions, with_mapped
from lq_spark.tasks.multiannotator.batches import (
    AGREEMENT,
    AGREEMENT_WITH_CONSENSUS,
    ANNOTATOR_QUALITY,
    ANNOTATOR_SCHEMA,
    ANNOTATOR_WEIGHT,
    CONSENSUS,
    LABEL_QUALITIES,
    N_LABELLED,
    N_LABELS,
    QUALITY,
    RATED_SCHEMA,
    SUMS_SCHEMA,
    WORST_CLASS,
    annotator_batch,
    rate_batch,
    sum_batch,
    sum_rows,
)
from lq_spark.tasks.multiannotator.columns import (
    CODE_BITS,
    IS_ITEM,
    ITEM,
    LABELS,
    NAME,
    NUMBER,
    AnnotationTables,
    numbered,
)
from lq_spark.tasks.multiannotator.passes import GatheredItems
from lq_spark.tasks.shared.names import LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

CONSENSUS_LABEL, CONSENSUS_QUALITY = "consensus_label", "consensus_quality_score"
ANNOTATOR_AGREEMENT, NUM_ANNOTATIONS = "annotator_agreement", "num_annotations"
ITEM_COLUMNS = (CONSENSUS_LABEL, CONSENSUS_QUALITY, ANNOTATOR_AGREEMENT, NUM_ANNOTATIONS)


def rated_items(
    items: GatheredItems, model: MultiannotatorModel, method: str, thresholds: ThresholdSums | None
) -> DataFrame:
    """Return one row an item: its labels, its consensus, the qualities of both. Lazy."""
    function = rate_batch(items.reader, model.unnamed(), method, thresholds)
    return with_mapped(
        items.rows, function, items.inputs, RATED_SCHEMA, keep=[ITEM, IS_ITEM, LABELS]
    )


@dataclass(frozen=True, eq=False, repr=False)
class MultiannotatorScores(Displayed):
    """The quality of items, of their annotations and of the annotators. All tables are lazy.

    Each of the three is made of ``rated``: persist that one where more than one is read.

    Attributes
    ----------
    rated : DataFrame
        One row an item, its labels and their qualities in arrays.
    model : MultiannotatorModel
        What the annotators and models count.
    tables : AnnotationTables
    names : tuple of int or str
        Of the annotators, in the order of their numbers: those of the model first.
    """

    rated: DataFrame
    model: MultiannotatorModel
    tables: AnnotationTables
    names: tuple[Any, ...]

    @property
    def items(self) -> DataFrame:
        """Return one row an item.

        The item, ``consensus_label`` (in the label's type), ``consensus_quality_score`` and
        ``annotator_agreement`` (double: 1 clean, 0 suspect), ``num_annotations``; nulls where the
        item cannot be scored.
        """
        return self.rated.where(IS_ITEM).select(
            self._item(),
            self.tables.as_label(F.col(CONSENSUS)).alias(CONSENSUS_LABEL),
            F.col(QUALITY).alias(CONSENSUS_QUALITY),
            F.col(AGREEMENT).alias(ANNOTATOR_AGREEMENT),
            F.col(N_LABELS).alias(NUM_ANNOTATIONS),
        )

    @property
    def annotations(self) -> DataFrame:
        """Return one row an annotation.

        The item, the annotator, the label (null where it is no class), and ``label_quality`` (1
        clean, 0 suspect; null where the annotation cannot be scored).
        """
        pairs = F.explode(F.arrays_zip(LABELS, LABEL_QUALITIES)).alias("pair")
        packed = F.col(f"pair.{LABELS}")
        code = packed.bitwiseAND(F.lit((1 << CODE_BITS) - 1))
        index = F.when(code < self.model.n_classes, code)
        found = self.rated.select(ITEM, pairs).select(
            ITEM,
            F.shiftright(packed, CODE_BITS).alias(NUMBER),
            index.alias("index"),
            F.col(f"pair.{LABEL_QUALITIES}").alias(LABEL_QUALITY),
        )
        return found.join(self._names(), NUMBER, "left").select(
            self._item(),
            F.col(NAME).alias(self.tables.annotator),
            self.tables.as_label(F.col("index")).alias(self.tables.label),
            LABEL_QUALITY,
        )

    @property
    def annotators(self) -> DataFrame:
        """Return one row an annotator.

        The annotator, ``annotator_quality`` (1 good, 0 bad; null for one who labelled no item that
        others did), ``agreement_with_consensus``, ``worst_class`` (in the label's type),
        ``num_examples_labeled``, ``annotator_weight`` (null where the quality is the agreement).
        """
        n_annotators, n_classes = len(self.model.annotators), self.model.n_classes
        sums = reduce_partitions(
            self.rated.where(IS_ITEM).select(LABELS, CONSENSUS, QUALITY, LABEL_QUALITIES),
            sum_batch(n_annotators, n_classes),
            merge_annotators,
            sum_rows,
            SUMS_SCHEMA,
        )
        key, *others = SUMS_SCHEMA.names
        pairs = sums.groupBy(key).agg(*(F.sum(name).alias(name) for name in others))
        number = F.floor(F.col(key) / F.lit(n_classes)).alias(NUMBER)
        rows = pairs.groupBy(number).agg(
            F.sort_array(F.collect_list(F.struct(*SUMS_SCHEMA.names))).alias("sums")
        )
        function = annotator_batch(self.model.unnamed())
        known = with_mapped(rows, function, [F.col("sums")], ANNOTATOR_SCHEMA, keep=[NUMBER])
        return known.join(self._names(), NUMBER).select(
            F.col(NAME).alias(self.tables.annotator),
            ANNOTATOR_QUALITY,
            AGREEMENT_WITH_CONSENSUS,
            self.tables.as_label(F.col(WORST_CLASS)).alias(WORST_CLASS),
            N_LABELLED,
            ANNOTATOR_WEIGHT,
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": self.model.n_classes,
            "annotators": len(self.model.annotators),
            "models": self.model.n_models,
            "lazy tables": "items, annotations, annotators",
        }

    def _tables(self) -> list[SmallTable]:
        return self.model._tables()

    def _item(self) -> Column:
        kind = column_type(self.tables.items, self.tables.item)
        return F.col(ITEM).cast(kind).alias(self.tables.item)

    def _names(self) -> DataFrame:
        return numbered(self.tables, self.names)

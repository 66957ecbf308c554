"""ActiveLab: which items to have labelled next, those with labels once more among them.

Two tables, as for :mod:`lq_spark.tasks.multiannotator`; an item without annotations is one that
nobody labelled yet. :func:`score` reads the gathered items once for the votes and, where an item
has several labels, twice for temperatures and twice for weights; the scores are lazy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StringType, StructField, StructType

from lq_spark.core.activelab.api import equal_weights
from lq_spark.core.multiannotator.crowdlab import CrowdlabWeights
from lq_spark.core.multiannotator.majority import VoteCounts, finish_votes, merge_votes
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.core.shared.display import Displayed
from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.rank import ranked
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import OptionError, require_one_of
from lq_spark.tasks.activelab.batches import (
    ACTIVE_SCHEMA,
    SCORE,
    ActiveModel,
    active_batch,
    count_model_votes,
)
from lq_spark.tasks.multiannotator.batches import CONSENSUS, N_LABELS
from lq_spark.tasks.multiannotator.checks import (
    MultiannotatorChecks,
    checked_annotations,
    require_unchecked,
)
from lq_spark.tasks.multiannotator.columns import (
    IS_ITEM,
    ITEM,
    AnnotationTables,
    annotation_n_classes,
    annotation_tables,
    gathered,
    require_unique_items,
)
from lq_spark.tasks.multiannotator.options import ConsensusOptions
from lq_spark.tasks.multiannotator.passes import GatheredItems, counted_items, fit_annotators
from lq_spark.tasks.multiannotator.reader import ItemReader
from lq_spark.tasks.multiannotator.results import CONSENSUS_LABEL, NUM_ANNOTATIONS
from lq_spark.tasks.shared.probabilities import ModelProbs
from lq_spark.tasks.shared.streams import refuse_streams

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


ACTIVE_LEARNING_SCORE, ACTIVE_LEARNING_RANK = "active_learning_score", "active_learning_rank"
VALIDATE = "activelab.validate"


@dataclass(frozen=True, eq=False, repr=False)
class ActiveScores(Displayed):
    """How well each item is known.

    Attributes
    ----------
    items : DataFrame
        Lazy, one row an item: the item, ``active_learning_score`` (0 have it labelled next, 1 leave
        it; null where it cannot be scored), ``num_annotations`` (0: unlabelled) and
        ``consensus_label`` (null where there is no label).
    item : str
        Column that tells the items apart.
    weights : CrowdlabWeights
        Of the annotators, in the order of their names, and of the models.
    """

    items: DataFrame
    item: str
    weights: CrowdlabWeights

    def batch(self, n: int) -> DataFrame:
        """Return the n items to have labelled next, the most urgent first; ties by item. Lazy."""
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise OptionError(f"n must be a whole number of at least 1, got {n!r}")
        score = F.col(ACTIVE_LEARNING_SCORE)
        return self.items.where(score.isNotNull()).orderBy(score, column(self.item)).limit(n)

    def ranked(self) -> DataFrame:
        """Return all items that can be scored with ``active_learning_rank``: 1 to be labelled next.

        Ties by item. Reads the items once now.
        """
        rows = self.items.select(
            F.struct(*map(column, self.items.columns)).alias("row"),
            F.col(ACTIVE_LEARNING_SCORE).alias("value"),
            column(self.item).alias("key"),
        )
        found = ranked(rows.where(F.col("value").isNotNull()))
        return found.select("row.*", F.col("rank").alias(ACTIVE_LEARNING_RANK))

    def _facts(self) -> dict[str, Any]:
        return {
            "annotators": len(self.weights.annotators),
            "models": len(self.weights.models),
            "agreement": self.weights.agreement,
            "lazy table": "items",
        }


def score(
    annotations: DataFrame | None,
    items: DataFrame,
    *,
    item: str = "item",
    annotator: str = "annotator",
    label: str = "label",
    pred_probs: ModelProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    on_invalid: str = "fail",
    tolerance: float = SUM_TOLERANCE,
    cleanlab_compatible: bool = False,
) -> ActiveScores:
    """Return how well each item is known, labelled or not, on one scale.

    What the annotators and models count is found now; the scores are lazy. They equal those of
    :func:`lq_spark.core.activelab.get_active_learning_scores_ensemble`, whatever the partitions.

    Parameters
    ----------
    annotations : DataFrame or None
        One row a label; None: nobody labelled anything.
    items : DataFrame
        One row an item, labelled or not.
    item, annotator, label, pred_probs, classes, n_classes, on_invalid, tolerance
        As for :func:`lq_spark.multiannotator.score`.
    cleanlab_compatible : bool
        As for :func:`lq_spark.core.activelab.get_active_learning_scores`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If there is no item, or fewer than 2 annotators where an item has several labels.
    InvalidRowsError
        If an item is null or there twice, or something cannot be scored and is to fail.

    Notes
    -----
    Source: Goh and Mueller, "ActiveLab" (2023), arXiv:2301.11856.
    """
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    require_tolerance(tolerance)
    refuse_streams("activelab.score", annotations, items)
    tables = _tables(annotations, items, item, annotator, label, pred_probs, classes)
    n_classes = annotation_n_classes(tables, n_classes)
    require_unique_items(tables, VALIDATE)
    reader = ItemReader(
        0, n_classes, tolerance, on_invalid == "fail", needs_labels=False, validate=VALIDATE
    )
    with counted_items(tables, reader) as (found, counts, names):
        model = active_model(found, counts, names, cleanlab_compatible=cleanlab_compatible)
    rows = GatheredItems(gathered(tables, names), found.probabilities, found.reader)
    scored = with_mapped(
        rows.rows,
        active_batch(rows.reader, model),
        rows.inputs,
        ACTIVE_SCHEMA,
        keep=[ITEM, IS_ITEM],
    )
    scores = scored.where(IS_ITEM).select(
        F.col(ITEM).cast(column_type(items, item)).alias(item),
        F.col(SCORE).alias(ACTIVE_LEARNING_SCORE),
        F.col(N_LABELS).alias(NUM_ANNOTATIONS),
        tables.as_label(F.col(CONSENSUS)).alias(CONSENSUS_LABEL),
    )
    return ActiveScores(scores, item, model.weights)


def validate(
    annotations: DataFrame | None,
    items: DataFrame,
    *,
    item: str = "item",
    annotator: str = "annotator",
    label: str = "label",
    pred_probs: ModelProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    tolerance: float = SUM_TOLERANCE,
) -> MultiannotatorChecks:
    """Return both tables with ``invalid_reason``: why a row cannot be scored, else null. Lazy.

    As :func:`lq_spark.multiannotator.validate`, but an item needs no annotation.
    """
    require_tolerance(tolerance)
    refuse_streams("activelab.validate", annotations, items)
    tables = _tables(annotations, items, item, annotator, label, pred_probs, classes)
    require_unchecked(tables)
    n_classes = annotation_n_classes(tables, n_classes)
    return checked_annotations(tables, n_classes, tolerance, needs_labels=False)


def _tables(
    annotations: DataFrame | None,
    items: DataFrame,
    item: str,
    annotator: str,
    label: str,
    pred_probs: ModelProbs,
    classes: Sequence[str] | None,
) -> AnnotationTables:
    """Return the checked tables; without annotations, with a table that has none."""
    if annotations is None:
        require_columns(items, item=item)
        schema = StructType(
            [
                StructField(item, column_type(items, item)),
                StructField(annotator, StringType()),
                StructField(label, IntegerType()),
            ]
        )
        annotations = items.sparkSession.createDataFrame([], schema)
    return annotation_tables(annotations, items, item, annotator, label, pred_probs, classes)


def active_model(
    items: GatheredItems,
    counts: VoteCounts,
    names: Sequence[Any],
    *,
    cleanlab_compatible: bool = False,
) -> ActiveModel:
    """Return what all items say, labelled or not.

    Parameters
    ----------
    items : GatheredItems
    counts : VoteCounts
        What their labels say.
    names : sequence of int or str
        Of the annotators, those that gave a label first.
    """
    votes = None
    if len(items.probabilities) > 1:
        of_models = items.reduce(count_model_votes, merge_votes)
        votes = finish_votes(of_models) if of_models.n_items else None
    fitted = None
    if counts.n_single < counts.n_items:
        options = ConsensusOptions(calibrate_probs=True, cleanlab_compatible=cleanlab_compatible)
        fitted = fit_annotators(items, counts, names[: items.reader.n_annotators], None, options)
    if fitted is not None and fitted.weights is not None:
        return ActiveModel(fitted.unnamed(), fitted.weights, votes)
    weights = equal_weights(max(items.reader.n_annotators, 1), len(items.probabilities))
    return ActiveModel(None, weights, votes)

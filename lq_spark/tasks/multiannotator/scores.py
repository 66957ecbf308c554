"""Many annotators: consensus labels, and the quality of them, of each label, of each annotator.

Two tables: annotations, one row a label that an annotator gave an item, and items with predicted
probabilities. :func:`fit` gathers them, one row an item, and reads those once for the votes, twice
for temperatures (if asked), and once or twice for the weights; :func:`score` reads them once more,
lazily. The mathematics is in lq_spark.core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.errors import require_one_of
from lq_spark.tasks.multiannotator.checks import (
    MultiannotatorChecks,
    checked_annotations,
    require_unchecked,
)
from lq_spark.tasks.multiannotator.columns import (
    AnnotationTables,
    annotation_n_classes,
    annotation_tables,
    annotator_names,
    gathered,
    probability_columns,
    require_unique_items,
)
from lq_spark.tasks.multiannotator.options import ConsensusOptions, require_fitted_for
from lq_spark.tasks.multiannotator.passes import (
    GatheredItems,
    counted_items,
    fit_annotators,
    sum_thresholds,
)
from lq_spark.tasks.multiannotator.reader import ItemReader
from lq_spark.tasks.multiannotator.results import MultiannotatorScores, rated_items
from lq_spark.tasks.shared.classes import agreed_classes, require_kind
from lq_spark.tasks.shared.probabilities import ModelProbs
from lq_spark.tasks.shared.streams import refuse_streams

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

VALIDATE = "multiannotator.validate"


def fit(
    annotations: DataFrame,
    items: DataFrame,
    *,
    item: str = "item",
    annotator: str = "annotator",
    label: str = "label",
    pred_probs: ModelProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    consensus_method: str = "best_quality",
    quality_method: str = "crowdlab",
    calibrate_probs: bool = False,
    on_invalid: str = "fail",
    tolerance: float = SUM_TOLERANCE,
    cleanlab_compatible: bool = False,
) -> MultiannotatorModel:
    """Return how much each annotator and each model counts. Runs now.

    The result can be saved, and applied to other items by :func:`score`; it does not depend, to the
    bit, on how the tables are partitioned.

    Parameters
    ----------
    annotations : DataFrame
        One row a label.
    items : DataFrame
        One row an item.
    item : str
        Column of both tables that tells items apart.
    annotator, label : str
        Columns of the annotations: who gave the label, a whole number or a string; the class, a
        whole number 0..K-1 or one of ``classes``.
    pred_probs : str or sequence of str or of sequences of str
        Columns of the items: the K out-of-sample predicted probabilities of each of M models, in
        the forms as for :func:`lq_spark.multiclass.score`; a column a class is a list in the list.
    classes : sequence of str, optional
        Class names in the order of the probabilities; needed where labels are strings.
    n_classes : int, optional
        K. Where neither it nor classes say it, the first item does (a small Spark job).
    consensus_method : {"best_quality", "majority_vote"}
        The consensus: the class of the highest quality, or the most frequent label. Ties of the
        majority are broken by the models, the rarity of the class, the annotators, and last by a
        hash of the item.
    quality_method : {"crowdlab", "agreement"}
        Annotators and models together, or the share of the labels that agree.
    calibrate_probs : bool
        Whether to scale the probabilities first by the temperature that fits the labels best; reads
        the items twice more.
    on_invalid : {"fail", "null"}
        What to do with an annotation or item that cannot be scored: fail, or leave it out.
    tolerance : float
        How far an item's probabilities may sum from 1, and one of them exceed 1.
    cleanlab_compatible : bool
        As for :func:`lq_spark.core.multiannotator.get_label_quality_multiannotator`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If each item has one label, there is no item, or fewer than 2 annotators.
    InvalidRowsError
        If an item is null or there twice, or something cannot be scored and is to fail.

    Notes
    -----
    Source: Goh, Tkachenko, Mueller, "CROWDLAB" (2022), arXiv:2210.06812.
    """
    options = ConsensusOptions(
        consensus_method, quality_method, calibrate_probs, cleanlab_compatible
    )
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    require_tolerance(tolerance)
    refuse_streams("multiannotator.fit", annotations, items)
    tables = annotation_tables(annotations, items, item, annotator, label, pred_probs, classes)
    n_classes = annotation_n_classes(tables, n_classes)
    require_unique_items(tables, VALIDATE)
    model, _ = _fitted(tables, n_classes, options, fail=on_invalid == "fail", tolerance=tolerance)
    return model


def score(
    annotations: DataFrame,
    items: DataFrame,
    *,
    item: str = "item",
    annotator: str = "annotator",
    label: str = "label",
    pred_probs: ModelProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    consensus_method: str = "best_quality",
    quality_method: str = "crowdlab",
    calibrate_probs: bool = False,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    fitted: MultiannotatorModel | None = None,
    on_invalid: str = "fail",
    tolerance: float = SUM_TOLERANCE,
    cleanlab_compatible: bool = False,
) -> MultiannotatorScores:
    """Return the consensus and quality of items, the quality of annotations and annotators.

    What the annotators and models count is found now; the three tables are lazy.

    Parameters
    ----------
    annotations, items, item, annotator, label, pred_probs, classes, n_classes, \
consensus_method, quality_method, calibrate_probs, tolerance, cleanlab_compatible
        As for :func:`fit`.
    method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
        The score of a label, or a consensus, given the probability of each class.
    adjust_pred_probs : bool
        Whether to correct these probabilities first by thresholds: of the classes for the
        consensus, the annotator's own for a label. Reads the items once more, now.
    fitted : MultiannotatorModel, optional
        What :func:`fit` returned for other items, applied as it is, with its options. An annotation
        by an annotator that it does not know cannot be scored.
    on_invalid : {"fail", "null"}
        What to do with an annotation or item that cannot be scored: fail, or leave it out of the
        consensus and its quality null. An item of which no annotation can be scored is one.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`fit`; OptionError also if fitted has other classes, another K or M, or options for
        fitting are given with it.
    """
    options = ConsensusOptions(
        consensus_method, quality_method, calibrate_probs, cleanlab_compatible
    )
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    require_tolerance(tolerance)
    refuse_streams("multiannotator.score", annotations, items)
    require_method(method, adjust_pred_probs=adjust_pred_probs)
    if fitted is not None:
        options.require_none()
    require_kind("fitted", fitted, MultiannotatorModel)
    classes = agreed_classes(classes, fitted)
    tables = annotation_tables(annotations, items, item, annotator, label, pred_probs, classes)
    fail = on_invalid == "fail"
    if fitted is not None:
        require_fitted_for(tables, fitted)
    n_classes = annotation_n_classes(tables, n_classes, fitted)
    require_unique_items(tables, VALIDATE)
    if fitted is None:
        model, names = _fitted(tables, n_classes, options, fail=fail, tolerance=tolerance)
    else:
        others = set(annotator_names(tables)) - set(fitted.annotators)
        model, names = fitted, (*fitted.annotators, *sorted(others))
    reader = ItemReader(len(model.annotators), n_classes, tolerance, fail)
    rows = GatheredItems(gathered(tables, names), probability_columns(tables), reader)
    thresholds = sum_thresholds(rows, model) if adjust_pred_probs else None
    return MultiannotatorScores(rated_items(rows, model, method, thresholds), model, tables, names)


def validate(
    annotations: DataFrame,
    items: DataFrame,
    *,
    item: str = "item",
    annotator: str = "annotator",
    label: str = "label",
    pred_probs: ModelProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    fitted: MultiannotatorModel | None = None,
    tolerance: float = SUM_TOLERANCE,
) -> MultiannotatorChecks:
    """Return both tables with ``invalid_reason``: why a row cannot be scored, else null. Lazy.

    A row with several faults has one of them as its reason.

    Parameters
    ----------
    annotations, items, item, annotator, label, pred_probs, classes, n_classes, fitted, tolerance
        As for :func:`score`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    require_tolerance(tolerance)
    refuse_streams("multiannotator.validate", annotations, items)
    require_kind("fitted", fitted, MultiannotatorModel)
    classes = agreed_classes(classes, fitted)
    tables = annotation_tables(annotations, items, item, annotator, label, pred_probs, classes)
    require_unchecked(tables)
    if fitted is not None:
        require_fitted_for(tables, fitted)
    known = None if fitted is None else fitted.annotators
    n_classes = annotation_n_classes(tables, n_classes, fitted)
    return checked_annotations(tables, n_classes, tolerance, known=known)


def _fitted(
    tables: AnnotationTables,
    n_classes: int,
    options: ConsensusOptions,
    *,
    fail: bool,
    tolerance: float,
) -> tuple[MultiannotatorModel, tuple[Any, ...]]:
    """Return the model, and all annotators' names, the model's first."""
    reader = ItemReader(0, n_classes, tolerance, fail)
    with counted_items(tables, reader) as (items, counts, names):
        known = names[: items.reader.n_annotators]
        return fit_annotators(items, counts, known, tables.classes, options), names

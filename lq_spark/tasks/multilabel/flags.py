"""Which cells of a table of label sets are issues: what is asked for, the passes, the lazy result.

What the verbs of :mod:`lq_spark.tasks.multilabel.issues` and the job have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, MapType, StructField, StructType

from lq_spark.core.label_issues.quotas import require_a_number_each
from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.multilabel.cells import CellCounts
from lq_spark.core.multilabel.cuts import search_cuts
from lq_spark.core.multilabel.model import MultilabelModel, calibrated_joints, with_diagonals
from lq_spark.core.multilabel.rules import cell_order, cell_quotas
from lq_spark.core.multilabel.scores import DEFAULT_AGGREGATOR, aggregator_of
from lq_spark.core.multilabel.sets import Bits
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.inputs import column, column_type, require_key
from lq_spark.engine.kept import kept
from lq_spark.engine.select import Cut, lowest_cuts, take
from lq_spark.engine.small_tables import small_table
from lq_spark.engine.verbs import by_workers, with_mapped
from lq_spark.tasks.multilabel.batches import (
    CELLS,
    ORDER,
    Scoring,
    issue_function,
    order_function,
    usable_sets_batch,
)
from lq_spark.tasks.multilabel.columns import LabelSetTable, label_set_table
from lq_spark.tasks.multilabel.passes import KeyedCuts, counted_cells, fitted_thresholds, found_cuts
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE
from lq_spark.tasks.shared.probabilities import PredProbs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_KEYS = "__lq_keys"


@dataclass(frozen=True)
class IssueOptions:
    """What is asked for of a table, checked: its columns, a rule, a model, a score.

    Attributes
    ----------
    id : str
    table : LabelSetTable
    rule : Rule
    by_row : bool
        Whether a low_* rule judges rows, not cells.
    fitted : MultilabelModel or None
    method : str
    adjust_pred_probs : bool
    aggregator_kwargs : mapping
    """

    id: str
    table: LabelSetTable
    rule: Rule
    by_row: bool
    fitted: MultilabelModel | None
    method: str
    adjust_pred_probs: bool
    aggregator_kwargs: Mapping[str, Any]


def issue_options(
    df: DataFrame,
    *,
    by_row: bool,
    id: str = "id",
    labels: str = "labels",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    fitted: MultilabelModel | None = None,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    aggregator_kwargs: Mapping[str, Any] = DEFAULT_AGGREGATOR,
) -> IssueOptions:
    """Return what :func:`lq_spark.multilabel.find_issues` is asked for, or raise what it raises."""
    rule = Rule(filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class)
    require_method(method, adjust_pred_probs=adjust_pred_probs)
    aggregator_of(aggregator_kwargs)
    require_key(df, "id", id)
    table = label_set_table(
        df,
        labels=labels,
        pred_probs=pred_probs,
        classes=classes,
        n_classes=n_classes,
        fitted=fitted,
    )
    require_a_number_each(num_to_remove_per_class, table.n_classes)
    by_row = by_row and rule.is_low_score
    return IssueOptions(
        id, table, rule, by_row, fitted, method, adjust_pred_probs, aggregator_kwargs
    )


@dataclass(frozen=True)
class PassResults:
    """What the passes over a table have found.

    Attributes
    ----------
    thresholds : ndarray of float64, shape (K, 2), or None
    counts : CellCounts or None
    quotas : ndarray of int64, shape (K, 2)
        Cells of each group to prune.
    cuts : KeyedCuts or None
        Of a rule that orders cells.
    row_cuts : mapping of int to Cut
        Of a rule that orders rows.
    """

    thresholds: Float64 | None
    counts: CellCounts | None
    quotas: NDArray[np.int64]
    cuts: KeyedCuts | None = None
    row_cuts: Mapping[int, Cut] = field(default_factory=dict)


def run_passes(df: DataFrame, options: IssueOptions, *, count: bool = False) -> PassResults:
    """Run the passes that a rule needs; ``count`` has the cells counted whatever the rule.

    Raises
    ------
    InvalidRowsError
        If a row cannot be scored.
    OptionError
        If a number to remove exceeds the rows that are given the class.
    """
    rule, table, fitted = options.rule, options.table, options.fitted
    orders = rule.prunes or rule.is_low_score
    none = np.zeros((table.n_classes, 2), dtype=np.int64)
    thresholds = None if fitted is None else fitted.thresholds
    needed = rule.filter_by != "predicted_neq_given" or options.adjust_pred_probs or count
    if thresholds is None and needed:
        thresholds = fitted_thresholds(df, table)
    if thresholds is None or not (orders or count):
        return PassResults(thresholds, None, none)
    counts = counted_cells(
        df, table, thresholds, order=cell_order(rule) if orders and not options.by_row else None
    )
    if options.by_row:
        return PassResults(
            thresholds, counts, none, row_cuts=_row_cuts(df, options, counts.n_issue_rows)
        )
    if not orders:
        return PassResults(thresholds, counts, none)
    model = fitted or MultilabelModel.of_counts(thresholds, counts)
    joints = calibrated_joints(with_diagonals(model.confident_counts), counts.class_counts)
    quotas = cell_quotas(rule, joints, counts.class_counts)
    rule.warn_of_small_classes(counts.class_counts[:, 1], table.classes, stacklevel=4)
    cuts = found_cuts(df, table, options.id, search_cuts(counts, rule, quotas))
    return PassResults(thresholds, counts, quotas, cuts)


def _row_cuts(df: DataFrame, options: IssueOptions, n_issue_rows: int) -> dict[int, Cut]:
    table = options.table
    function, schema = order_function(aggregator_of({}))
    batch = usable_sets_batch(function, table.n_classes, table.classes, fail=True)
    narrow = by_workers(with_mapped(df, batch, table.inputs, schema, keep=[options.id])).select(
        F.lit(0).alias("group"), F.col(ORDER).alias("value"), column(options.id).alias("key")
    )
    with kept(narrow) as rows:
        return lowest_cuts(rows, {0: n_issue_rows})


def with_issues(
    df: DataFrame, options: IssueOptions, results: PassResults, keep: Sequence[str] | None = None
) -> DataFrame:
    """Return the table with is_label_issue, label_quality and the cells that are issues. Lazy.

    The cells are an array of :data:`lq_spark.tasks.multilabel.batches.CELL_TYPE`. ``keep`` are the
    columns to keep before them; all where not given.
    """
    table, cuts = options.table, results.cuts
    judges_by = results.thresholds if options.rule.filter_by == "confident_learning" else None
    scoring = Scoring(
        options.method,
        results.thresholds if options.adjust_pred_probs else None,
        aggregator_of(options.aggregator_kwargs),
    )
    function, schema = issue_function(None if cuts is None else cuts.cuts, judges_by, scoring)
    if options.by_row:
        order, order_schema = order_function(aggregator_of({}))
        first = function

        def function(is_given: Bits, pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
            return {**first(is_given, pred_probs), **order(is_given, pred_probs)}

        schema = StructType([*schema.fields, *order_schema.fields])
    batch = usable_sets_batch(function, table.n_classes, table.classes, fail=True)
    found = by_workers(with_mapped(df, batch, table.inputs, schema, keep=keep))
    if options.by_row:
        return _taken_rows(found, options.id, results.row_cuts)
    if cuts is not None and cuts.keys:
        found = _told_apart(found, options.id, cuts.keys)
    return found.withColumn(IS_LABEL_ISSUE, F.size(CELLS) > 0)


def _taken_rows(df: DataFrame, id: str, cuts: Mapping[int, Cut]) -> DataFrame:
    taken = take(
        df,
        cuts,
        IS_LABEL_ISSUE,
        group=F.lit(0),
        value=F.col(ORDER),
        key=column(id),
        key_type=column_type(df, id),
    )
    return taken.withColumn(CELLS, F.filter(CELLS, lambda cell: F.col(IS_LABEL_ISSUE))).drop(ORDER)


def _told_apart(df: DataFrame, id: str, keys: Mapping[int, Any]) -> DataFrame:
    """Return the table without the cells at a cut whose row's key lies above the cut's."""
    key_map = MapType(LongType(), column_type(df, id))
    schema = StructType([StructField(_KEYS, key_map)])
    one_row = small_table(df.sparkSession, [(dict(keys),)], schema)

    def is_issue(cell: Any) -> Any:
        return cell["tied"].isNull() | (column(id) <= F.element_at(F.col(_KEYS), cell["tied"]))

    joined = df.crossJoin(one_row.hint("broadcast"))
    return joined.withColumn(CELLS, F.filter(CELLS, is_issue)).drop(_KEYS)

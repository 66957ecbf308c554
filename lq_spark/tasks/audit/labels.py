"""The checks of an audit that look at labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, StructField, StructType

from lq_spark.core.audit.votes import neighbor_votes
from lq_spark.core.health.tables import dataset_health
from lq_spark.core.imbalance.classes import THRESHOLD as RARE
from lq_spark.core.imbalance.classes import finish_imbalance
from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multiclass.scores import require_method
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction, column_input
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import DataError, require_number
from lq_spark.tasks import multilabel, regression
from lq_spark.tasks.audit.check import Check, Checked
from lq_spark.tasks.audit.table import AuditTable, rows_of
from lq_spark.tasks.groups.passes import Confidence, Labelled
from lq_spark.tasks.imbalance.counts import with_imbalance
from lq_spark.tasks.multiclass.issues import issues_with_noise
from lq_spark.tasks.neighbors.batches import NEIGHBORS, ROW
from lq_spark.tasks.shared.batches import list_array
from lq_spark.tasks.shared.class_counts import Labels, checked_labels, class_counts
from lq_spark.tasks.shared.names import LABEL_QUALITY, PREDICTED_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame

_GIVEN = "given_label"
_CONFIDENCE = "self-confidence"
"""What the check is known by whose score it is."""

_PROBS, _INDEX, _CLASSES = "__lq_votes", "__lq_index", "__lq_classes"


@dataclass(frozen=True)
class LabelIssue(Check):
    """Labels that are probably wrong, by predicted probabilities or by those of near rows.

    Attributes
    ----------
    filter_by, frac_noise, min_examples_per_class, method, adjust_pred_probs
        As for :func:`lq_spark.multiclass.find_issues`; here classes of no more than 10 rows have
        none flagged.
    """

    name = "label"
    filter_by: str = "prune_by_noise_rate"
    frac_noise: float = 1.0
    min_examples_per_class: int = 10
    method: str = "self_confidence"
    adjust_pred_probs: bool = False

    def __post_init__(self) -> None:
        Rule(self.filter_by, self.frac_noise, None, self.min_examples_per_class)
        require_method(self.method, adjust_pred_probs=self.adjust_pred_probs)

    def missing(self, table: AuditTable) -> str:
        """Return that there are no labels, or nothing that says which are likely."""
        if table.label is None:
            return "a label"
        is_there = table.pred_probs is not None or table.features is not None
        return "" if is_there else "pred_probs or features"

    def column_types(self, table: AuditTable) -> dict[str, str]:
        """Return the types of its columns: labels are as in the table."""
        kind = column_type(table.df, table.label or "").simpleString()
        return {**super().column_types(table), _GIVEN: kind, PREDICTED_LABEL: kind}

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the labels that are probably wrong."""
        by_near_rows = table.pred_probs is None
        found, noise = issues_with_noise(
            _with_votes(table) if by_near_rows else table.labelled(),
            id=table.id,
            label=table.label or "",
            pred_probs=_PROBS if table.pred_probs is None else table.pred_probs,
            classes=table.classes,
            filter_by=self.filter_by,
            frac_noise=self.frac_noise,
            min_examples_per_class=self.min_examples_per_class,
            method=self.method,
            adjust_pred_probs=self.adjust_pred_probs,
            count=True,
        )
        if noise is None:
            raise DataError("the noise of the labels was not counted")
        if not by_near_rows and self.method == "self_confidence" and not self.adjust_pred_probs:
            table.shared(_CONFIDENCE, lambda: self)
        score = dataset_health(noise).overall_label_health_score
        return Checked(_named(found, table, self), score, info=noise)


@dataclass(frozen=True)
class LabelSetIssue(Check):
    """Sets of labels that are probably wrong."""

    name = "label"
    filter_by: str = "prune_by_noise_rate"
    frac_noise: float = 1.0

    def __post_init__(self) -> None:
        Rule(self.filter_by, self.frac_noise)

    def missing(self, table: AuditTable) -> str:
        """Return that there are no labels or no probabilities."""
        return "" if table.label and table.pred_probs is not None else "a label and pred_probs"

    def column_types(self, table: AuditTable) -> dict[str, str]:
        """Return the types of its columns: labels are as in the table."""
        kind = column_type(table.df, table.label or "").simpleString()
        return {**super().column_types(table), _GIVEN: kind, "suggested_labels": kind}

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the sets that are probably wrong."""
        probs = table.pred_probs or ""
        found = multilabel.find_issues(
            table.labelled(),
            id=table.id,
            labels=table.label or "",
            pred_probs=probs,
            classes=table.classes,
            n_classes=table.n_classes,
            filter_by=self.filter_by,
            frac_noise=self.frac_noise,
        )
        return Checked(_named(found, table, self))


@dataclass(frozen=True)
class NumberIssue(Check):
    """Numbers that are probably wrong, by predictions (``pred_probs``).

    Attributes
    ----------
    threshold
        As for :func:`lq_spark.regression.find_issues`.
    """

    name = "label"
    threshold: float | None = None
    further: ClassVar[Mapping[str, str]] = {_GIVEN: "double", PREDICTED_LABEL: "double"}

    def __post_init__(self) -> None:
        if self.threshold is not None:
            require_number("threshold", self.threshold, 0.0)

    def missing(self, table: AuditTable) -> str:
        """Return that there are no labels or no predictions."""
        is_there = table.label and isinstance(table.pred_probs, str)
        return "" if is_there else "a label and pred_probs, the column of predictions"

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the numbers that are probably wrong."""
        found = regression.find_issues(
            table.labelled(),
            id=table.id,
            label=table.label or "",
            prediction=str(table.pred_probs),
            threshold=self.threshold,
        )
        given = column(table.label or "").cast("double")
        return Checked(found.withColumns({self.score: F.col(LABEL_QUALITY), _GIVEN: given}))


@dataclass(frozen=True)
class ClassImbalance(Check):
    """The rows of a class that is too rare.

    Attributes
    ----------
    threshold
        As for :func:`lq_spark.imbalance.find_issues`.
    """

    name = "class_imbalance"
    threshold: float = RARE

    def __post_init__(self) -> None:
        require_number("threshold", self.threshold, 0.0, 1.0)

    def missing(self, table: AuditTable) -> str:
        """Return that there are no labels."""
        return "" if table.label is not None else "a label"

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the rows of the rarest class, if it is too rare."""
        rows = table.columns(table.label)
        labels, counts = counted_classes(table)
        found = finish_imbalance(counts, self.threshold) if counts.any() else None
        score = None if found is None else found.score
        return Checked(with_imbalance(rows, labels, found), score, info=found)


class _Known:
    """Rows that have their self-confidence already."""

    def scored(self, df: DataFrame) -> DataFrame:
        """Return them as they are."""
        return df


def confidence_of(table: AuditTable) -> tuple[DataFrame, Confidence]:
    """Return rows, and what scores them: nothing more where the check of labels has done so."""
    check = table.known(_CONFIDENCE)
    rows = check and table.known(rows_of(check))
    if rows is not None:
        return rows.select(column(table.id), column(check.score).alias(LABEL_QUALITY)), _Known()
    options = table.label or "", table.pred_probs or "", table.classes, table.n_classes
    return table.labelled(), Labelled(*options)


def _named(found: DataFrame, table: AuditTable, check: Check) -> DataFrame:
    """Return rows with label issues, with columns named as those of an audit."""
    return found.withColumnsRenamed({LABEL_QUALITY: check.score, table.label or "": _GIVEN})


def counted_classes(table: AuditTable) -> tuple[Labels, Any]:
    """Return the labels of a table, and the rows of each class."""

    def count() -> tuple[Labels, Any]:
        labels = checked_labels(table.df, table.label or "", table.classes, table.n_classes)
        return labels, class_counts(table.columns(table.label), labels, fail=True)

    return table.shared("class counts", count)


def _with_votes(table: AuditTable) -> DataFrame:
    """Return the id and label of each row, with the shares of the classes among its neighbours."""
    labels, counts = counted_classes(table)
    lists = table.neighbors("euclidean").lists
    by_id = table.columns(table.label).select(
        column(table.id).alias("__lq_neighbor"), labels.index.alias(_INDEX)
    )
    edges = lists.rows.select(ROW, F.explode(NEIGHBORS).alias("__lq_neighbor"))
    votes = (
        edges.join(by_id, "__lq_neighbor").groupBy(ROW).agg(F.collect_list(_INDEX).alias(_CLASSES))
    )
    schema = StructType([StructField(_PROBS, ArrayType(DoubleType()))])
    function = _votes_batch(len(counts))
    shares = with_mapped(votes, function, [column_input(_CLASSES)], schema, keep=[ROW])
    rows = table.columns(table.label)
    # Held: what finds label issues reads it more than once.
    return table.held.hold(rows.join(shares, column(table.id) == column(ROW)).drop(ROW))


def _votes_batch(n_classes: int) -> BatchFunction:
    """Return (classes of neighbours) -> their shares."""

    def run(classes: pa.Array) -> dict[str, pa.Array]:
        lists = flat_lists(classes)
        n = len(lists.lengths)
        indices = values_of(lists.values).reshape(n, -1)
        votes = array_of(neighbor_votes(indices, n_classes).ravel())
        return {_PROBS: list_array(votes, n_classes * np.arange(n + 1))}

    return run

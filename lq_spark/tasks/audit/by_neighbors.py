"""The checks of an audit that look at the nearest rows of each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.duplicates.near import THRESHOLD as NEAR
from lq_spark.core.groups.performance import MIN_CLUSTER_SAMPLES
from lq_spark.core.groups.performance import THRESHOLD as WEAK
from lq_spark.core.neighbors.vectors import require_k
from lq_spark.core.outliers import distances as by_distance
from lq_spark.core.valuation.contributions import THRESHOLD as HARMFUL
from lq_spark.core.valuation.contributions import require_threshold
from lq_spark.engine.inputs import column_type, require_key
from lq_spark.errors import require_number, require_unused, require_whole_number
from lq_spark.tasks import outliers
from lq_spark.tasks.audit.check import Check, Checked
from lq_spark.tasks.audit.labels import confidence_of
from lq_spark.tasks.audit.table import AuditTable
from lq_spark.tasks.duplicates.issues import with_duplicates
from lq_spark.tasks.duplicates.options import ByDistance
from lq_spark.tasks.duplicates.passes import Found as Duplicates
from lq_spark.tasks.groups.issues import EPS, MIN_SAMPLES
from lq_spark.tasks.groups.passes import (
    Labelled,
    require_clusters,
    with_found_clusters,
    with_given_clusters,
)
from lq_spark.tasks.noniid.issues import checked_orders, checked_significance, with_issues
from lq_spark.tasks.noniid.passes import RowOrder
from lq_spark.tasks.outliers.issues import agreed_threshold, with_distances
from lq_spark.tasks.valuation.columns import compared_label
from lq_spark.tasks.valuation.passes import with_values

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Outlier(Check):
    """Rows far from all others; without features, rows of which a model is unsure.

    Attributes
    ----------
    t, threshold
        As for :func:`lq_spark.outliers.find_issues`.
    """

    name = "outlier"
    t: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        require_number("t", self.t, 0.0, above=True)
        agreed_threshold(self.threshold, by_distance.THRESHOLD)

    def missing(self, table: AuditTable) -> str:
        """Return that there is nothing to compare."""
        is_there = table.has_neighbors or (table.pred_probs is not None and table.has_classes)
        return "" if is_there else "features, a graph or pred_probs"

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the outliers."""
        if not table.has_neighbors:
            return Checked(self._by_probabilities(table))
        limit = agreed_threshold(self.threshold, by_distance.THRESHOLD)
        near = table.neighbors()
        found = with_distances(table.rows_near(near), near, self.t, limit, fail=True)
        return Checked(found.rows)

    def _by_probabilities(self, table: AuditTable) -> DataFrame:
        return outliers.find_issues(
            table.labelled(),
            id=table.id,
            pred_probs=table.pred_probs,
            label=table.label,
            classes=table.classes,
            n_classes=table.n_classes,
            threshold=self.threshold,
        )


def _duplicates(table: AuditTable, threshold: float) -> Duplicates:
    def find() -> Duplicates:
        near = table.neighbors()
        return with_duplicates(table.rows_near(near), ByDistance(near, threshold), None)

    return table.shared("duplicates", find)


@dataclass(frozen=True)
class NearDuplicate(Check):
    """Rows that are there twice, or nearly.

    Attributes
    ----------
    threshold
        As for :func:`lq_spark.duplicates.find_issues`.
    """

    name = "near_duplicate"
    threshold: float = NEAR

    def __post_init__(self) -> None:
        require_number("threshold", self.threshold, 0.0)

    def missing(self, table: AuditTable) -> str:
        """Return that there is nothing to compare."""
        return "" if table.has_neighbors else "features or a graph"

    def column_types(self, table: AuditTable) -> dict[str, str]:
        """Return the types of its columns: those of sets and groups are of the table's ids."""
        key = column_type(table.df, table.id).simpleString()
        further = {
            "near_duplicate_set": f"array<{key}>",
            "distance_to_nearest_neighbor": "double",
            "duplicate_group": key,
            "keep": "boolean",
        }
        return {**super().column_types(table), **further}

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the near duplicates."""
        return Checked(_duplicates(table, self.threshold).rows)


@dataclass(frozen=True)
class ExactDuplicate(Check):
    """Rows that are there twice: 0 is the score of one of which there is an equal one, else 1."""

    name = "exact_duplicate"

    def missing(self, table: AuditTable) -> str:
        """Return that there is nothing to compare."""
        return NearDuplicate().missing(table)

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the duplicates."""
        rows = _duplicates(table, NEAR).rows
        return Checked(rows.withColumn(self.score, F.when(F.col(self.flag), 0.0).otherwise(1.0)))


@dataclass(frozen=True)
class NonIid(Check):
    """Whether the order of the rows is random: by features, else by predicted probabilities.

    Attributes
    ----------
    order, num_permutations, significance_threshold
        As for :func:`lq_spark.noniid.find_issues`.
    """

    name = "non_iid"
    order: str | None = None
    num_permutations: int = 25
    significance_threshold: float = 0.05

    def __post_init__(self) -> None:
        checked_orders(self.num_permutations, 0)
        checked_significance(self.significance_threshold)

    def missing(self, table: AuditTable) -> str:
        """Return that there is nothing to compare."""
        is_there = table.has_neighbors or (table.pred_probs is not None and table.has_classes)
        return "" if is_there else "features, a graph or pred_probs"

    def require(self, table: AuditTable) -> None:
        """Raise unless what says the order is a column of keys."""
        if self.order is not None:
            require_key(table.df, "order", self.order)

    def find_issues(self, table: AuditTable) -> Checked:
        """Return where the order is not random."""
        orders = checked_orders(self.num_permutations, table.seed)
        near = table.neighbors() if table.has_neighbors else table.neighbors_of_probabilities()
        rows = table.rows_near(near) if self.order is None else table.columns(self.order)
        judged = with_issues(rows, RowOrder(near, self.order), orders, self.significance_threshold)
        return Checked(judged.rows, judged.found.p_value, info=judged.found)


@dataclass(frozen=True)
class UnderperformingGroup(Check):
    """The group of rows whose labels a model knows least.

    Attributes
    ----------
    clusters, eps, min_samples, threshold, min_cluster_samples
        As for :func:`lq_spark.groups.find_issues`.
    """

    name = "underperforming_group"
    clusters: str | None = None
    eps: float | None = None
    min_samples: int | None = None
    threshold: float = WEAK
    min_cluster_samples: int = MIN_CLUSTER_SAMPLES

    def __post_init__(self) -> None:
        require_number("threshold", self.threshold, 0.0, 1.0)
        require_whole_number("min_cluster_samples", self.min_cluster_samples, 1)
        require_number("eps", EPS if self.eps is None else self.eps, 0.0)
        require_whole_number("min_samples", self._least_near, 1)
        if self.clusters is not None:
            require_unused("clusters", eps=self.eps, min_samples=self.min_samples)

    @property
    def _least_near(self) -> int:
        return MIN_SAMPLES if self.min_samples is None else self.min_samples

    def missing(self, table: AuditTable) -> str:
        """Return that there are no labels, no probabilities or nothing that groups rows."""
        if table.label is None or table.pred_probs is None:
            return "a label and pred_probs"
        is_there = table.has_neighbors or self.clusters is not None
        return "" if is_there else "features, a graph or clusters"

    def column_types(self, table: AuditTable) -> dict[str, str]:
        """Return the types of its columns; clusters that are given are not among them."""
        found = {"cluster": "bigint"} if self.clusters is None else {}
        return {**super().column_types(table), **found}

    def require(self, table: AuditTable) -> None:
        """Raise unless clusters are whole numbers."""
        if self.clusters is not None:
            require_clusters(table.df, self.clusters)

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the group."""
        limit, least = self.threshold, self.min_cluster_samples
        if self.clusters is not None:
            labelled = Labelled(
                table.label or "", table.pred_probs or "", table.classes, table.n_classes
            )
            found = with_given_clusters(
                table.df, table.id, self.clusters, labelled, limit, least, fail=True
            )
        else:
            eps = EPS if self.eps is None else self.eps
            rows, scored = confidence_of(table)
            options = limit, least, eps, self._least_near
            found = with_found_clusters(rows, table.neighbors(), scored, *options, fail=True)
        return Checked(found.rows, found.groups.score, info=found.groups)


@dataclass(frozen=True)
class DataValuation(Check):
    """Rows that do more harm than good to the prediction of labels near to them.

    Attributes
    ----------
    k, threshold
        As for :func:`lq_spark.valuation.find_issues`; k is at most that of the audit.
    """

    name = "data_valuation"
    k: int | None = None
    threshold: float = HARMFUL

    def __post_init__(self) -> None:
        require_threshold(self.threshold)
        if self.k is not None:
            require_k(self.k)

    def missing(self, table: AuditTable) -> str:
        """Return that there are no labels, or nothing to compare."""
        if table.label is None:
            return "a label"
        return "" if table.has_neighbors else "features or a graph"

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the rows that harm."""
        label = compared_label(table.df, table.label or "")
        options = table.neighbors(), label, self.k, self.threshold
        return Checked(with_values(table.columns(table.label), *options, fail=True).rows)

"""Rows of a table that do more harm than good to the prediction of labels near to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.neighbors.vectors import require_k
from lq_spark.core.valuation.contributions import THRESHOLD, require_threshold
from lq_spark.engine.inputs import column, require_key
from lq_spark.errors import require_one_of
from lq_spark.tasks import neighbors
from lq_spark.tasks.neighbors.columns import Features, feature_table
from lq_spark.tasks.neighbors.knn import graph_options
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON, IS_DATA_VALUATION_ISSUE
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.valuation.columns import compared_label
from lq_spark.tasks.valuation.passes import FOUND, with_values

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    label: str = "label",
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    threshold: float = THRESHOLD,
) -> DataFrame:
    """Return the table with how much each row helps to predict the labels near to it.

    Adds ``is_data_valuation_issue`` (boolean) and ``data_valuation_score`` (double: 1 helps, 0
    harms, 0.5 of a row that is nobody's neighbour): the Shapley value of rows for the prediction of
    each one's label from its k nearest others. Computed now, and held as long as the result. Both
    are those of cleanlab's Datalab, and do not depend, to the bit, on how the table is partitioned.

    Parameters
    ----------
    df : DataFrame
    id : str
        Column that tells the rows apart.
    label : str
        Column of the given labels, of any type that labels have: they are only compared with each
        other.
    features, n_features, metric, recall, seed
        What is near, as for :func:`lq_spark.neighbors.graph`; the column "features" where neither
        these nor a graph are given.
    graph : DataFrame, optional
        Or the neighbours themselves: the edges of a graph, as many for each row, in the columns
        that :func:`lq_spark.neighbors.graph` gives; the first k count.
    k : int, optional
        How many neighbours predict a label. By default 10, or as many as there are if these are
        fewer: one less than there are rows, or those of each row in a graph.
    threshold : float
        From 0 to 1: rows of a lower value are issues.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts; or k is too high.
    InvalidRowsError
        If an id is null or occurs twice, or a row has no usable features or label.
    DataError
        If a graph is not one of these rows.

    Notes
    -----
    Source: Jia et al. (2019), arXiv:1908.08619, theorem 1, as cleanlab 2.9.0 has it.
    """
    refuse_stream(df, "valuation.find_issues")
    options = _Options(
        id=id,
        label=label,
        features=features,
        graph=graph,
        n_features=n_features,
        k=k,
        metric=metric,
        recall=recall,
        seed=seed,
    )
    return options.found(df, threshold, fail=True)


def score(
    df: DataFrame,
    *,
    id: str = "id",
    label: str = "label",
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    on_invalid: str = "fail",
) -> DataFrame:
    """Return the table with ``data_valuation_score`` (double): 1 helps, 0 harms.

    Computed when :func:`find_issues` does it.

    Parameters
    ----------
    df, id, label, features, graph, n_features, k, metric, recall, seed
        As for :func:`find_issues`.
    on_invalid : {"fail", "null"}
        What to do with a row that cannot be scored: fail, or leave its score null and value the
        others among each other alone. A graph is one of all rows: there, one without a label fails.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    refuse_stream(df, "valuation.score")
    options = _Options(
        id=id,
        label=label,
        features=features,
        graph=graph,
        n_features=n_features,
        k=k,
        metric=metric,
        recall=recall,
        seed=seed,
    )
    return options.found(df, THRESHOLD, fail=on_invalid == "fail").drop(IS_DATA_VALUATION_ISSUE)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    label: str = "label",
    features: Features | None = "features",
    n_features: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be scored, null if it can. Lazy.

    A row with several faults has one of them as its reason.

    Parameters
    ----------
    df, label, n_features
        As for :func:`find_issues`.
    id : str, optional
        Column that must tell the rows apart.
    features : str or sequence of str, optional
        As for :func:`find_issues`; None where a graph stands in for them.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    reason = compared_label(df, label).reason
    if features is not None:
        feature_table(df, features)
    require_to_validate(df, id, "valuation.validate")
    checked = neighbors.validate(df, features=features, n_features=n_features)
    checked = checked.withColumn(INVALID_REASON, F.coalesce(reason, column(INVALID_REASON)))
    return with_key_reasons(checked, df, id)


@dataclass(frozen=True)
class _Options:
    """The options that the functions have in common: see :func:`find_issues`."""

    id: str
    label: str
    features: Features | None
    graph: DataFrame | None
    n_features: int | None
    k: int | None
    metric: str | None
    recall: float | None
    seed: int

    def found(self, df: DataFrame, threshold: float, *, fail: bool) -> DataFrame:
        """Return the table with :data:`FOUND`."""
        require_key(df, "id", self.id)
        label, limit = compared_label(df, self.label), require_threshold(threshold)
        if self.k is not None:
            require_k(self.k)
        sought = self.k if self.graph is None else None  # of a graph k may be any of its first
        options = graph_options(
            df,
            self.id,
            self.features,
            sought,
            self.metric,
            self.n_features,
            FOUND.names,
            graph=self.graph,
            recall=self.recall,
            seed=self.seed,
        )
        return with_values(df, options, label, self.k, limit, fail=fail).rows

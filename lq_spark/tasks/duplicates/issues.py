"""Near duplicates of a table: which rows, of which others, and which one to keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType

from lq_spark.core.duplicates.near import THRESHOLD
from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import (
    column,
    column_type,
    columns_alone,
    require_columns,
    require_key,
)
from lq_spark.errors import ColumnError, require_number
from lq_spark.tasks import neighbors
from lq_spark.tasks.duplicates.batches import IS_EXACT, NEAREST, SCORE, SET
from lq_spark.tasks.duplicates.passes import GROUP, IS_NEAR, near_duplicates
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.columns import Features, named_features
from lq_spark.tasks.neighbors.knn import graph_options
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEEP = "keep"

ADDED = (IS_NEAR, IS_EXACT, SCORE, NEAREST, SET, GROUP, KEEP)
"""The columns that are added."""


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    threshold: float = THRESHOLD,
    label_quality: str | None = None,
) -> DataFrame:
    """Return the table with its near duplicates; computed now, and held as long as the result.

    Adds ``is_near_duplicate_issue`` and ``is_exact_duplicate_issue`` (boolean),
    ``near_duplicate_score`` (double, 0 there twice, 1 far from all others),
    ``distance_to_nearest_neighbor`` (double), ``near_duplicate_set`` (array of ids: a row's own
    nearest first, then those whose neighbour it is), ``duplicate_group`` (the lowest id that a
    chain of near duplicates leads to) and ``keep`` (boolean: one row of each group). The rule is
    that of cleanlab's Datalab; nothing depends on how the table is partitioned.

    Parameters
    ----------
    df, id, features, n_features, k, metric, recall, seed
        As for :func:`lq_spark.neighbors.graph`: each row names at most as many duplicates, nearest
        first, as it has neighbours there.
    graph : DataFrame, optional
        Instead of features, the edges of a graph, as many for each row, in the columns that
        :func:`lq_spark.neighbors.graph` gives.
    threshold : float
        At least 0: rows are near duplicates whose distance is below this share of the median row's
        distance to its nearest neighbour, that being at least 1e-6.
    label_quality : str, optional
        Column of numbers, 1 clean, 0 suspect: the row of each group with the highest is to be kept.
        Of equal ones, and where it is not given, that of the lowest id.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts; or k is too high.
    InvalidRowsError
        If an id is null or occurs twice, or a row has no usable features.
    DataError
        If a graph is not one of these rows.
    """
    refuse_stream(df, "duplicates.find_issues")
    require_number("threshold", threshold, 0.0)
    if label_quality is not None:
        require_columns(df, label_quality=label_quality)
        kind = column_type(df, label_quality)
        if not isinstance(kind, NumericType):
            raise ColumnError(
                f"label_quality: column {label_quality!r} is {kind.simpleString()}; allowed are "
                "whole numbers, float, double and decimal"
            )
    require_key(df, "id", id)
    options = graph_options(
        df, id, features, k, metric, n_features, ADDED, graph=graph, recall=recall, seed=seed
    )
    with Held() as held:
        found = near_duplicates(df, options, threshold, held)
        best = [] if label_quality is None else [column(label_quality).desc_nulls_last()]
        first = Window.partitionBy(GROUP).orderBy(*best, column(id))
        joined = df.join(found, column(id) == column(ROW)).withColumn(
            KEEP, F.row_number().over(first) == 1
        )
        return held.until_gone(joined.select(*map(column, df.columns), *ADDED))


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    features: Features = "features",
    n_features: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be compared, or null. Lazy.

    Parameters
    ----------
    df, id, features, n_features
        As for :func:`lq_spark.neighbors.validate`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    if id is not None:
        refuse_stream(df, "duplicates.validate with id")
    return neighbors.validate(df, id=id, features=features, n_features=n_features)


@dataclass(frozen=True, slots=True, repr=False)
class DuplicateHealth(Displayed):
    """How many rows of a table are there twice, or nearly.

    Attributes
    ----------
    n_rows, n_near, n_exact : int
        All rows; those with a near duplicate; those with one at distance 0.
    n_groups : int
        Groups of near duplicates, of two rows at least.
    n_to_drop : int
        Rows that are left over if one of each group is kept.
    """

    n_rows: int
    n_near: int
    n_exact: int
    n_groups: int
    n_to_drop: int

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "near duplicates": self.n_near,
            "exact duplicates": self.n_exact,
            "groups": self.n_groups,
        }

    def _tables(self) -> list[SmallTable]:
        overall = {"near duplicates": [self.n_near], "rows to drop": [self.n_to_drop]}
        return [SmallTable("overall", overall, {})]


def summarize(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    threshold: float = THRESHOLD,
) -> DuplicateHealth:
    """Return how many rows are near duplicates, and in how many groups.

    Parameters
    ----------
    df, id, features, graph, n_features, k, metric, recall, seed, threshold
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "duplicates.summarize")
    found = find_issues(
        columns_alone(df, [id, *named_features(features, graph)]),
        id=id,
        features=features,
        graph=graph,
        n_features=n_features,
        k=k,
        metric=metric,
        recall=recall,
        seed=seed,
        threshold=threshold,
    )
    [row] = found.agg(
        F.count(F.lit(1)),
        F.count_if(F.col(IS_NEAR)),
        F.count_if(F.col(IS_EXACT)),
        F.count_if(F.col(IS_NEAR) & F.col(KEEP)),
        F.count_if(~F.col(KEEP)),
    ).collect()
    return DuplicateHealth(*row)

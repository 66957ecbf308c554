"""What values rows: each neighbour's label is looked up once, and whole numbers are summed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, StructField, StructType

from lq_spark.core.valuation.contributions import N_NEIGHBORS, are_issues, values_of
from lq_spark.engine import numbers
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column
from lq_spark.engine.kept import kept
from lq_spark.engine.readings import BatchFunction, column_input
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import InvalidRowsError, OptionError
from lq_spark.tasks.neighbors.batches import NEIGHBORS, ROW
from lq_spark.tasks.neighbors.features import FeatureGraph
from lq_spark.tasks.neighbors.knn import GraphOptions, NeighborLists, joined, neighbor_lists
from lq_spark.tasks.shared.names import DATA_VALUATION_SCORE, IS_DATA_VALUATION_ISSUE
from lq_spark.tasks.valuation.columns import ComparedLabel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FOUND = StructType(
    [
        StructField(IS_DATA_VALUATION_ISSUE, BooleanType()),
        StructField(DATA_VALUATION_SCORE, DoubleType()),
    ]
)
"""The columns that are added."""

_KEY, _LABEL, _OWN, _NEAR = "__lq_key", "__lq_label", "__lq_own", "__lq_near"
_NEIGHBOR, _LAST, _SUM = "__lq_neighbor", "__lq_last", "__lq_sum"


class Valued(NamedTuple):
    """Rows with their values, and the share of their nearest neighbours that was found."""

    rows: DataFrame
    recall: float


def with_values(
    df: DataFrame,
    options: GraphOptions,
    label: ComparedLabel,
    k: int | None,
    threshold: float,
    *,
    fail: bool,
) -> Valued:
    """Return the table with :data:`FOUND`, held with the result.

    Raises
    ------
    OptionError
        If k is not below the number of rows, or above that of the neighbours in a graph.
    InvalidRowsError
        If an id is null or occurs twice; or a row has no usable features or label, and either
        ``fail`` or, of labels, they are those of a graph.
    DataError
        If a graph that is given is not one of these rows.
    """
    with Held() as held:
        rows = _labelled(df, label, fail=fail or not isinstance(options, FeatureGraph))
        lists = neighbor_lists(rows, options, held, fail=fail)
        n_near = _agreed_k(k, lists)
        labels = rows.select(column(options.id).alias(_KEY), label.value.alias(_LABEL))
        with kept(labels) as labels:
            found = _sums(lists.rows, labels, n_near)
            function = values_batch(lists.rows.count(), n_near, threshold)
            found = held.hold(with_mapped(found, function, [column_input(_SUM)], FOUND, keep=[ROW]))
            found.count()  # now, while what it is made of is kept
        return Valued(joined(df, options.id, found, held), lists.recall)


def _labelled(df: DataFrame, label: ComparedLabel, *, fail: bool) -> DataFrame:
    """Return the rows that have a label; raise InvalidRowsError if ``fail`` and one has none."""
    if not fail:
        return df.where(label.reason.isNull())
    [(n_rows, n_without)] = df.agg(
        F.count(F.lit(1)), F.count_if(label.reason.isNotNull())
    ).collect()
    if n_without:
        raise InvalidRowsError(
            f"{n_without} of {n_rows} rows cannot be scored, for want of usable labels; "
            "valuation.validate says which and why"
        )
    return df


def _agreed_k(k: int | None, lists: NeighborLists) -> int:
    """Return how many neighbours count; raise OptionError if a graph has fewer than are wanted."""
    if k is None or not lists.k:
        return min(N_NEIGHBORS, lists.k)
    if k > lists.k:
        raise OptionError(f"k must be at most {lists.k}, the neighbours of a row in graph, got {k}")
    return k


def _sums(lists: DataFrame, labels: DataFrame, k: int) -> DataFrame:
    """Return ROW, each row, with _SUM: what it contributes to the labels of others.

    As :func:`lq_spark.core.valuation.contributions.partial_contributions` has it, which sees all
    labels around a row at once: here each of its neighbours is told whether the k-th has its label,
    and adds whether it has itself.
    """
    if not k:
        return lists.select(ROW, F.lit(0).cast("bigint").alias(_SUM))
    near, last = F.slice(NEIGHBORS, 1, k).alias(_NEAR), F.get(NEIGHBORS, F.lit(k - 1)).alias(_LAST)
    label, own = F.col(_LABEL), F.col(_OWN)
    has_label = (own == label).cast("bigint")
    with_own = lists.join(labels, F.col(ROW) == F.col(_KEY)).select(label.alias(_OWN), near, last)
    with_last = with_own.join(labels, F.col(_LAST) == F.col(_KEY)).select(
        F.explode(_NEAR).alias(_NEIGHBOR), own, has_label.alias(_LAST)
    )
    sums = (
        with_last.join(labels, F.col(_NEIGHBOR) == F.col(_KEY))
        .groupBy(_KEY)
        .agg(F.sum(has_label - F.col(_LAST)).alias(_SUM))
    )
    joined = lists.select(ROW).join(sums, F.col(ROW) == F.col(_KEY), "left")
    return joined.select(ROW, F.coalesce(_SUM, F.lit(0).cast("bigint")).alias(_SUM))


def values_batch(n_rows: int, k: int, threshold: float) -> BatchFunction:
    """Return (sums of contributions) -> :data:`FOUND`."""

    def run(sums: pa.Array) -> dict[str, pa.Array]:
        values = values_of(numbers.values_of(sums), n_rows, max(k, 1))
        return {
            IS_DATA_VALUATION_ISSUE: numbers.array_of(are_issues(values, threshold)),
            DATA_VALUATION_SCORE: numbers.array_of(values),
        }

    return run

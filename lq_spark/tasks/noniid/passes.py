"""What tests the order of a table: positions of rows and neighbours, scores, the statistic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DoubleType, StructField, StructType

from lq_spark.core.noniid.api import NonIid
from lq_spark.core.noniid.search import StatisticSearch, narrowed
from lq_spark.core.noniid.statistic import p_value
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column
from lq_spark.engine.kept import frozen
from lq_spark.engine.rank import ranked_by_key
from lq_spark.engine.readings import column_input
from lq_spark.engine.verbs import map_groups, reduce_rows, select, with_mapped
from lq_spark.errors import DataError
from lq_spark.tasks.neighbors.batches import NEIGHBORS, ROW
from lq_spark.tasks.neighbors.knn import GraphOptions, neighbor_lists
from lq_spark.tasks.noniid.batches import (
    COUNTS,
    PLACE,
    PLACES,
    First,
    Orders,
    added_counts,
    counts_group,
    first_of,
    scores_batch,
)
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.names import IS_NON_IID_ISSUE, NON_IID_SCORE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NEIGHBORS_OF_A_GROUP = 1 << 22
"""Neighbours that a task holds at once, beside the new positions of all rows."""

MAX_COUNTS = 1 << 21
"""So many counts are made in a pass, of as many orders as they are enough for."""

_GROUP, _KEY, _ID, _NEIGHBOR = "__lq_group", "__lq_key", "__lq_id", "__lq_neighbor"


@dataclass(frozen=True)
class RowOrder:
    """In which order rows are, and which are near to each other.

    Attributes
    ----------
    graph : GraphOptions
    order : str or None
        The column that says the order; the id does if it is None.
    """

    graph: GraphOptions
    order: str | None

    @property
    def key(self) -> str:
        """Return the column that rows are ordered by."""
        return self.graph.id if self.order is None else self.order


class PlacedRows(NamedTuple):
    """The rows of a table by their positions, from 0.

    Attributes
    ----------
    rows : DataFrame
        ROW, the id of each; PLACE, its position; PLACES, those of its neighbours; held.
    n_rows, k : int
    recall : float
        As :class:`lq_spark.tasks.neighbors.knn.NeighborLists` has it.
    """

    rows: DataFrame
    n_rows: int
    k: int
    recall: float


def placed_rows(df: DataFrame, order: RowOrder, held: Held, *, fail: bool) -> PlacedRows:
    """Return the rows that can be used, with their positions and those of their neighbours.

    Raises
    ------
    InvalidRowsError
        If an id or what rows are ordered by is null or occurs twice, or ``fail`` and a row has no
        usable features.
    DataError
        If there are fewer than two rows, or a graph that is given is not one of these rows.
    OptionError
        If k is not below the number of rows.
    """
    if order.order is not None:
        require_unique(df, order.order, validate="noniid.validate", option="order")
    lists = neighbor_lists(df, order.graph, held, fail=fail)
    n_rows = lists.rows.count()
    if n_rows < 2:
        raise DataError("there are fewer than 2 rows, which are in no order")
    keys = lists.rows.select(F.col(ROW).alias(_KEY), F.col(ROW).alias("key"))
    if order.order is not None:
        ordered = df.select(
            column(order.graph.id).alias("__lq_id"), column(order.order).alias("key")
        )
        keys = keys.drop("key").join(ordered, F.col(_KEY) == F.col("__lq_id")).drop("__lq_id")
    with frozen(keys) as keys, frozen(_places(keys)) as places:
        rows = held.hold(_with_places(lists.rows, places))
        rows.count()  # now, while what it is made of is kept
    return PlacedRows(rows, n_rows, lists.k, lists.recall)


def _places(keys: DataFrame) -> DataFrame:
    """Return _KEY and PLACE, from 0, of rows in the order of ``key``."""
    return ranked_by_key(keys).select(_KEY, (F.col("rank") - F.lit(1)).alias(PLACE))


def _with_places(lists: DataFrame, places: DataFrame) -> DataFrame:
    """Return lists of neighbours as positions, in no certain order: nothing depends on it."""
    edges = lists.select(ROW, F.explode(NEIGHBORS).alias(_NEIGHBOR))
    neighbors = (
        edges.join(places, F.col(_NEIGHBOR) == F.col(_KEY))
        .groupBy(ROW)
        .agg(F.collect_list(PLACE).alias(PLACES))
    )
    return neighbors.join(places, F.col(ROW) == F.col(_KEY)).select(ROW, PLACE, PLACES)


def with_scores(placed: PlacedRows) -> DataFrame:
    """Return ROW and PLACE with the score of each row. Lazy."""
    inputs = [column_input(PLACE), column_input(PLACES)]
    schema = StructType([StructField(NON_IID_SCORE, DoubleType())])
    return with_mapped(placed.rows, scores_batch(placed.n_rows), inputs, schema, keep=[ROW, PLACE])


def with_flag(scored: DataFrame, found: NonIid) -> DataFrame:
    """Return rows with the flag of the first one of lowest score, if the order is not random."""
    lowest = cast("First", reduce_rows(select(scored, NON_IID_SCORE, PLACE), first_of, min))
    is_first = F.col(PLACE) == F.lit(lowest.place)
    return scored.withColumn(IS_NON_IID_ISSUE, is_first if found.is_issue else F.lit(False))


def tested(placed: PlacedRows, orders: Orders, significance_threshold: float) -> NonIid:
    """Return whether the order of rows is random.

    Raises
    ------
    DataError
        If the statistic is the same in all random orders.
    """
    search = StatisticSearch.of_all(placed.n_rows, placed.n_rows * placed.k)
    searches = [search] * (1 + orders.n_permutations)
    per_group = max(1, NEIGHBORS_OF_A_GROUP // placed.k)
    group = F.floor(F.col(PLACE) / F.lit(per_group)).cast("bigint").alias(_GROUP)
    rows = placed.rows.select(PLACE, PLACES, group)
    while not all(search.is_done for search in searches):
        searches = _narrowed(rows, placed.n_rows, orders, searches)
    statistic, *permuted = (search.reached for search in searches)
    p = p_value(statistic, permuted)
    return NonIid(statistic, p, p < significance_threshold)


def _narrowed(
    rows: DataFrame, n_rows: int, orders: Orders, searches: list[StatisticSearch]
) -> list[StatisticSearch]:
    """Return the searches after another pass, for the first of those that are not done."""
    sizes = np.array([len(search.starts) for search in searches])
    is_next = (sizes > 0) & ((np.cumsum(sizes) <= MAX_COUNTS) | (np.cumsum(sizes) == sizes))
    wanted = [search if more else None for search, more in zip(searches, is_next, strict=True)]
    wanted = wanted[: np.flatnonzero(is_next)[-1] + 1]
    schema = StructType([StructField(COUNTS, BinaryType())])
    of_groups = map_groups(rows, [_GROUP], counts_group(orders, n_rows, wanted), schema)
    counts = cast("NDArray[np.int64]", reduce_rows(of_groups, added_counts, np.add))
    parts = iter(np.split(counts, np.cumsum(sizes[is_next])[:-1]))
    return [
        narrowed(search, next(parts)) if more else search
        for search, more in zip(searches, is_next, strict=True)
    ]

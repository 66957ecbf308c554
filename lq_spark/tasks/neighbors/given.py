"""A graph of neighbours that is a table of edges already, checked against the rows it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType

from lq_spark.engine.held import Held
from lq_spark.engine.inputs import (
    are_joined,
    column,
    column_type,
    field_of_elements,
    require_columns,
    require_key,
    require_number_column,
)
from lq_spark.errors import ColumnError, DataError
from lq_spark.tasks.neighbors.batches import DISTANCES, NEIGHBORS, ROW
from lq_spark.tasks.shared.keys import require_unique

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

EDGE: Final = ("id", "neighbor", "rank", "distance")
"""The columns of a table of edges."""

_OWNER, _NEIGHBOR, _RANK, _DISTANCE = (f"__lq_edge_{name}" for name in EDGE)
_KNOWN, _EDGES, _RANKS = "__lq_known", "__lq_edges", "__lq_ranks"
_N_UNKNOWN, _N_WRONG = "__lq_n_unknown", "__lq_n_wrong"


@dataclass(frozen=True)
class GivenGraph:
    """A table of edges, whose columns are checked.

    Attributes
    ----------
    id : str
        The key column of the rows.
    edges : DataFrame
        :data:`EDGE`, under names of their own.
    metric : str or None
        Of the distances, where it is known.
    """

    id: str
    edges: DataFrame
    metric: str | None


def given_graph(df: DataFrame, id: str, graph: DataFrame, metric: str | None) -> GivenGraph:
    """Check the columns of a table of edges; raise ColumnError if they are none."""
    owner, neighbor, rank, distance = EDGE
    for name in EDGE:
        require_columns(graph, graph=name)
    key = column_type(df, id)
    for name in (owner, neighbor):
        kind = require_key(graph, "graph", name)
        if not are_joined(kind, key):
            raise ColumnError(
                f"graph: column {name!r} is {kind.simpleString()}, and the ids of the table, "
                f"{id!r}, are {key.simpleString()}; cast one of them"
            )
    if not isinstance(kind := column_type(graph, rank), IntegralType):
        raise ColumnError(
            f"graph: column {rank!r} is {kind.simpleString()}; allowed are whole numbers"
        )
    require_number_column(graph, "graph", distance)
    edges = graph.select(
        column(owner).alias(_OWNER),
        column(neighbor).alias(_NEIGHBOR),
        column(rank).cast("bigint").alias(_RANK),
        (column(distance).cast("double") + F.lit(0.0)).alias(_DISTANCE),  # one zero
    )
    return GivenGraph(id, edges, metric)


def given_lists(df: DataFrame, given: GivenGraph, held: Held) -> tuple[DataFrame, int]:
    """Return ROW, NEIGHBORS and DISTANCES of the rows of a table, held from now on; and k.

    Raises
    ------
    InvalidRowsError
        If an id is null or occurs twice.
    DataError
        If the edges are not those of these rows, as many of each: with an id that is at fault.
    """
    require_unique(df, given.id, validate="neighbors.validate")
    lists = held.hold(_with_lists(df.select(column(given.id).alias(ROW)), given.edges))
    n_edges = F.size(NEIGHBORS)
    least, most = _refused(lists, _faults(), F.min(n_edges), F.max(n_edges))
    if least != most:
        _refused(lists, {f"fewer than the {most} edges of others": n_edges < F.lit(most)})
    return lists.select(ROW, NEIGHBORS, DISTANCES), most or 0


def _with_lists(ids: DataFrame, edges: DataFrame) -> DataFrame:
    """Return ROW, each id, with its edges in the order of their ranks, and what is wrong in them.

    ROW is null where edges are of an id that no row has.
    """
    known, distance = ids.select(F.col(ROW).alias(_KNOWN)), F.col(_DISTANCE)
    is_wrong = distance.isNull() | F.isnan(distance) | (distance < 0) | (distance == float("inf"))
    lists = (
        edges.join(known, F.col(_NEIGHBOR) == F.col(_KNOWN), "left")
        .groupBy(_OWNER)
        .agg(
            # The neighbours as the table has them: their type may be another one.
            F.sort_array(F.collect_list(F.struct(_RANK, _KNOWN, _DISTANCE))).alias(_EDGES),
            F.count_if(F.col(_KNOWN).isNull()).alias(_N_UNKNOWN),
            F.count_if(is_wrong).alias(_N_WRONG),
        )
    )
    of_edges = {
        name: field_of_elements(ids.sparkSession, F.col(_EDGES), field)
        for name, field in ((_RANKS, _RANK), (NEIGHBORS, _KNOWN), (DISTANCES, _DISTANCE))
    }
    joined = ids.join(lists, F.col(ROW) == F.col(_OWNER), "full")
    return joined.withColumns(of_edges).drop(_EDGES)


def _faults() -> dict[str, Column]:
    """Return what may be wrong with the edges of an id, the first first."""
    n_edges = F.size(NEIGHBORS)
    return {
        "edges, and is not in the table": F.col(ROW).isNull(),
        "no edges": F.col(_OWNER).isNull(),
        "a neighbor that is not in the table": F.col(_N_UNKNOWN) > 0,
        "itself as a neighbor": F.array_contains(NEIGHBORS, F.col(ROW)),
        "a neighbor twice": F.size(F.array_distinct(NEIGHBORS)) < n_edges,
        "distances that are null, not finite or below 0": F.col(_N_WRONG) > 0,
        "ranks other than 1, 2, 3 and so on": (F.size(F.array_distinct(_RANKS)) < n_edges)
        | F.coalesce(F.array_min(_RANKS) != 1, F.lit(True))
        | (F.array_max(_RANKS) != n_edges),
        "distances that do not ascend with their ranks": F.col(DISTANCES)
        != F.sort_array(DISTANCES),
    }


def _refused(lists: DataFrame, faults: Mapping[str, Column], *further: Column) -> list[Any]:
    """Return further aggregates of a table; raise DataError if a row of it has one of the faults.

    The error names the first fault, how many ids have it, and the lowest of them.
    """
    counts = [F.count_if(fault) for fault in faults.values()]
    examples = [F.min(F.when(fault, F.coalesce(ROW, _OWNER))) for fault in faults.values()]
    found = list(lists.agg(*further, *counts, *examples).collect()[0])
    there, ends = found[: len(further)], found[len(further) :]
    for name, n_ids, lowest in zip(faults, ends[: len(faults)], ends[len(faults) :], strict=True):
        if n_ids:
            raise DataError(f"graph: id {lowest!r} has {name} ({n_ids} such ids)")
    return there

"""The neighbours of a table's rows: of features, or of a graph that the user has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql.types import DoubleType, IntegerType, StructField, StructType

from lq_spark.core.neighbors.vectors import METRICS, agreed_metric, require_k
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, column_type, require_key, require_new_columns
from lq_spark.engine.verbs import map_batches
from lq_spark.errors import require_one_of, require_share, require_unused, require_whole_number
from lq_spark.tasks.neighbors.batches import ROW, edges_batch
from lq_spark.tasks.neighbors.columns import Features, feature_table, resolved_n_features
from lq_spark.tasks.neighbors.features import FeatureGraph, feature_lists
from lq_spark.tasks.neighbors.given import EDGE, GivenGraph, given_graph, given_lists
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class NeighborLists(NamedTuple):
    """The nearest neighbours of each row.

    Attributes
    ----------
    rows : DataFrame
        ROW, the id of each row, with NEIGHBORS and DISTANCES, arrays of k; held.
    k : int
        0 where there is one row, which has no neighbours, or none.
    recall : float
        How many of the nearest rows were found, in a sample: 1 of an exact search, or all that a
        graph gives.
    """

    rows: DataFrame
    k: int
    recall: float = 1.0


@dataclass(frozen=True)
class SearchedGraph:
    """The neighbours of a table's rows, where they were looked for already.

    Attributes
    ----------
    id : str
        The key column of the rows.
    lists : NeighborLists
    metric : str or None
        Of the distances, where it is known.
    """

    id: str
    lists: NeighborLists
    metric: str | None


GraphOptions = FeatureGraph | GivenGraph | SearchedGraph
"""Where the neighbours of a table's rows come from, checked."""


def graph(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features = "features",
    k: int | None = None,
    metric: str | None = None,
    n_features: int | None = None,
    recall: float | None = None,
    seed: int = 0,
) -> DataFrame:
    """Return the k nearest other rows of each row: a row each, computed now.

    Columns ``id`` and ``neighbor`` (both in the id column's type), ``rank`` (int, 1 the nearest)
    and ``distance`` (double). They do not depend, to the bit, on how the table is partitioned. If
    exact, they equal those of :func:`lq_spark.core.neighbors.knn_graph` on the rows in the order of
    their ids.

    The time of an exact search grows with the square of the number of distinct rows. An approximate
    one compares a row with those near to it alone: each distance is exact, and some neighbours may
    be farther ones in place of the nearest. How many of the nearest it finds is measured and logged
    (at INFO).

    Parameters
    ----------
    df : DataFrame
    id : str
        Column that tells the rows apart. Of rows equally near the one of lowest id comes first.
    features : str or sequence of str
        Column of array<float>, array<double> or Spark ML vectors; or the names of columns of one
        number each. They are taken as they are: nothing is scaled.
    k : int, optional
        Below the number of rows. By default 10, or one less than there are rows.
    metric : {"cosine", "euclidean"}, optional
        By default cosine, and Euclidean for up to 3 features.
    n_features : int, optional
        How many features a row has. Where not given, as many as the first row.
    recall : float, optional
        Above 0, at most 1: the share of the nearest rows that is to be found, where 1 is exact. By
        default exact up to 1e13 products of two features, of 400,000 distinct rows of 64 features
        for instance, and 0.95 beyond.
    seed : int
        Of an approximate search, at least 0.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts; or k is too high.
    InvalidRowsError
        If an id is null or occurs twice, or a row has no usable features.
    """
    refuse_stream(df, "neighbors.graph")
    options = feature_graph(df, id, features, k, metric, n_features, recall=recall, seed=seed)
    kind = column_type(df, id)
    schema = StructType(
        [
            StructField(EDGE[0], kind),
            StructField(EDGE[1], kind),
            StructField(EDGE[2], IntegerType()),
            StructField(EDGE[3], DoubleType()),
        ]
    )
    with Held() as held:
        lists = neighbor_lists(df, options, held).rows
        return held.until_gone(map_batches(lists, edges_batch(EDGE), schema))


def graph_options(
    df: DataFrame,
    id: str,
    features: Features | None,
    k: int | None,
    metric: str | None,
    n_features: int | None,
    added: Sequence[str] = (),
    *,
    graph: DataFrame | None = None,
    recall: float | None = None,
    seed: int = 0,
) -> GraphOptions:
    """Check what says who a row's neighbours are, ``graph`` or else features as they are given.

    Raises
    ------
    ColumnError, OptionError
        As :func:`feature_graph`.
    """
    if graph is None:
        options = id, features, k, metric, n_features, added
        return feature_graph(df, *options, recall=recall, seed=seed)
    require_key(df, "id", id)
    require_unused("graph", features=features, n_features=n_features, k=k, recall=recall)
    if metric is not None:
        require_one_of("metric", metric, METRICS)
    if added:
        require_new_columns(df, added)
    return given_graph(df, id, graph, metric)


def feature_graph(
    df: DataFrame,
    id: str,
    features: Features | None,
    k: int | None,
    metric: str | None,
    n_features: int | None,
    added: Sequence[str] = (),
    *,
    recall: float | None = None,
    seed: int = 0,
) -> FeatureGraph:
    """Check features, by default the column of this name, and how neighbours are sought.

    ``added`` are columns that the table is to have besides. Only what the first row says takes a
    (small) Spark job.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong.
    """
    require_key(df, "id", id)
    if k is not None:
        require_k(k)
    if metric is not None:
        require_one_of("metric", metric, METRICS)
    if recall is not None:
        require_share("recall", recall)
    require_whole_number("seed", seed, 0)
    table = feature_table(df, "features" if features is None else features)
    if added:
        require_new_columns(df, added)
    width = resolved_n_features(df, table, n_features)
    return FeatureGraph(id, table, width, k, agreed_metric(metric, width), recall, seed)


def neighbor_lists(
    df: DataFrame, options: GraphOptions, held: Held, *, fail: bool = True
) -> NeighborLists:
    """Return the neighbours of each row, computed now and held from then on.

    Rows without usable features fail, or are left out.

    Raises
    ------
    OptionError
        If k is not below the number of rows.
    InvalidRowsError
        If an id is null or occurs twice, or ``fail`` and a row has no usable features.
    DataError
        If a graph that is given is not one of these rows.
    """
    if isinstance(options, SearchedGraph):
        return options.lists
    if isinstance(options, GivenGraph):
        return NeighborLists(*given_lists(df, options, held))
    return NeighborLists(*feature_lists(df, options, held, fail=fail))


def joined(df: DataFrame, id: str, found: DataFrame, held: Held) -> DataFrame:
    """Return a table with what was found of its rows, by ROW; what is held is so with the result.

    Rows of which nothing was found have nulls.
    """
    rows = df.join(found, column(id) == column(ROW), "left")
    return held.until_gone(rows.drop(ROW))

"""Whether the order of a table's rows is random, and where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql.types import BooleanType, DoubleType, StructField, StructType

from lq_spark.core.noniid.permutations import EXACT_UP_TO
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import require_key
from lq_spark.engine.verbs import select
from lq_spark.errors import require_number, require_one_of, require_whole_number
from lq_spark.tasks import neighbors
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.columns import Features, feature_table
from lq_spark.tasks.neighbors.knn import graph_options, joined
from lq_spark.tasks.noniid.batches import Orders
from lq_spark.tasks.noniid.passes import RowOrder, placed_rows, tested, with_flag, with_scores
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import IS_NON_IID_ISSUE, NON_IID_SCORE
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.core.noniid.api import NonIid

FOUND = StructType(
    [StructField(IS_NON_IID_ISSUE, BooleanType()), StructField(NON_IID_SCORE, DoubleType())]
)
"""The columns that are added."""

NULL_ORDER, DUPLICATE_ORDER = "null order", "duplicate order"


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    order: str | None = None,
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    num_permutations: int = 25,
    seed: int = 0,
    significance_threshold: float = 0.05,
) -> DataFrame:
    """Return the table with where its order is not random; computed now, held with the result.

    Adds ``non_iid_score`` (double: 1 where a row's neighbours are all over the table, 0 where they
    are in one place) and ``is_non_iid_issue`` (boolean: if rows that are near to each other lie
    nearer in the table than by chance, True for one row, the first of the lowest score). Both are
    those of cleanlab's Datalab for the rows in this order, and do not depend, to the bit, on how
    the table is partitioned.

    Parameters
    ----------
    df : DataFrame
    id : str
        Column that tells the rows apart.
    order : str, optional
        Column that says in which order rows came, of a type that ids may have: a time, say, or a
        number, different in every row. By default the order of the ids.
    features, n_features, k, metric, recall
        Which rows are near to each other, as for :func:`lq_spark.neighbors.graph`; the column
        "features" where neither these nor a graph are given.
    graph : DataFrame, optional
        Or the neighbours themselves: the edges of a graph, as many for each row, in the columns
        that :func:`lq_spark.neighbors.graph` gives; all of them count.
    num_permutations : int
        In how many random orders the table is looked at, at least 2.
    seed : int
        Of these orders, and of an approximate search. Up to 10,000,000 rows the orders are those
        that cleanlab draws; beyond they are hashed, and need no memory.
    significance_threshold : float
        From 0 to 1: how probable in random order what is found may be, to be an issue.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts; or k is too high.
    InvalidRowsError
        If an id, or what says the order, is null or occurs twice, or a row has no usable features.
    DataError
        If a graph is not one of these rows; there are fewer than two; or all random orders look the
        same, as where each row is near to all others.

    Notes
    -----
    Source: Cummings, Snorrason, Mueller (2023), arXiv:2305.15696.
    """
    refuse_stream(df, "noniid.find_issues")
    orders = checked_orders(num_permutations, seed)
    limit = checked_significance(significance_threshold)
    placing = row_order(
        df, id, order, features, k, metric, n_features, graph=graph, recall=recall, seed=seed
    )
    return with_issues(df, placing, orders, limit).rows


def score(
    df: DataFrame,
    *,
    id: str = "id",
    order: str | None = None,
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    on_invalid: str = "fail",
) -> DataFrame:
    """Return the table with ``non_iid_score`` (double), without a test whether that is chance.

    Computed when :func:`find_issues` does it.

    Parameters
    ----------
    df, id, order, features, graph, n_features, k, metric, recall
        As for :func:`find_issues`.
    seed : int
        Of an approximate search.
    on_invalid : {"fail", "null"}
        What to do with a row whose features cannot be used: fail, or leave its score null and take
        the others as they follow each other without it.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    refuse_stream(df, "noniid.score")
    placing = row_order(
        df, id, order, features, k, metric, n_features, graph=graph, recall=recall, seed=seed
    )
    with Held() as held:
        scored = with_scores(placed_rows(df, placing, held, fail=on_invalid == "fail"))
        found = select(scored, ROW, NON_IID_SCORE)
        return joined(df, id, found, held)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    order: str | None = None,
    features: Features | None = "features",
    n_features: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row has no place in order, or null. Lazy.

    A row with several faults has one of them as its reason.

    Parameters
    ----------
    df, n_features
        As for :func:`find_issues`.
    id : str, optional
        Column that must tell the rows apart.
    order : str, optional
        Column that must put them in order: a null in it and a value that occurs twice are faults
        (of every row that has it).
    features : str or sequence of str, optional
        As for :func:`find_issues`; None where a graph stands in for them.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    if order is not None:
        refuse_stream(df, "noniid.validate with order")
        require_key(df, "order", order)
    if features is not None:
        feature_table(df, features)
    require_to_validate(df, id, "noniid.validate")
    checked = neighbors.validate(df, features=features, n_features=n_features)
    if order is not None:
        reasons = {"null": NULL_ORDER, "duplicate": DUPLICATE_ORDER}
        checked = with_key_reasons(checked, df, order, **reasons)
    return with_key_reasons(checked, df, id)


class Judged(NamedTuple):
    """A table with :data:`FOUND`, and what is known of its order.

    Attributes
    ----------
    rows : DataFrame
    found : NonIid
    recall : float
        The share of the nearest neighbours that was found.
    """

    rows: DataFrame
    found: NonIid
    recall: float


def with_issues(
    df: DataFrame, placing: RowOrder, orders: Orders, significance_threshold: float
) -> Judged:
    """Return the table with where its order is not random, held with the result.

    Raises as :func:`find_issues`.
    """
    with Held() as held:
        placed = placed_rows(df, placing, held, fail=True)
        found = tested(placed, orders, significance_threshold)
        flagged = select(with_flag(with_scores(placed), found), ROW, *FOUND.names)
        return Judged(joined(df, placing.graph.id, flagged, held), found, placed.recall)


def row_order(
    df: DataFrame,
    id: str,
    order: str | None,
    features: Features | None,
    k: int | None,
    metric: str | None,
    n_features: int | None,
    *,
    graph: DataFrame | None = None,
    recall: float | None = None,
    seed: int = 0,
) -> RowOrder:
    """Check what says the order of rows, and which are near; raise ColumnError or OptionError."""
    require_key(df, "id", id)
    if order is not None:
        require_key(df, "order", order)
    options = id, features, k, metric, n_features, FOUND.names
    near = graph_options(df, *options, graph=graph, recall=recall, seed=seed)
    return RowOrder(near, order)


def checked_orders(num_permutations: int, seed: int) -> Orders:
    """Return the random orders; raise OptionError if there are too few, or the seed is none."""
    require_whole_number("num_permutations", num_permutations, 2)
    require_whole_number("seed", seed, 0)
    return Orders(num_permutations, seed, EXACT_UP_TO)


def checked_significance(threshold: object) -> float:
    """Return a significance threshold; raise OptionError unless it is from 0 to 1."""
    return require_number("significance_threshold", threshold, 0.0, 1.0)

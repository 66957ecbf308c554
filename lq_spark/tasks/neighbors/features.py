"""The nearest neighbours of all rows of a table, by their features, keyed by id.

Rows of equal features are looked for once; what is found of them is spread over their copies.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    DoubleType,
    StructField,
    StructType,
)

from lq_spark.core.neighbors.graph import N_NEIGHBORS
from lq_spark.core.neighbors.vectors import require_k
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column_type
from lq_spark.engine.kept import kept
from lq_spark.engine.readings import Input, column_input
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import InvalidRowsError
from lq_spark.progress import step
from lq_spark.tasks.neighbors.approximate import approximate_neighbors
from lq_spark.tasks.neighbors.batches import (
    DISTANCES,
    ID,
    IDS,
    NEIGHBORS,
    ROW,
    VECTOR,
    corrected_batch,
    vectors_batch,
)
from lq_spark.tasks.neighbors.columns import FeatureTable
from lq_spark.tasks.neighbors.exact import exact_neighbors, lists_schema
from lq_spark.tasks.neighbors.searches import Search
from lq_spark.tasks.shared.keys import require_unique

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_PRODUCTS = 1e13
"""Up to so many products of two features the search is exact by default: some five minutes on two
cores, that of 400,000 distinct rows of 64 features."""

_PARTITION_BYTES = 8 << 20
"""Rows are in no more partitions than that leaves of so many bytes of features, as doubles."""

RECALL = 0.95
"""Beyond, by default."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureGraph:
    """The features whose nearest neighbours are sought, checked.

    Attributes
    ----------
    id : str
        The key column of the rows.
    table : FeatureTable
    n_features : int
    k : int or None
        As many as possible, up to 10, where it is None.
    metric : str
    recall : float or None
        The share of true neighbours that is wanted; 1 is exact.
    seed : int
        Of an approximate search.
    """

    id: str
    table: FeatureTable
    n_features: int
    k: int | None
    metric: str
    recall: float | None
    seed: int


def feature_lists(
    df: DataFrame, options: FeatureGraph, held: Held, *, fail: bool
) -> tuple[DataFrame, int, float]:
    """Return ROW, NEIGHBORS and DISTANCES of rows, held from now on; k; and the recall.

    Rows without usable features fail, or are left out. One row alone has no neighbours; k is 0.

    Raises
    ------
    OptionError
        If k is not below the number of rows.
    InvalidRowsError
        If an id is null or occurs twice, or ``fail`` and a row has no usable features.
    """
    with ExitStack() as stack:
        found = distinct_rows(df, options, stack, fail=fail)
        return lists_of(found, options, column_type(df, options.id), stack, held)


def lists_of(
    found: DistinctRows, options: FeatureGraph, kind: DataType, stack: ExitStack, held: Held
) -> tuple[DataFrame, int, float]:
    """Return what :func:`feature_lists` does, of rows whose ids are of a type.

    What it is made of is kept until the stack ends.
    """
    search = Search(found.k, options.metric, options.n_features, options.table.dtype)
    nearest, recall = _neighbors(found, search, options, lists_schema(ID, kind, kind), stack)
    nearest = stack.enter_context(kept(nearest))
    if found.n_sets == found.n_rows > 1:
        lists = nearest.withColumnRenamed(ID, ROW)
    else:
        lists = _of_all_rows(found, nearest, kind)
    lists = held.hold(lists)
    with step(f"neighbours of {found.n_rows:,} rows"):
        lists.count()  # now, while what it is made of is kept
    return lists, found.k if found.n_rows > 1 else 0, recall


class DistinctRows(NamedTuple):
    """The rows of a table by their features.

    Attributes
    ----------
    rows : DataFrame
        ROW, the id of each, and VECTOR; of those that can be used.
    n_rows : int
    sets : DataFrame
        Of rows of equal features: ID, the first; IDS, the first k + 1; and VECTOR.
    n_sets : int
    k : int
        How many neighbours a row is to have.
    """

    rows: DataFrame
    n_rows: int
    sets: DataFrame
    n_sets: int
    k: int


def distinct_rows(
    df: DataFrame, options: FeatureGraph, stack: ExitStack, *, fail: bool
) -> DistinctRows:
    """Return the rows of a table by their features, kept until the stack ends.

    Raises as :func:`feature_lists`.
    """
    features, width = options.table.input, options.n_features
    rows, n_rows = rows_with_vectors(df, options.id, features, width, stack, fail=fail)
    k = max(1, min(N_NEIGHBORS, n_rows - 1)) if options.k is None else options.k
    if n_rows and options.k is not None:
        require_k(k, n_rows)
    sets = stack.enter_context(kept(sets_of_rows(rows, k)))
    return DistinctRows(rows, n_rows, sets, sets.count(), k)


def _neighbors(
    found: DistinctRows,
    search: Search,
    options: FeatureGraph,
    schema: StructType,
    stack: ExitStack,
) -> tuple[DataFrame, float]:
    """Return the neighbours of the first row of each set, and the recall: 1 of exact ones."""
    n_sets = found.n_sets
    is_cheap = n_sets * n_sets * search.n_features <= MOST_PRODUCTS
    recall = (1.0 if is_cheap else RECALL) if options.recall is None else options.recall
    if recall == 1.0 or n_sets < 2:
        return exact_neighbors(found.sets, n_sets, search, schema), 1.0
    nearest, reached = approximate_neighbors(
        found.sets, n_sets, search, recall, options.seed, schema, stack
    )
    _LOG.info(
        "approximate neighbours of %d distinct rows: recall %.4f (wanted %.4f)",
        n_sets,
        reached,
        recall,
    )
    return nearest, reached


def rows_with_vectors(
    df: DataFrame,
    id: str,
    features: Input,
    n_features: int,
    stack: ExitStack,
    *,
    fail: bool,
    table: str = "",
) -> tuple[DataFrame, int]:
    """Return ROW and VECTOR of the rows that can be used, kept until the stack ends; and how many.

    Raises
    ------
    InvalidRowsError
        If an id is null or occurs twice, or ``fail`` and a row has no usable features; ``table``
        says of which table, if there are several.
    """
    schema = StructType([StructField(VECTOR, BinaryType())])
    made = with_mapped(df, vectors_batch(n_features), [features], schema, keep=[id])
    made = stack.enter_context(kept(made)).withColumnRenamed(id, ROW)
    validate = "neighbors.validate"
    n_all = require_unique(made, ROW, validate=validate, called=id, table=table).n_rows
    rows = made.where(F.col(VECTOR).isNotNull())
    n_rows = rows.count()
    # A few rows in many partitions would be many tasks in each of the passes that follow.
    rows = rows.coalesce(max(1, n_rows * n_features * 8 // _PARTITION_BYTES))
    if fail and n_rows < n_all:
        raise InvalidRowsError(
            f"{n_all - n_rows} of {n_all} rows{table} cannot be scored, for want of usable "
            f"features; {validate} says which and why"
        )
    return rows, n_rows


def _of_all_rows(found: DistinctRows, nearest: DataFrame, kind: DataType) -> DataFrame:
    """Return the lists of all rows, of those of the sets."""
    lists = {NEIGHBORS: ArrayType(kind), DISTANCES: ArrayType(DoubleType())}
    # A set has none where there is no other.
    others = {
        name: F.coalesce(name, F.array().cast(of)).alias(f"__lq_{name}")
        for name, of in lists.items()
    }
    joined = found.sets.join(nearest, ID, "left").select(IDS, VECTOR, *others.values())
    inputs = [column_input(name) for name in (ROW, IDS, *(f"__lq_{name}" for name in others))]
    schema = StructType([StructField(name, of) for name, of in lists.items()])
    rows, function = found.rows.join(joined, VECTOR), corrected_batch(found.k)
    return with_mapped(rows, function, inputs, schema, keep=[ROW])


def sets_of_rows(rows: DataFrame, k: int) -> DataFrame:
    """Return the sets of rows of equal features: ID, the first; IDS, as many as matter; VECTOR."""
    by_row = Window.partitionBy(VECTOR).orderBy(ROW)
    placed = rows.withColumn("__lq_place", F.row_number().over(by_row))
    few = placed.where(F.col("__lq_place") <= k + 1).groupBy(VECTOR)
    sets = few.agg(F.sort_array(F.collect_list(ROW)).alias(IDS))
    return sets.select(F.get(IDS, F.lit(0)).alias(ID), IDS, VECTOR)

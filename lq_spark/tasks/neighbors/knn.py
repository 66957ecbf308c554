"""The graph of nearest neighbours of a table's rows, exactly, keyed by id.

Rows of equal features are looked for once. What is left is cut into blocks; each pair of blocks is
compared in one task, in bounded memory, and the few nearest of a row in each block are merged. What
is compared with what does not change a bit of a distance, nor which of equally near rows comes
first: that of the lower id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    DoubleType,
    IntegerType,
    StructField,
    StructType,
)

from lq_spark.core.neighbors.graph import N_NEIGHBORS
from lq_spark.core.neighbors.vectors import agreed_metric, require_k
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, column_type, require_key, require_new_columns
from lq_spark.engine.kept import kept
from lq_spark.engine.readings import column_input
from lq_spark.engine.verbs import map_batches, map_groups, with_mapped
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.neighbors.batches import (
    BLOCK,
    BUCKET,
    DISTANCES,
    HIGH,
    ID,
    IDS,
    LOW,
    NEIGHBORS,
    ROW,
    VECTOR,
    corrected_batch,
    edges_batch,
    merge_group,
    search_group,
    vectors_batch,
)
from lq_spark.tasks.neighbors.columns import (
    Features,
    FeatureTable,
    feature_table,
    resolved_n_features,
)
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BLOCK_BYTES = 16 << 20
"""How much of the features, as float64, is in a block; a task holds two, three times over."""

_MAX_BLOCK_ROWS = 1 << 14

EDGE = ("id", "neighbor", "rank", "distance")


def graph(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features = "features",
    k: int | None = None,
    metric: str | None = None,
    n_features: int | None = None,
) -> DataFrame:
    """Return the k nearest other rows of each row, exactly: a row each, computed now.

    Columns ``id`` and ``neighbor`` (both in the id column's type), ``rank`` (int, 1 the nearest)
    and ``distance`` (double). They do not depend, to the bit, on how the table is partitioned, and
    equal those of :func:`lq_spark.core.neighbors.knn_graph` on the rows in the order of their ids.
    The time it takes grows with the square of the number of distinct rows.

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

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts; or k is too high.
    InvalidRowsError
        If an id is null or occurs twice, or a row has no usable features.
    """
    refuse_stream(df, "neighbors.graph")
    options = graph_options(df, id, features, k, metric, n_features)
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
        lists = neighbor_lists(df, options, held)
        return held.until_gone(map_batches(lists, edges_batch(EDGE), schema))


@dataclass(frozen=True)
class GraphOptions:
    """What is asked of a graph, checked.

    Attributes
    ----------
    id : str
    table : FeatureTable
    n_features : int
    k : int or None
    metric : str
    """

    id: str
    table: FeatureTable
    n_features: int
    k: int | None
    metric: str


def graph_options(
    df: DataFrame,
    id: str,
    features: Features,
    k: int | None,
    metric: str | None,
    n_features: int | None,
    added: Sequence[str] = (),
) -> GraphOptions:
    """Check the options of a graph; raise ColumnError or OptionError.

    ``added`` are columns that the table is to have besides. Only what the first row says takes a
    (small) Spark job.
    """
    require_key(df, "id", id)
    if k is not None:
        require_k(k)
    table = feature_table(df, features)
    agreed_metric(metric, 1)
    if added:
        require_new_columns(df, added)
    width = resolved_n_features(df, table, n_features)
    return GraphOptions(id, table, width, k, agreed_metric(metric, width))


def neighbor_lists(
    df: DataFrame, options: GraphOptions, held: Held, *, fail: bool = True
) -> DataFrame:
    """Return ROW, the id of each row, with NEIGHBORS and DISTANCES, arrays of k, held from now on.

    Rows without usable features fail, or are left out. One row alone has no neighbours.

    Raises
    ------
    OptionError
        If k is not below the number of rows.
    InvalidRowsError
        If an id is null or occurs twice, or ``fail`` and a row has no usable features.
    """
    key, kind = options.id, column_type(df, options.id)
    function = vectors_batch(options.n_features)
    schema = StructType([StructField(VECTOR, BinaryType())])
    made = with_mapped(df, function, [options.table.input], schema, keep=[key])
    with kept(made) as made:
        rows, n_rows = _usable(made.withColumnRenamed(key, ROW), key, fail=fail)
        k = max(1, min(N_NEIGHBORS, n_rows - 1)) if options.k is None else options.k
        if n_rows and options.k is not None:
            require_k(k, n_rows)
        with kept(_sets(rows, k)) as sets:
            n_sets = sets.count()
            with kept(_nearest(sets, n_sets, k, options, kind)) as found:
                if n_sets == n_rows > 1:
                    lists = found.withColumnRenamed(ID, ROW)
                else:
                    lists = _of_all_rows(rows, sets, found, k, kind)
                lists = held.hold(lists)
                lists.count()  # now, while what it is made of is kept
    return lists


def _usable(made: DataFrame, key: str, *, fail: bool) -> tuple[DataFrame, int]:
    """Return the rows that can be used, and how many; raise InvalidRowsError as above."""
    validate = "neighbors.validate"
    n_all = require_unique(made, ROW, validate=validate, called=key).n_rows
    rows = made.where(F.col(VECTOR).isNotNull())
    n_rows = rows.count()
    if fail and n_rows < n_all:
        raise InvalidRowsError(
            f"{n_all - n_rows} of {n_all} rows cannot be scored, for want of usable features; "
            f"{validate} says which and why"
        )
    return rows, n_rows


def _nearest(
    sets: DataFrame, n_sets: int, k: int, options: GraphOptions, kind: DataType
) -> DataFrame:
    """Return the first row of each set with the k nearest rows of other sets."""
    block_rows = max(1, min(_MAX_BLOCK_ROWS, BLOCK_BYTES // (8 * options.n_features)))
    n_blocks = max(1, -(-n_sets // block_rows))
    n_pairs = n_blocks * (n_blocks + 1) // 2
    own, other = F.pmod(F.xxhash64(column(ID)), F.lit(n_blocks)).cast("int"), F.col("__lq_other")
    blocked = sets.withColumn(BLOCK, own).withColumn(
        "__lq_other", F.explode(F.sequence(F.lit(0), F.lit(n_blocks - 1)))
    )
    pairs = blocked.select(
        F.least(BLOCK, other).alias(LOW), F.greatest(BLOCK, other).alias(HIGH), BLOCK, IDS, VECTOR
    )
    schema = StructType(
        [
            StructField(ID, kind),
            StructField(NEIGHBORS, ArrayType(kind)),
            StructField(DISTANCES, ArrayType(DoubleType())),
        ]
    )
    search = search_group(k, options.metric, options.n_features, options.table.dtype)
    found = map_groups(pairs, [LOW, HIGH], search, schema, n_tasks=n_pairs)
    if n_blocks == 1:
        return found
    bucketed = found.withColumn(BUCKET, F.pmod(F.xxhash64(column(ID)), F.lit(n_blocks)))
    return map_groups(bucketed, [BUCKET], merge_group(k), schema)


def _of_all_rows(
    rows: DataFrame, sets: DataFrame, found: DataFrame, k: int, kind: DataType
) -> DataFrame:
    """Return the lists of all rows, of those of the sets."""
    lists = {NEIGHBORS: ArrayType(kind), DISTANCES: ArrayType(DoubleType())}
    # A set has none where there is no other.
    others = {
        name: F.coalesce(name, F.array().cast(of)).alias(f"__lq_{name}")
        for name, of in lists.items()
    }
    joined = sets.join(found, ID, "left").select(IDS, VECTOR, *others.values())
    inputs = [column_input(name) for name in (ROW, IDS, *(f"__lq_{name}" for name in others))]
    schema = StructType([StructField(name, of) for name, of in lists.items()])
    return with_mapped(rows.join(joined, VECTOR), corrected_batch(k), inputs, schema, keep=[ROW])


def _sets(rows: DataFrame, k: int) -> DataFrame:
    """Return the sets of rows of equal features: ID, the first; IDS, as many as matter; VECTOR."""
    by_row = Window.partitionBy(VECTOR).orderBy(ROW)
    placed = rows.withColumn("__lq_place", F.row_number().over(by_row))
    few = placed.where(F.col("__lq_place") <= k + 1).groupBy(VECTOR)
    sets = few.agg(F.sort_array(F.collect_list(ROW)).alias(IDS))
    return sets.select(F.get(IDS, F.lit(0)).alias(ID), IDS, VECTOR)

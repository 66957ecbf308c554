"""What finds near duplicates, in a graph or among texts: pairs, sets, and the groups they make."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    StructField,
    StructType,
)

from lq_spark.core.duplicates.near import unit_distance
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.quantiles import median_ranks
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.kept import frozen, kept
from lq_spark.engine.numbers import values_of
from lq_spark.engine.readings import column_input
from lq_spark.engine.verbs import map_batches, map_groups, select, with_mapped
from lq_spark.tasks.duplicates.batches import (
    IS_EXACT,
    NEAREST,
    ONE,
    OTHER,
    PLACE,
    SCORE,
    SET,
    nearest_batch,
    pairs_batch,
    score_batch,
    sets_group,
)
from lq_spark.tasks.duplicates.text_batches import TEXT
from lq_spark.tasks.duplicates.texts import (
    N_COPIES,
    ByText,
    hashed_texts,
    near_pairs_of_texts,
    usable_texts,
)
from lq_spark.tasks.neighbors.batches import DISTANCES, NEIGHBORS, ROW
from lq_spark.tasks.neighbors.knn import GraphOptions, NeighborLists, neighbor_lists
from lq_spark.tasks.neighbors.searches import BUCKET
from lq_spark.tasks.shared.order_statistics import ranked_numbers

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

IS_NEAR, GROUP = "is_near_duplicate_issue", "duplicate_group"

_OF_OTHERS = 1 << 30
"""The place, in a row's set, of those whose neighbour it is."""

_PAIRS_OF_A_BUCKET = 1 << 16


class Found(NamedTuple):
    """Rows with what was found of them.

    Attributes
    ----------
    rows : DataFrame
    recall : float or None
        How many of the nearest neighbours were found; None by text.
    """

    rows: DataFrame
    recall: float | None


def near_duplicates(df: DataFrame, options: GraphOptions, threshold: float, held: Held) -> Found:
    """Return ROW, the id of each row, with its flags, score, set and group; held from now on.

    Raises as :func:`lq_spark.tasks.neighbors.knn.neighbor_lists`.
    """
    kind = column_type(df, options.id)
    with ExitStack() as stack:
        lists, scored, unit = _scored(df, options, held, stack, fail=True)
        pairs = stack.enter_context(kept(_pairs(lists.rows, threshold * unit, kind)))
        return Found(_with_pairs(scored, pairs, kind, held, stack), lists.recall)


def nearest_scores(df: DataFrame, options: GraphOptions, held: Held, *, fail: bool) -> DataFrame:
    """Return ROW, the id of each row that can be used, with its score; held from now on."""
    with ExitStack() as stack:
        _, scored, _ = _scored(df, options, held, stack, fail=fail)
        return _held(select(scored, ROW, SCORE), held)


def near_duplicate_texts(df: DataFrame, options: ByText, held: Held) -> Found:
    """Return what :func:`near_duplicates` does, by the texts of rows.

    Raises as :func:`lq_spark.tasks.duplicates.texts.usable_texts`.
    """
    kind = column_type(df, options.id)
    with ExitStack() as stack:
        rows = usable_texts(df, options, stack)
        hashed = hashed_texts(rows, options, stack)
        pairs = near_pairs_of_texts(rows, hashed, options, stack)
        copied = hashed.select(TEXT, (column(N_COPIES) > 1).alias(IS_EXACT))
        scored = _with_text_scores(rows.join(copied, TEXT).select(ROW, IS_EXACT), pairs)
        return Found(_with_pairs(scored, pairs, kind, held, stack), None)


def text_scores(df: DataFrame, options: ByText, held: Held, *, fail: bool) -> DataFrame:
    """Return what :func:`nearest_scores` does, by the texts of rows."""
    with ExitStack() as stack:
        rows = usable_texts(df, options, stack, fail=fail)
        pairs = near_pairs_of_texts(rows, hashed_texts(rows, options, stack), options, stack)
        return _held(_with_text_scores(rows.select(ROW), pairs).drop(NEAREST), held)


def _scored(
    df: DataFrame, options: GraphOptions, held: Held, stack: ExitStack, *, fail: bool
) -> tuple[NeighborLists, DataFrame, float]:
    """Return the neighbours of rows; ROW, NEAREST, IS_EXACT and SCORE; the unit of distances."""
    lists = neighbor_lists(df, options, held, fail=fail)
    schema = StructType([StructField(NEAREST, DoubleType())])
    nearest = with_mapped(lists.rows, nearest_batch, [column_input(DISTANCES)], schema, keep=[ROW])
    nearest = stack.enter_context(kept(nearest))
    unit = unit_of(select(nearest, NEAREST))
    schema = StructType([StructField(IS_EXACT, BooleanType()), StructField(SCORE, DoubleType())])
    scored = with_mapped(nearest, score_batch(unit), [column_input(NEAREST)], schema)
    return lists, scored, unit


def _with_text_scores(rows: DataFrame, pairs: DataFrame) -> DataFrame:
    """Return rows with NEAREST, null where they are in no pair, and SCORE."""
    nearest = pairs.groupBy(F.col(ONE).alias(ROW)).agg(F.min(PLACE).alias(NEAREST))
    score = F.coalesce(NEAREST, F.lit(1.0)).alias(SCORE)
    return rows.join(nearest, ROW, "left").select(*map(column, rows.columns), NEAREST, score)


def _with_pairs(
    scored: DataFrame, pairs: DataFrame, kind: DataType, held: Held, stack: ExitStack
) -> DataFrame:
    """Return scored rows with the flags, sets and groups that pairs make of them; held."""
    found = (
        scored.join(_sets(pairs, kind), ROW, "left")
        .join(_groups(pairs, stack), ROW, "left")
        .select(
            ROW,
            F.col(SET).isNotNull().alias(IS_NEAR),
            IS_EXACT,
            SCORE,
            NEAREST,
            F.coalesce(SET, F.array().cast(ArrayType(kind))).alias(SET),
            F.coalesce(GROUP, ROW).alias(GROUP),
        )
    )
    return _held(found, held)


def _held(found: DataFrame, held: Held) -> DataFrame:
    found = held.hold(found)
    found.count()  # now, while what it is made of is kept
    return found


def unit_of(nearest: DataFrame) -> float:
    """Return the unit of distances of a table, from the median of a column."""
    n_rows, found = ranked_numbers(nearest, _values, median_ranks)
    if not n_rows:
        return unit_distance(0.0)
    low, high = found
    median = (low.value + high.value) / 2.0
    return unit_distance(median if np.isfinite(median) else 0.0)


def _values(batch: pa.RecordBatch) -> Float64:
    values: Float64 = values_of(batch.column(0))
    return values


def _pairs(lists: DataFrame, limit: float, kind: DataType) -> DataFrame:
    """Return each near pair both ways, once: ONE, OTHER, and PLACE in the set of one."""
    schema = StructType(
        [StructField(ONE, kind), StructField(OTHER, kind), StructField(PLACE, IntegerType())]
    )
    near = map_batches(select(lists, ROW, NEIGHBORS, DISTANCES), pairs_batch(limit), schema)
    back = near.select(
        F.col(OTHER).alias(ONE), F.col(ONE).alias(OTHER), F.lit(_OF_OTHERS).alias(PLACE)
    )
    return near.unionAll(back).groupBy(ONE, OTHER).agg(F.min(PLACE).alias(PLACE))


def _sets(pairs: DataFrame, kind: DataType) -> DataFrame:
    """Return what each row of a pair is paired with: ROW, SET."""
    n_buckets = max(1, pairs.count() // _PAIRS_OF_A_BUCKET)
    bucketed = pairs.withColumn(BUCKET, F.pmod(F.xxhash64(column(ONE)), F.lit(n_buckets)))
    schema = StructType([StructField(ROW, kind), StructField(SET, ArrayType(kind))])
    return map_groups(bucketed, [BUCKET], sets_group(ROW), schema)


def _groups(pairs: DataFrame, stack: ExitStack) -> DataFrame:
    """Return the group of each row of a pair, the lowest row that pairs lead to: ROW, GROUP.

    Each round hands the lowest of a row's neighbours on, and looks where that one's own has gone:
    so a chain takes as many rounds as its length has digits, to the base of 2.
    """
    lowest = pairs.groupBy(F.col(ONE).alias(ROW)).agg(F.min(OTHER).alias(GROUP))
    groups = stack.enter_context(frozen(lowest.select(ROW, F.least(GROUP, ROW).alias(GROUP))))
    while True:
        others = groups.select(F.col(ROW).alias(OTHER), F.col(GROUP).alias("__lq_of_other"))
        handed = (
            pairs.join(others, OTHER)
            .groupBy(F.col(ONE).alias(ROW))
            .agg(F.min("__lq_of_other").alias("__lq_handed"))
        )
        nearer = groups.join(handed, ROW).select(
            ROW, F.col(GROUP).alias("__lq_before"), F.least(GROUP, "__lq_handed").alias(GROUP)
        )
        nearer = stack.enter_context(frozen(nearer))
        further = nearer.select(F.col(ROW).alias(GROUP), F.col(GROUP).alias("__lq_further"))
        jumped = nearer.join(further, GROUP).select(
            ROW, "__lq_before", F.least(GROUP, "__lq_further").alias(GROUP)
        )
        jumped = stack.enter_context(frozen(jumped))
        groups = jumped.select(ROW, GROUP)
        if jumped.where(F.col("__lq_before") != F.col(GROUP)).isEmpty():
            return groups

"""Rows of a test table that are in the training table, too, or nearly: leakage."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, StructField, StructType

from lq_spark.core.duplicates.near import THRESHOLD
from lq_spark.core.neighbors.vectors import METRICS
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.engine.kept import kept
from lq_spark.engine.readings import column_input
from lq_spark.engine.verbs import select, with_mapped
from lq_spark.errors import ColumnError, DataError, require_number, require_one_of, require_unused
from lq_spark.tasks.duplicates.batches import (
    IS_EXACT,
    NEAREST,
    ONE,
    OTHER,
    PLACE,
    SCORE,
    nearest_batch,
    score_batch,
)
from lq_spark.tasks.duplicates.passes import unit_of
from lq_spark.tasks.duplicates.text_batches import SIDE, TEXT
from lq_spark.tasks.duplicates.texts import (
    ByText,
    require_text,
    similar_pairs,
    text_options,
    usable_texts,
    with_bands,
)
from lq_spark.tasks.neighbors.batches import DISTANCES, ID, NEIGHBORS, ROW
from lq_spark.tasks.neighbors.columns import Features, feature_table, resolved_n_features
from lq_spark.tasks.neighbors.features import FeatureGraph, rows_with_vectors, sets_of_rows
from lq_spark.tasks.neighbors.knn import feature_graph
from lq_spark.tasks.neighbors.reference import nearest_references
from lq_spark.tasks.neighbors.searches import Search
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

IS_LEAKED, IS_EXACT_LEAK, TRAIN_ID = "is_leaked", "is_exact_leak", "nearest_train_id"

ADDED = (IS_LEAKED, IS_EXACT_LEAK, SCORE, TRAIN_ID, NEAREST)
"""The columns that are added."""

_OF_TRAIN, _OF_TEST = " of train", " of test"


def between(
    train: DataFrame,
    test: DataFrame,
    *,
    id: str = "id",
    features: Features | None = None,
    text: str | None = None,
    n_features: int | None = None,
    metric: str | None = None,
    threshold: float | None = None,
    shingles: str | None = None,
    n: int | None = None,
    similarity: float | None = None,
    seed: int | None = None,
) -> DataFrame:
    """Return the test table with which of its rows are, or nearly, in the training table.

    Adds ``is_leaked`` and ``is_exact_leak`` (boolean), ``near_duplicate_score`` (double, 0 there,
    1 far from all rows of the training table), ``nearest_train_id`` (of equally near ones the
    lowest) and ``distance_to_nearest_neighbor`` (double). Computed now, exactly for features, and
    held as long as the result; nothing depends on how the tables are partitioned.

    Parameters
    ----------
    train, test : DataFrame
        With columns of the same names.
    id : str
        Column that tells the rows of each table apart.
    features, n_features, metric
        As for :func:`lq_spark.neighbors.graph`; by default the column "features".
    text : str, optional
        Or a column of texts, as for :func:`lq_spark.duplicates.find_issues`: the nearest is null
        where no text is so similar.
    threshold : float, optional
        Of distances, at least 0: a row is leaked whose distance is below this share (0.13) of the
        median test row's distance to its nearest training row, that being at least 1e-6.
    shingles, n, similarity, seed
        Of texts, as for :func:`lq_spark.duplicates.find_issues`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong, or features are float in one table and double in the other:
        before a Spark job starts.
    DataError
        If the training table has no rows.
    InvalidRowsError
        If an id of a table is null or occurs twice, or a row has no usable features or no text.
    """
    for table in (train, test):
        refuse_stream(table, "duplicates.between")
        require_key(table, "id", id)
    if text is not None:
        require_unused("text", features=features, n_features=n_features)
        require_unused("text", metric=metric, threshold=threshold)
        options = text_options(test, id, text, shingles, n, similarity, seed or 0, ADDED)
        require_text(train, text)
        with Held() as held, ExitStack() as stack:
            return _joined(test, _by_text(train, test, options, stack), id, held)
    require_unused("features", shingles=shingles, n=n, similarity=similarity, seed=seed)
    share = require_number("threshold", THRESHOLD if threshold is None else threshold, 0.0)
    named = "features" if features is None else features
    graph = _same_features(train, test, id, named, metric, n_features)
    with Held() as held, ExitStack() as stack:
        found = _by_features(train, test, named, graph, share, stack)
        return _joined(test, found, id, held)


def _joined(test: DataFrame, found: DataFrame, id: str, held: Held) -> DataFrame:
    found = held.hold(found)
    found.count()  # now, while what it is made of is kept
    joined = test.join(found, column(id) == column(ROW))
    return held.until_gone(joined.select(*map(column, test.columns), *ADDED))


def _same_features(
    train: DataFrame,
    test: DataFrame,
    id: str,
    features: Features,
    metric: str | None,
    n_features: int | None,
) -> FeatureGraph:
    """Return the features of a test table; raise unless those of the other are of their kind."""
    of_train, of_test = feature_table(train, features), feature_table(test, features)
    if of_train.dtype != of_test.dtype:
        kinds = ("float" if t.dtype == np.float32 else "double" for t in (of_train, of_test))
        given = list(kinds)
        raise ColumnError(
            f"features are {given[0]} in train and {given[1]} in test: cast one of them, or rows "
            "that are the same differ by rounding"
        )
    if metric is not None:
        require_one_of("metric", metric, METRICS)
    require_new_columns(test, ADDED)
    width = n_features
    if n_features is None and of_train.n_features is None:
        width = resolved_n_features(train, of_train, None)
    return feature_graph(test, id, features, None, metric, width)


def _by_features(
    train: DataFrame,
    test: DataFrame,
    features: Features,
    options: FeatureGraph,
    threshold: float,
    stack: ExitStack,
) -> DataFrame:
    """Return ROW of each test row with :data:`ADDED`."""

    def vectors(df: DataFrame, table: str) -> tuple[DataFrame, int]:
        source, width = feature_table(df, features).input, options.n_features
        return rows_with_vectors(df, options.id, source, width, stack, fail=True, table=table)

    references, n_train = vectors(train, _OF_TRAIN)
    _require_rows(n_train)
    queries, n_queries = vectors(test, _OF_TEST)
    sets = stack.enter_context(kept(sets_of_rows(references, 1)))
    search = Search(1, options.metric, options.n_features, options.table.dtype)
    near = nearest_references(queries, n_queries, sets, sets.count(), search)
    schema = StructType([StructField(NEAREST, DoubleType())])
    near = near.select(ROW, F.get(NEIGHBORS, F.lit(0)).alias(TRAIN_ID), DISTANCES)
    inputs = [column_input(DISTANCES)]
    nearest = with_mapped(near, nearest_batch, inputs, schema, keep=[ROW, TRAIN_ID])
    nearest = stack.enter_context(kept(nearest))
    unit = unit_of(select(nearest, NEAREST))
    schema = StructType([StructField(IS_EXACT, BooleanType()), StructField(SCORE, DoubleType())])
    scored = with_mapped(nearest, score_batch(unit), [column_input(NEAREST)], schema)
    is_leaked = (column(NEAREST) < F.lit(threshold * unit)).alias(IS_LEAKED)
    is_exact = column(IS_EXACT).alias(IS_EXACT_LEAK)
    return scored.select(ROW, is_leaked, is_exact, SCORE, TRAIN_ID, NEAREST)


def _by_text(train: DataFrame, test: DataFrame, options: ByText, stack: ExitStack) -> DataFrame:
    """Return ROW of each test row with :data:`ADDED`."""
    references = usable_texts(train, options, stack, table=_OF_TRAIN)
    _require_rows(references.count())
    queries = usable_texts(test, options, stack, table=_OF_TEST)
    known = references.groupBy(TEXT).agg(F.min(ROW).alias(TRAIN_ID))
    known = stack.enter_context(kept(known))
    unknown = queries.select(TEXT).distinct().join(known.select(TEXT), TEXT, "left_anti")
    key = F.sha2(TEXT, 256)  # of a text, as ids of two tables may be the same
    no_id = F.lit(None).cast(known.schema[TRAIN_ID].dataType).alias(TRAIN_ID)
    texts = known.select(key.alias(ID), TEXT, TRAIN_ID, F.lit(1).alias(SIDE)).unionAll(
        unknown.select(key.alias(ID), TEXT, no_id, F.lit(2).alias(SIDE))
    )
    hashed = with_bands(texts, options, stack)
    pairs = stack.enter_context(kept(similar_pairs(hashed, options, stack, between=True)))
    both_ways = pairs.unionAll(
        pairs.select(column(OTHER).alias(ONE), column(ONE).alias(OTHER), PLACE)
    )
    of_train = hashed.where(column(SIDE) == 1).select(column(ID).alias(OTHER), TRAIN_ID)
    nearest = (
        both_ways.join(of_train, OTHER)
        .groupBy(column(ONE).alias(ID))
        .agg(F.min(F.struct(PLACE, TRAIN_ID)).alias("__lq_nearest"))
    )
    equal = known.select(TEXT, column(TRAIN_ID).alias("__lq_equal"))
    found = queries.join(equal, TEXT, "left").withColumn(ID, key).join(nearest, ID, "left")
    is_equal = column("__lq_equal").isNotNull()
    distance = F.when(is_equal, 0.0).otherwise(F.col(f"__lq_nearest.{PLACE}"))
    return found.select(
        ROW,
        distance.isNotNull().alias(IS_LEAKED),
        is_equal.alias(IS_EXACT_LEAK),
        F.coalesce(distance, F.lit(1.0)).alias(SCORE),
        F.coalesce(column("__lq_equal"), F.col(f"__lq_nearest.{TRAIN_ID}")).alias(TRAIN_ID),
        distance.alias(NEAREST),
    )


def _require_rows(n_train: int) -> None:
    if not n_train:
        raise DataError("train has no rows, so nothing of test can be in it")

"""Folds, and what is predicted of the rows of each, from passes over a table."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StructField,
    StructType,
)

from lq_spark.core.training.folds import stratified_starts
from lq_spark.core.training.samples import n_trained, training_quotas
from lq_spark.engine.inputs import column
from lq_spark.engine.kept import kept
from lq_spark.engine.rank import ranked_by_code
from lq_spark.engine.readings import column_input
from lq_spark.engine.small_tables import small_table
from lq_spark.engine.verbs import map_groups, with_mapped
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.neighbors.batches import ROW, VECTOR
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.training.batches import (
    CLASS,
    CODE,
    CODES,
    FOLD,
    GROUP,
    PRED_PROBS,
    ROWS,
    TASK,
    FoldTask,
    codes_batch,
    rows_batch,
)
from lq_spark.tasks.training.columns import TrainingTable, key_number

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PART_BYTES = 128 << 20
"""Rows that are held out are in so many bytes of features, as doubles, a task: about."""

IS_TRAINED = "__lq_is_trained"
_KEY, _FEATURES, _CELL, _START, _OWN = (
    f"__lq_{name}" for name in ("key", "features", "cell", "start", "own")
)


def rows_to_train(
    df: DataFrame, table: TrainingTable, n_features: int, seed: int, stack: ExitStack
) -> DataFrame:
    """Return ROW, CLASS, GROUP (if there are any), CODE and VECTOR of all rows, kept.

    Raises
    ------
    InvalidRowsError
        If an id is null or occurs twice, or a row has no usable features or no group.
    """
    groups = [] if table.groups is None else [column(table.groups).alias(GROUP)]
    prepared = df.select(
        column(table.id).alias(ROW),
        table.labels.index.alias(CLASS),
        *groups,
        key_number(df, table.id).alias(_KEY),
        table.features.input.column.alias(_FEATURES),
    )
    names = [ROW, CLASS, *([] if table.groups is None else [GROUP])]
    inputs = [column_input(_KEY), column_input(_FEATURES)]
    made = with_mapped(prepared, rows_batch(n_features, seed), inputs, ROWS, keep=names)
    rows = stack.enter_context(kept(made))
    validate = "training.validate"
    n_rows = require_unique(rows, ROW, validate=validate, called=table.id).n_rows
    is_unfit = F.col(VECTOR).isNull()
    if table.groups is not None:
        is_unfit |= F.col(GROUP).isNull()
    if n_unfit := rows.where(is_unfit).count():
        more = "" if table.groups is None else " or a group"
        raise InvalidRowsError(
            f"{n_unfit} of {n_rows} rows cannot be scored, for want of usable features{more}; "
            f"{validate} says which and why"
        )
    return rows


def with_folds(
    rows: DataFrame,
    of_classes: NDArray[np.int64],
    n_folds: int,
    *,
    stratified: bool,
    by_group: bool,
    seed: int,
) -> DataFrame:
    """Return ROW, CLASS, CODE and FOLD of rows; features are not moved for it.

    As :func:`lq_spark.core.training.assign_folds` has them. ``of_classes`` are the rows of each
    class, shape (K,).
    """
    if by_group:
        groups = rows.select(GROUP).distinct()
        keyed = groups.withColumn(_KEY, key_number(groups, GROUP))
        coded = with_mapped(keyed, codes_batch(seed), [column_input(_KEY)], CODES, keep=[GROUP])
        ranked = ranked_by_code(coded.select(F.col(GROUP).alias("key"), F.col(CODE).alias("code")))
        fold = F.pmod(F.col("rank") - 1, F.lit(n_folds)).cast("int")
        of_group = ranked.select(F.col("key").alias(GROUP), fold.alias(FOLD))
        return rows.join(of_group, GROUP).select(ROW, CLASS, CODE, FOLD)
    narrow = rows.select(
        F.col(ROW).alias("key"), F.col(CLASS).alias("group"), F.col(CODE).alias("code")
    )
    if stratified:
        starts = stratified_starts(of_classes, n_folds).tolist()
        schema = StructType([StructField(name, LongType()) for name in ("group", _START)])
        first = small_table(rows.sparkSession, list(enumerate(starts)), schema)
        narrow = ranked_by_code(narrow, "group").join(first.hint("broadcast"), "group")
        place = F.col("rank") - 1 + F.col(_START)
    else:
        place = F.col("code")
    fold = F.pmod(place, F.lit(n_folds)).cast("int")
    return narrow.select(
        F.col("key").alias(ROW),
        F.col("group").alias(CLASS),
        F.col("code").alias(CODE),
        fold.alias(FOLD),
    )


def counts_of(folds: DataFrame, n_folds: int, n_classes: int) -> NDArray[np.int64]:
    """Return the rows of each fold and class, shape (F, K)."""
    counts = np.zeros((n_folds, n_classes), dtype=np.int64)
    for fold, label, n in folds.groupBy(FOLD, CLASS).count().collect():
        counts[fold, label] = n
    return counts


def with_trained(
    folds: DataFrame, counts: NDArray[np.int64], max_train_rows: int, stacklevel: int = 2
) -> DataFrame:
    """Return ROW, CLASS, FOLD and IS_TRAINED: whether a row is trained with, for other folds.

    Where that are too many rows, those of the lowest codes of each fold and class are; it warns.
    """
    quotas = training_quotas(counts, max_train_rows)
    if quotas is counts:
        return folds.select(ROW, CLASS, FOLD, F.lit(True).alias(IS_TRAINED))
    warnings.warn(
        f"max_train_rows is {max_train_rows}: a model is trained with at most "
        f"{n_trained(quotas).max()} of {n_trained(counts).max()} rows, drawn by a hash of the id "
        "in each class",
        UserWarning,
        stacklevel=stacklevel + 1,
    )
    n_classes = counts.shape[1]
    cell = F.col(FOLD).cast("bigint") * F.lit(n_classes) + F.col(CLASS)
    ranked = ranked_by_code(
        folds.select(
            F.col(ROW).alias("key"), F.col(CODE).alias("code"), CLASS, FOLD, cell.alias(_CELL)
        ),
        _CELL,
    )
    schema = StructType([StructField(name, LongType()) for name in (_CELL, "quota")])
    table = small_table(folds.sparkSession, list(enumerate(quotas.reshape(-1).tolist())), schema)
    is_trained = (F.col("rank") <= F.col("quota")).alias(IS_TRAINED)
    return ranked.join(table.hint("broadcast"), _CELL).select(
        F.col("key").alias(ROW), CLASS, FOLD, is_trained
    )


def predictions(
    rows: DataFrame,
    folds: DataFrame,
    counts: NDArray[np.int64],
    estimator: Any,
    table: TrainingTable,
    n_features: int,
    kind: DataType,
) -> DataFrame:
    """Return ROW, PRED_PROBS and FOLD of all rows, by models of the rows of other folds. Lazy.

    Each task is handed what it trains with, so nothing has to be in a place that all workers reach,
    and no model, which may be larger than the rows, leaves the task that made it. The rows to train
    with are copied for each other fold, but there are no more than ``max_train_rows`` of them in a
    task. Those that are held out go to one task; where they are many, to several, each of which
    trains the same model.

    ``kind`` is the type of an id.
    """
    n_folds = len(counts)
    n_parts = int(max(1, counts.sum(axis=1).max() * 8 * n_features // PART_BYTES))
    n_tasks = n_folds * n_parts
    part = F.pmod(F.xxhash64(column(ROW)), F.lit(n_parts)).cast("int")
    own = F.col(FOLD) * F.lit(n_parts) + part
    # Only rows to train with are copied, which are few where rows are many.
    tasks = F.when(F.col(IS_TRAINED), F.sequence(F.lit(0), F.lit(n_tasks - 1))).otherwise(
        F.array(own)
    )
    placed = rows.select(ROW, VECTOR).join(folds, ROW).withColumn(_OWN, own)
    copied = placed.withColumn(TASK, F.explode(tasks))
    is_for_others = F.floor(F.col(TASK) / F.lit(n_parts)) != F.col(FOLD)
    given = copied.where((F.col(TASK) == F.col(_OWN)) | is_for_others)
    given = given.select(ROW, CLASS, FOLD, TASK, VECTOR)
    task = FoldTask(estimator, counts.shape[1], n_parts, n_features, table.features.dtype)
    return map_groups(given, [TASK], task.group(), found_schema(kind), n_tasks=n_tasks)


def found_schema(kind: DataType) -> StructType:
    """Return the schema of predictions of rows whose ids are of a type."""
    return StructType(
        [
            StructField(ROW, kind),
            StructField(PRED_PROBS, ArrayType(DoubleType())),
            StructField(FOLD, IntegerType()),
        ]
    )

"""Folds, and what is predicted of the rows of each, from passes over a table."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
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
    CODE,
    CODES,
    FOLD,
    GROUP,
    LABEL,
    LEFT_OUT,
    ROWS,
    TASK,
    codes_batch,
    rows_batch,
)
from lq_spark.tasks.training.columns import ClassTable, NumberTable, key_number
from lq_spark.tasks.training.fold_task import FoldTask

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PART_BYTES = 128 << 20
"""Rows that are held out are in so many bytes of features, as doubles, a task: about."""

IS_TRAINED = "__lq_is_trained"
_KEY, _FEATURES, _CELL, _START, _PART = (
    f"__lq_{name}" for name in ("key", "features", "cell", "start", "part")
)


def rows_to_train(
    df: DataFrame, table: ClassTable | NumberTable, n_features: int, seed: int, stack: ExitStack
) -> DataFrame:
    """Return ROW, LABEL, GROUP (if there are any), CODE and VECTOR of all rows, kept.

    Raises
    ------
    InvalidRowsError
        If an id is null or occurs twice, or a row has no usable features, label or group.
    """
    groups = [] if table.groups is None else [column(table.groups).alias(GROUP)]
    prepared = df.select(
        column(table.id).alias(ROW),
        table.label.alias(LABEL),
        *groups,
        key_number(df, table.id).alias(_KEY),
        table.features.input.column.alias(_FEATURES),
    )
    names = [ROW, LABEL, *([] if table.groups is None else [GROUP])]
    inputs = [column_input(_KEY), column_input(_FEATURES)]
    made = with_mapped(prepared, rows_batch(n_features, seed), inputs, ROWS, keep=names)
    rows = stack.enter_context(kept(made))
    validate = "training.validate"
    n_rows = require_unique(rows, ROW, validate=validate, called=table.id).n_rows
    # Class indices are checked as they are counted.
    is_unfit = F.col(VECTOR).isNull() | F.col(LABEL).isNull()
    if table.groups is not None:
        is_unfit |= F.col(GROUP).isNull()
    if n_unfit := rows.where(is_unfit).count():
        wanted = ["usable features"]
        wanted += ["a finite label"] if isinstance(table, NumberTable) else []
        wanted += [] if table.groups is None else ["a group"]
        these = " or ".join(filter(None, (", ".join(wanted[:-1]), wanted[-1])))
        raise InvalidRowsError(
            f"{n_unfit} of {n_rows} rows cannot be scored, for want of {these}; "
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
    """Return ROW, LABEL, CODE and FOLD of rows; features are not moved for it.

    As :func:`lq_spark.core.training.assign_folds` has them. ``of_classes`` are the rows of each
    class, shape (K,).
    """
    if by_group:
        coded = coded_groups(rows, seed)
        ranked = ranked_by_code(coded.select(F.col(GROUP).alias("key"), F.col(CODE).alias("code")))
        fold = F.pmod(F.col("rank") - 1, F.lit(n_folds)).cast("int")
        of_group = ranked.select(F.col("key").alias(GROUP), fold.alias(FOLD))
        return rows.join(of_group, GROUP).select(ROW, LABEL, CODE, FOLD)
    narrow = rows.select(
        F.col(ROW).alias("key"), F.col(LABEL).alias("group"), F.col(CODE).alias("code")
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
        F.col("group").alias(LABEL),
        F.col("code").alias(CODE),
        fold.alias(FOLD),
    )


def coded_groups(rows: DataFrame, seed: int) -> DataFrame:
    """Return each GROUP of rows once, with its CODE."""
    groups = rows.select(GROUP).distinct()
    keyed = groups.withColumn(_KEY, key_number(groups, GROUP))
    return with_mapped(keyed, codes_batch(seed), [column_input(_KEY)], CODES, keep=[GROUP])


def counts_of(folds: DataFrame, n_folds: int, n_classes: int) -> NDArray[np.int64]:
    """Return the rows of each fold and class, shape (F, K)."""
    counts = np.zeros((n_folds, n_classes), dtype=np.int64)
    for fold, label, n in folds.groupBy(FOLD, LABEL).count().collect():
        counts[fold, label] = n
    return counts


def with_trained(
    folds: DataFrame, counts: NDArray[np.int64], max_train_rows: int, stacklevel: int = 2
) -> DataFrame:
    """Return ROW, LABEL, FOLD and IS_TRAINED: whether a row is trained with, for other folds.

    Where that are too many rows, those of the lowest codes of each fold and class are; it warns.
    """
    quotas = training_quotas(counts, max_train_rows)
    if quotas is counts:
        return folds.select(ROW, LABEL, FOLD, F.lit(True).alias(IS_TRAINED))
    warn_of_drawn(max_train_rows, quotas, counts, " in each class", stacklevel=stacklevel + 1)
    n_classes = counts.shape[1]
    cell = F.col(FOLD).cast("bigint") * F.lit(n_classes) + F.col(LABEL)
    return with_drawn(folds, cell, quotas.reshape(-1).tolist(), [LABEL, FOLD])


def warn_of_drawn(
    max_train_rows: int,
    quotas: NDArray[np.int64],
    counts: NDArray[np.int64],
    where: str,
    *,
    stacklevel: int,
) -> None:
    """Warn that models are trained with some of the rows alone; both of shape (F, K)."""
    warnings.warn(
        f"max_train_rows is {max_train_rows}: a model is trained with at most "
        f"{n_trained(quotas).max()} of {n_trained(counts).max()} rows, drawn by a hash of the id"
        f"{where}",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


def with_drawn(
    folds: DataFrame, cell: Column, quotas: Sequence[int], names: Sequence[str]
) -> DataFrame:
    """Return ROW, some columns and IS_TRAINED: whether a code is among the lowest of its cell.

    ``quotas`` says how many of each cell, a bigint from 0, are trained with.
    """
    given = [F.col(ROW).alias("key"), F.col(CODE).alias("code"), cell.alias(_CELL)]
    ranked = ranked_by_code(folds.select(*given, *names), _CELL)
    schema = StructType([StructField(name, LongType()) for name in (_CELL, "quota")])
    table = small_table(folds.sparkSession, list(enumerate(quotas)), schema)
    is_trained = (F.col("rank") <= F.col("quota")).alias(IS_TRAINED)
    return ranked.join(table.hint("broadcast"), _CELL).select(
        F.col("key").alias(ROW), *names, is_trained
    )


def n_parts_of(n_held_out: int, n_features: int) -> int:
    """Return into how many parts the rows of a fold are cut: each is predicted in a task."""
    return max(1, n_held_out * 8 * n_features // PART_BYTES)


def predictions(
    rows: DataFrame,
    folds: DataFrame,
    task: FoldTask,
    kind: DataType,
    *,
    first: Column,
    last: Column,
    n_models: int,
    n_parts: int,
    stack: ExitStack,
) -> DataFrame:
    """Return ROW, what is predicted and FOLD of all rows, by models of rows of other folds. Lazy.

    Each task is handed what it trains with, so nothing has to be in a place that all workers reach.
    The rows to train with are copied for each other fold, but there are no more than
    ``max_train_rows`` of them in a task. Those that are held out go to the same task, so that no
    model, which may be larger than the rows, leaves it. Where they are cut into parts, a model is a
    row of a table, which is kept, and goes to the task of each part as one more row of it.

    Parameters
    ----------
    rows : DataFrame
        ROW and VECTOR.
    folds : DataFrame
        ROW, LABEL, FOLD, IS_TRAINED; read twice where there are parts.
    task : FoldTask
    kind : DataType
        Of an id.
    first, last : Column
        Of ``folds``: between which folds, int, those lie for whose models a row counts.
    n_models : int
        How many there may be at most.
    n_parts : int
        Of :func:`n_parts_of`.
    stack : ExitStack
        Keeps what is needed until it ends.
    """
    is_left_out = F.col(FOLD) == LEFT_OUT
    lowest, highest = (F.when(is_left_out, end).otherwise(F.col(FOLD)) for end in (first, last))
    every, alone = F.sequence(first, last), F.sequence(lowest, highest)
    predicted = DoubleType() if task.n_classes is None else ArrayType(DoubleType())
    made = StructField(task.predicted_name, predicted)
    schema = StructType([StructField(ROW, kind), made, StructField(FOLD, IntegerType())])
    if n_parts > 1:
        trained = _copied(rows, folds.where(IS_TRAINED), every).where(F.col(TASK) != F.col(FOLD))
        model = StructType([StructField(TASK, IntegerType()), StructField(VECTOR, BinaryType())])
        given = trained.select(ROW, LABEL, TASK, VECTOR)
        models = stack.enter_context(
            kept(map_groups(given, [TASK], task.model_group(), model, n_tasks=n_models))
        )
        part = F.pmod(F.xxhash64(column(ROW)), F.lit(n_parts)).cast("int").alias(_PART)
        each = F.explode(F.sequence(F.lit(0), F.lit(n_parts - 1))).alias(_PART)
        no_row = F.lit(None).cast(kind).alias(ROW)
        held_out = _copied(rows, folds, alone).select(ROW, TASK, part, VECTOR)
        both = held_out.unionByName(models.select(no_row, TASK, each, VECTOR))
        groups, n_tasks = [TASK, _PART], n_models * n_parts
        return map_groups(both, groups, task.part_group(), schema, n_tasks=n_tasks)
    given = _copied(rows, folds, F.when(F.col(IS_TRAINED), every).otherwise(alone))
    return map_groups(given, [TASK], task.group(), schema, n_tasks=n_models)


def _copied(rows: DataFrame, folds: DataFrame, tasks: Column) -> DataFrame:
    """Return ROW, LABEL, FOLD, TASK and VECTOR of each row, once for each of its tasks."""
    placed = rows.select(ROW, VECTOR).join(folds, ROW)
    return placed.withColumn(TASK, F.explode(tasks)).select(ROW, LABEL, FOLD, TASK, VECTOR)

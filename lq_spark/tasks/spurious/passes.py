"""How well properties predict classes, from passes over a table: folds, moments, predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.spurious.api import Correlations, finish_hits
from lq_spark.core.spurious.bayes import Models, fitted_models, merge_hits, partial_hits
from lq_spark.core.spurious.folds import Folds, stratified_folds
from lq_spark.core.spurious.moments import (
    MomentSums,
    Scale,
    finish_moments,
    merge_moments,
    partial_moments,
)
from lq_spark.engine.inputs import column
from lq_spark.engine.kept import frozen
from lq_spark.engine.numbers import values_of
from lq_spark.engine.rank import ranked_by_key
from lq_spark.engine.small_tables import small_table
from lq_spark.engine.verbs import reduce_rows
from lq_spark.tasks.shared.columns import n_true
from lq_spark.tasks.spurious.columns import property_of, scales_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.tasks.shared.class_counts import Labels

_CLASS, _RANK, _FOLD = "group", "rank", "fold"


class _Rows(NamedTuple):
    """The rows of a batch, see :mod:`lq_spark.core.spurious`."""

    steps: Float64
    labels: NDArray[np.int64]
    folds: NDArray[np.int64]


_Reader = Callable[[pa.RecordBatch], _Rows]


def found_correlations(
    df: DataFrame,
    id: str,
    labels: Labels,
    counts: NDArray[np.int64],
    names: Sequence[str],
    n_folds: int,
    threshold: float,
) -> Correlations:
    """Return how well each property predicts the classes.

    One pass over the properties; over ids and labels one for the order of the classes, and three
    that find where folds end; two over all columns, for moments and predictions. Ids and labels
    alone are sorted, in ranges.

    Parameters
    ----------
    df : DataFrame
        Its ids tell its rows apart, and each label is a class.
    id : str
    labels : Labels
    counts : ndarray of int64, shape (K,)
        The rows of each class.
    names : sequence of str
        The properties.
    n_folds, threshold
        As for :func:`lq_spark.core.spurious.find_spurious_correlations`.

    Raises
    ------
    DataError
        If no class has as many rows as there are folds.
    InvalidRowsError
        If a property is null, NaN or infinite.
    """
    stratified_folds(counts, np.flatnonzero(counts).tolist(), n_folds)  # are there enough rows
    scales = scales_of(df, names)
    places = [f"p{n}" for n in range(len(names))]
    rows = df.select(
        column(id).alias("key"),
        labels.index.alias(_CLASS),
        *(property_of(name).alias(place) for name, place in zip(names, places, strict=True)),
    )
    folds = stratified_folds(counts, _order(rows), n_folds)
    read = _reader(scales)
    with frozen(_last_keys(rows.select("key", _CLASS), folds)) as last:
        cut = _with_folds(rows, last, n_folds).select(_CLASS, _FOLD, *places)
        partial = _moments(read, folds)
        sums = cast("MomentSums", reduce_rows(cut, partial, merge_moments))
        models = fitted_models(finish_moments(sums))
        hits = cast("NDArray[np.int64]", reduce_rows(cut, _hits(read, models), merge_hits))
    return finish_hits(hits, sums.counts, threshold)


def _order(rows: DataFrame) -> list[int]:
    """Return the classes in the order of their lowest ids."""
    first = rows.groupBy(_CLASS).agg(F.min("key").alias("first"))
    return [row[_CLASS] for row in first.orderBy("first").select(_CLASS).collect()]


def _last_keys(rows: DataFrame, folds: Folds) -> DataFrame:
    """Return the last key of each class in a fold or an earlier one, a column each but the last.

    Null if there is none.
    """
    ends = folds.ends[:, :-1]
    wanted = [(*map(int, place), int(ends[tuple(place)])) for place in np.argwhere(ends)]
    schema = StructType([StructField(name, LongType()) for name in (_CLASS, _FOLD, _RANK)])
    table = small_table(rows.sparkSession, wanted, schema).hint("broadcast")
    found = ranked_by_key(rows, _CLASS).join(table, [_CLASS, _RANK])
    keys = (F.when(F.col(_FOLD) == fold, F.col("key")) for fold in range(folds.n_folds - 1))
    last = (F.max(key).alias(_last(fold)) for fold, key in enumerate(keys))
    return found.groupBy(_CLASS).agg(*last)


def _with_folds(rows: DataFrame, last: DataFrame, n_folds: int) -> DataFrame:
    """Return rows with the fold in which each is held out; they are not moved for it."""
    is_beyond = (F.col("key") > F.col(_last(fold)) for fold in range(n_folds - 1))
    fold = n_true([F.coalesce(flag, F.lit(True)) for flag in is_beyond]).cast("bigint")
    return rows.join(last.hint("broadcast"), _CLASS, "left").withColumn(_FOLD, fold)


def _last(fold: int) -> str:
    return f"last{fold}"


def _reader(scales: Sequence[Scale]) -> _Reader:
    """Return (class, fold, properties) -> the rows of a batch."""

    def read(batch: pa.RecordBatch) -> _Rows:
        labels, folds, *properties = map(values_of, batch.columns)
        steps = [scale.steps(values) for scale, values in zip(scales, properties, strict=True)]
        return _Rows(np.stack(steps), labels, folds)

    return read


def _moments(read: _Reader, folds: Folds) -> Callable[[pa.RecordBatch], MomentSums]:
    n_classes, n_folds = folds.n_classes, folds.n_folds
    return lambda batch: partial_moments(*read(batch), n_classes, n_folds)


def _hits(read: _Reader, models: Models) -> Callable[[pa.RecordBatch], NDArray[np.int64]]:
    return lambda batch: partial_hits(*read(batch), models)

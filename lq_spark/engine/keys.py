"""Whether the key column of a table is unique."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType

from lq_spark.engine.inputs import column, require_key
from lq_spark.engine.numbers import values_of
from lq_spark.engine.readings import column_input
from lq_spark.engine.reductions import Reduction, Reductions, States, reduce_all

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SPARSE = 64
"""Whole numbers whose range is more than this many times their count do not go into bitmaps."""


@dataclass(frozen=True, slots=True)
class KeySummary:
    """How many rows a table has, and whether each has a key of its own."""

    n_rows: int
    is_unique: bool


def key_ranges(df: DataFrame, key: str, *, by_engine: bool = False) -> Reductions:
    """Return what may tell in a pass over the table what :func:`summarize_key` asks, if anything.

    Its keys must be whole numbers, and workers read them, unless they are handed over
    ``by_engine`` in that pass.
    """
    if not isinstance(require_key(df, "id", key), IntegralType):
        return {}
    reduction = Reduction({"key": column_input(key)}, _ranges_of, _joined_ranges)
    return {_RANGES: reduction} if by_engine or reduction.by_workers(df) else {}


def summarize_key(df: DataFrame, key: str, states: States | None = None) -> KeySummary:
    """Count the rows of a table and check its key exactly, reading the key column alone.

    Not even that where the ``states`` of an earlier pass, made by :func:`key_ranges`, tell.

    Whole numbers that ascend in the files that workers read need no more than a look. Those in a
    narrow range are marked in bitmaps, one bit each. Other keys are shuffled as
    64-bit hashes, and the keys themselves only if two hashes are equal.
    """
    states = reduce_all(df, key_ranges(df, key)) if states is None else states
    if _RANGES in states and (found := _summary_of_ranges(states[_RANGES])):
        return found
    if isinstance(require_key(df, "id", key), IntegralType):
        return _summarize_integers(df, key)
    return _summarize_hashes(df, key)


_RANGES = "keys"


@dataclass(frozen=True, slots=True)
class _Ranges:
    """The keys of some rows, in order of the rows.

    Attributes
    ----------
    n_rows : int
    ranges : ndarray of int64, shape (m, 2)
        The lowest and the highest key of ascending runs, in which no key occurs twice.
    ascend : bool
        Whether there is nothing but such runs.
    """

    n_rows: int
    ranges: NDArray[np.int64]
    ascend: bool


def _summary_of_ranges(found: _Ranges | None) -> KeySummary | None:
    """Return the summary of keys that ascend in the files; None if this does not tell."""
    if found is None:
        return KeySummary(0, True)
    ranges = found.ranges[np.argsort(found.ranges[:, 0])]
    apart = found.ascend and bool((ranges[1:, 0] > ranges[:-1, 1]).all())
    return KeySummary(found.n_rows, True) if apart else None


def _ranges_of(batch: pa.RecordBatch) -> _Ranges:
    [column] = batch.columns
    if column.null_count:
        return _Ranges(batch.num_rows, np.zeros((0, 2), dtype=np.int64), False)
    keys = values_of(column)
    ends = np.array([[keys[0], keys[-1]]], dtype=np.int64)
    return _Ranges(batch.num_rows, ends, bool((keys[1:] > keys[:-1]).all()))


def _joined_ranges(a: _Ranges, b: _Ranges) -> _Ranges:
    ranges = np.concatenate([a.ranges, b.ranges])
    seam = len(a.ranges)
    if 0 < seam < len(ranges) and ranges[seam, 0] > ranges[seam - 1, 1]:
        ranges[seam - 1, 1] = ranges[seam, 1]
        ranges = np.delete(ranges, seam, axis=0)
    return _Ranges(a.n_rows + b.n_rows, ranges, a.ascend and b.ascend)


def duplicate_keys(df: DataFrame, key: str) -> DataFrame:
    """Return the keys that more than one row has, each once. Null keys are not among them."""
    require_key(df, "id", key)
    keys = df.select(column(key).alias("key")).where("key is not null")
    counts = keys.groupBy("key").agg(F.count(F.lit(1)).alias("n_rows"))
    return counts.where("n_rows > 1").select(F.col("key").alias(key))


def _summarize_integers(df: DataFrame, key: str) -> KeySummary:
    [(n_rows, n_keys, low, high)] = df.agg(
        F.count(F.lit(1)), F.count(column(key)), F.min(column(key)), F.max(column(key))
    ).collect()
    if n_rows == 0 or n_keys < n_rows:
        return KeySummary(n_rows, n_rows == 0)
    if high - low > _SPARSE * n_rows:
        return _summarize_hashes(df, key)
    position = column(key).cast("bigint") - F.lit(low)
    [(n_distinct,)] = (
        df.groupBy(F.bitmap_bucket_number(position))
        .agg(F.bitmap_construct_agg(F.bitmap_bit_position(position)).alias("bitmap"))
        .agg(F.sum(F.bitmap_count("bitmap")))
        .collect()
    )
    return KeySummary(n_rows, n_distinct == n_rows)


def _summarize_hashes(df: DataFrame, key: str) -> KeySummary:
    [(n_rows, n_keys, most)] = (
        df.groupBy(F.xxhash64(column(key)))
        .agg(F.count(F.lit(1)).alias("rows"), F.count(column(key)).alias("keys"))
        .agg(F.sum("rows"), F.sum("keys"), F.max("rows"))
        .collect()
    )
    if n_rows is None:
        return KeySummary(0, True)
    return KeySummary(n_rows, n_keys == n_rows and (most == 1 or duplicate_keys(df, key).isEmpty()))

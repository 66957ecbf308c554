"""The facts of images, counted: thresholds, the cut, pixels at the cut, pairs of classes.

They are read several times and are small beside the images: persist them, or write them down.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from lq_spark.core.confident.joint import SparseMatrix, added_pairs, counted_pairs
from lq_spark.core.confident.thresholds import ClassSums
from lq_spark.core.segmentation.issues import (
    SegmentationModel,
    count_confident,
    count_issue_pairs,
    count_tied,
    issue_pixels,
    pixel_thresholds,
)
from lq_spark.core.segmentation.pixels import doubtful_type
from lq_spark.core.shared.constants import PROBABILITY_SLACK
from lq_spark.core.shared.selection import (
    Bracket,
    BucketCounts,
    count_buckets,
    merge_buckets,
    narrowed,
    order_bits,
)
from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.readings import Input, column_input, literal_input
from lq_spark.engine.running import reaching
from lq_spark.engine.verbs import (
    map_batches,
    reduce_partitions,
    reduce_rows,
    select,
    select_inputs,
)
from lq_spark.tasks.segmentation.batches import ALL_TIED, CLASS_SUMS, DOUBTFUL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_Counted = tuple[int, BucketCounts]

_BUCKETS = "bucket bigint, count bigint, low bigint, high bigint"

_CONFIDENT = -1
"""Stands in the place of a bucket for the pixels confidently of another class."""


def class_sums_of(facts: DataFrame, n_classes: int) -> tuple[NDArray[np.int64], ClassSums]:
    """Return pixels of each class, and class sums of the downsampled pixels, of all images."""
    total = reduce_rows(select(facts, CLASS_SUMS), _sums_partial(n_classes), np.add)
    counts, *sums = np.zeros((4, n_classes), dtype=np.int64) if total is None else total
    return counts, ClassSums(*sums)


def _sums_partial(n_classes: int) -> Callable[[pa.RecordBatch], NDArray[np.int64]]:
    def partial(batch: pa.RecordBatch) -> NDArray[np.int64]:
        sums = [np.frombuffer(value.as_buffer(), "<i8") for value in batch.column(0)]
        total: NDArray[np.int64] = np.add.reduce(sums).reshape(4, n_classes)
        return total

    return partial


def fitted_model(facts: DataFrame, sums: ClassSums, downsample: int) -> SegmentationModel:
    """Return :func:`lq_spark.core.segmentation.issues.fit_pixels` of all images.

    How many pixels are sought is counted with the first buckets, which do not depend on it. No more
    than 2^17 counts come to the driver in a round, of whatever number of pixels.
    """
    thresholds = pixel_thresholds(sums)
    counted = _Counting(select(facts, DOUBTFUL), thresholds.as_array(), doubtful_type(downsample))
    bracket = Bracket.between(-PROBABILITY_SLACK, 1.0, n=1)
    n_lowest, buckets = counted.round(bracket)
    if n_lowest == 0:
        return SegmentationModel(thresholds, 0, None, downsample=downsample)
    bracket = narrowed(replace(bracket, n=n_lowest), buckets)
    while not bracket.is_exact:
        bracket = narrowed(bracket, counted.round(bracket)[1])
    n_tied = bracket.count or 0
    return SegmentationModel(thresholds, n_lowest, bracket.value, n_tied, bracket.n, downsample)


@dataclass(frozen=True)
class _Counting:
    """Rounds of counting the doubtful pixels of a table of facts."""

    doubtful: DataFrame
    thresholds: NDArray[np.float64]
    pixels: np.dtype[np.void]

    def round(self, bracket: Bracket) -> tuple[int, BucketCounts]:
        """Return how many pixels are confidently of another class, and the counts of buckets."""
        partial, finish = _bucket_partial(self.thresholds, self.pixels, bracket), _bucket_rows
        parts = reduce_partitions(self.doubtful, partial, _merge_counted, finish, _BUCKETS)
        totals = parts.groupBy("bucket").agg(F.sum("count"), F.min("low"), F.max("high"))
        found = np.array([tuple(row) for row in totals.collect()], dtype=np.int64).reshape(-1, 4)
        found = found[np.argsort(found[:, 0])]
        is_bucket = found[:, 0] != _CONFIDENT
        return int(found[~is_bucket, 1].sum()), BucketCounts(*found[is_bucket].T)


def _bucket_partial(
    thresholds: NDArray[np.float64], pixels: np.dtype[np.void], bracket: Bracket
) -> Callable[[pa.RecordBatch], _Counted]:
    def partial(batch: pa.RecordBatch) -> _Counted:
        parts = [np.frombuffer(value.as_buffer(), pixels) for value in batch.column(0)]
        doubtful = np.concatenate(parts)
        bits = order_bits(doubtful["confidence"])
        return count_confident(doubtful, thresholds), count_buckets(bits, bracket)

    return partial


def _merge_counted(a: _Counted, b: _Counted) -> _Counted:
    return a[0] + b[0], merge_buckets(a[1], b[1])


def _bucket_rows(counted: _Counted) -> pa.RecordBatch:
    n_confident, buckets = counted
    columns = [buckets.bucket, buckets.count, buckets.low, buckets.high]
    arrays = [
        pa.array(np.append(values, extra))
        for values, extra in zip(columns, (_CONFIDENT, n_confident, 0, 0), strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=["bucket", "count", "low", "high"])


def all_pixels_at_the_cut(id: str) -> Input:
    """Return that all pixels at the cut are taken of an image, by the column ``id``."""
    return literal_input(ALL_TIED, id)


def pixels_taken(facts: DataFrame, fitted: SegmentationModel, id: str) -> Input:
    """Return how many pixels at the cut are taken of an image: bigint, by the column ``id``.

    Pixels at the cut are taken in the order of the ids and of their places in the image, as many
    as the model says. Only where that is not all of them, the images that have some are counted,
    one narrow row an image, in the order of the ids.
    """
    if fitted.cut is None or fitted.n_taken == fitted.n_tied:
        return all_pixels_at_the_cut(id)
    tied = map_batches(
        select_inputs(facts, key=column_input(id), doubtful=column_input(DOUBTFUL)),
        _tied_of_images(fitted.cut, doubtful_type(fitted.downsample)),
        StructType([StructField("key", column_type(facts, id)), StructField("count", LongType())]),
    )
    last, of_last = reaching(tied.where("count > 0"), fitted.n_taken)
    last_id = F.lit(last)
    taken = (
        F.when(column(id) < last_id, F.lit(ALL_TIED))
        .when(column(id) == last_id, F.lit(of_last).cast("bigint"))
        .otherwise(F.lit(0).cast("bigint"))
    )
    if not isinstance(last, (int, str)):  # whose order is Arrow's too
        return Input(taken)
    return Input(taken, id, functools.partial(_taken_up_to, last=last, of_last=of_last))


def _taken_up_to(ids: pa.Array, last: int | str, of_last: int) -> pa.Array:
    limit = pa.scalar(last, ids.type)
    of_others = pc.if_else(pc.less(ids, limit), ALL_TIED, 0)
    return pc.if_else(pc.equal(ids, limit), of_last, of_others).cast(pa.int64())


def _tied_of_images(
    cut: float, pixels: np.dtype[np.void]
) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    def tied(batch: pa.RecordBatch) -> pa.RecordBatch:
        counts = [count_tied(np.frombuffer(v.as_buffer(), pixels), cut) for v in batch.column(1)]
        arrays = [batch.column(0), pa.array(counts, pa.int64())]
        return pa.RecordBatch.from_arrays(arrays, names=["key", "count"])

    return tied


def issue_pairs(facts: DataFrame, fitted: SegmentationModel, taken: Input) -> SparseMatrix:
    """Return how many issue pixels there are of each pair (given, predicted) of classes."""
    cut, n_classes = fitted.cut, fitted.n_classes
    pixels = doubtful_type(fitted.downsample)

    def partial(batch: pa.RecordBatch) -> SparseMatrix:
        chosen = [
            issue_pixels(np.frombuffer(value.as_buffer(), pixels), cut, n.as_py())
            for value, n in zip(*batch.columns, strict=True)
        ]
        return count_issue_pairs(np.concatenate(chosen), n_classes)

    none = np.zeros(0, dtype=np.int64)
    chosen = select_inputs(facts, doubtful=column_input(DOUBTFUL), taken=taken)
    return reduce_rows(chosen, partial, added_pairs) or counted_pairs(n_classes, none, none)

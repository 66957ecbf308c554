"""The passes over a table of images with boxes that what it says as a whole is made of.

One Python pass finds the lowest similarity and counts the boxes of each class in buckets of
probability; so each bucket knows how many boxes come before it in the order of its class. Buckets
make runs of about a million boxes, which are sorted, each in one task, and walked from the end; a
class of several runs takes another pass, in which each run knows the precision that is reached
behind it. See :mod:`lq_spark.core.detection.average_precision`.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import ByteType, DoubleType, IntegerType, StructField, StructType

from lq_spark.core.detection.average_precision import (
    N_OVERLAPS,
    BoxCounts,
    Run,
    bucket_of,
    finish_average_precision,
    match_boxes,
    partial_counts,
    start_run,
    walk,
)
from lq_spark.core.detection.scores import min_similarity
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.inputs import column_type
from lq_spark.engine.verbs import map_batches, map_sorted, reduce_partitions
from lq_spark.tasks.detection.batches import usable_images
from lq_spark.tasks.detection.columns import DetectionColumns, inputs_alone

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MAX_CELLS: Final = 1 << 12
"""Classes times buckets of probability that boxes are counted in, unless there are more classes."""

RUN_BOXES: Final = 1 << 20
"""Boxes of a class that are sorted in one task, or a bucket of them if that has more."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What one pass finds: the lowest similarity, and the boxes of each class by probability.

    Of images that can be scored; ``n_unusable`` is how many others there are.
    """

    min_similarity: float
    counts: BoxCounts
    n_unusable: int


def lowest_similarity(
    df: DataFrame, columns: DetectionColumns, n_classes: int, *, fail: bool
) -> float:
    """Return the lowest similarity above 0 of a label box and a predicted box; reads the table.

    An image that cannot be scored fails the query, or is left out.
    """
    classes = columns.names

    def partial(batch: pa.RecordBatch) -> float:
        return min_similarity(usable_images(batch.columns, n_classes, classes, fail=fail).found)

    def finish(lowest: float) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([pa.array([lowest])], names=["lowest"])

    parts = reduce_partitions(inputs_alone(df, columns), partial, min, finish, "lowest double")
    [(lowest,)] = parts.agg(F.min("lowest")).collect()
    return 1.0 if lowest is None else float(lowest)


def table_totals(df: DataFrame, columns: DetectionColumns, n_classes: int, *, fail: bool) -> Totals:
    """Return the totals of a table; reads it once.

    An image that cannot be scored fails the query, or is left out and counted.
    """
    n_buckets = max(1, MAX_CELLS // n_classes)
    classes = columns.names

    def partial(batch: pa.RecordBatch) -> tuple[float, NDArray[np.int64]]:
        images = usable_images(batch.columns, n_classes, classes, fail=fail)
        found, n_unusable = images.found, batch.num_rows - images.found.n_images
        counts = partial_counts(found, match_boxes(found), n_classes, n_buckets)
        return min_similarity(found), np.append(counts.as_vector(), n_unusable)

    def merge(a: Any, b: Any) -> tuple[float, NDArray[np.int64]]:
        return min(a[0], b[0]), a[1] + b[1]

    def finish(state: tuple[float, NDArray[np.int64]]) -> pa.RecordBatch:
        lowest, numbers = state
        places = np.flatnonzero(numbers)
        arrays = [places, numbers[places], np.full(len(places), lowest)]
        return pa.RecordBatch.from_arrays(
            list(map(pa.array, arrays)), names=["place", "number", "lowest"]
        )

    schema = "place bigint, number bigint, lowest double"
    parts = reduce_partitions(inputs_alone(df, columns), partial, merge, finish, schema)
    numbers = np.zeros(BoxCounts.length(n_classes, n_buckets) + 1, dtype=np.int64)
    lowest = 1.0
    # Spark adds up what the partitions give, so that the driver gets one number a place.
    for row in parts.groupBy("place").agg(F.sum("number"), F.min("lowest")).collect():
        numbers[row[0]], lowest = row[1], min(lowest, row[2])
    counts = BoxCounts.of_vector(numbers[:-1], n_classes, n_buckets)
    return Totals(lowest, counts, int(numbers[-1]))


def table_precisions(
    df: DataFrame, columns: DetectionColumns, id: str, counts: BoxCounts
) -> Float64:
    """Return the average precision of each class at each overlap, shape (K, 10).

    Of boxes of equal probability those of the lowest id come first, then those of the first place
    in the image. Reads the table once, or twice if a class has more than :data:`RUN_BOXES` boxes.
    """
    runs = _runs(counts)
    starts = _starts(counts, runs)
    walked = _walked(df, columns, id, runs, starts)
    # Behind the last run of a class there is nothing; the others must know what is reached there.
    behind = _highest_behind(walked)
    if behind:
        last = np.max(runs, axis=1, where=counts.predictions > 0, initial=-1)
        before = np.where(runs < last[:, np.newaxis], runs, -1)
        knowing = {key: replace(starts[key], highest=highest) for key, highest in behind.items()}
        walked |= _walked(df, columns, id, before, knowing)
    high, low = (np.zeros((len(runs), N_OVERLAPS), dtype=np.int64) for _ in range(2))
    for (k, _), sums in walked.items():
        high[k] += sums.high
        low[k] += sums.low
    return finish_average_precision(high, low, counts.labels)


def _runs(counts: BoxCounts) -> NDArray[np.int64]:
    """Return the run of each class and bucket, shape (K, B): 0 that of the highest probabilities.

    -1 for classes that no label box has: their average precision is 0.
    """
    before = np.cumsum(counts.predictions[:, ::-1], axis=1)[:, ::-1] - counts.predictions
    return np.where(counts.labels[:, np.newaxis] > 0, before // RUN_BOXES, -1)


def _starts(counts: BoxCounts, runs: NDArray[np.int64]) -> dict[tuple[int, int], Run]:
    """Return each run that has boxes, before it is walked, by class and number."""
    starts = {}
    for k in np.flatnonzero(runs.max(axis=1) >= 0).tolist():
        for run in np.unique(runs[k][counts.predictions[k] > 0]).tolist():
            up_to = runs[k] <= run
            starts[k, run] = start_run(
                int(counts.predictions[k][up_to].sum()), counts.hits[k][up_to].sum(axis=0)
            )
    return starts


def _highest_behind(walked: Mapping[tuple[int, int], Run]) -> dict[tuple[int, int], Float64]:
    """Return the highest precision behind each run but the last one of its class."""
    behind: dict[tuple[int, int], Float64] = {}
    later: tuple[int, Float64] | None = None
    for k, run in sorted(walked, reverse=True):
        reached = walked[k, run].highest
        if later is not None and later[0] == k:
            behind[k, run] = later[1]
            reached = np.maximum(reached, later[1])
        later = k, reached
    return behind


def _walked(
    df: DataFrame,
    columns: DetectionColumns,
    id: str,
    runs: NDArray[np.int64],
    starts: Mapping[tuple[int, int], Run],
) -> dict[tuple[int, int], Run]:
    """Return the runs of the table after their boxes; a class and bucket of run -1 is left out."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: dict[tuple[int, int], Run] = {}
        for batch in batches:
            of_class, of_run, first, last = (
                np.asarray(batch[name], dtype=np.int64) for name in given
            )
            is_new = (np.diff(of_class, prepend=-1) != 0) | (np.diff(of_run, prepend=-1) != 0)
            begins = np.flatnonzero(is_new)
            for begin, end in zip(begins, [*begins[1:], len(first)], strict=True):
                key = int(of_class[begin]), int(of_run[begin])
                found[key] = walk(found.get(key, starts[key]), first[begin:end], last[begin:end])
        rows = [pickle.dumps(each) for each in found.items()]
        yield pa.RecordBatch.from_arrays([pa.array(rows, pa.binary())], names=["run"])

    groups = ("class", "run")
    given = (*groups, "first", "last")
    rows = map_sorted(
        _boxes(df, columns, id, runs),
        groups,
        {"prob": "ascending", "key": "descending", "place": "descending"},
        given,
        run,
        "run binary",
    ).collect()
    return dict(pickle.loads(row.run) for row in rows)


def _boxes(df: DataFrame, columns: DetectionColumns, id: str, runs: NDArray[np.int64]) -> DataFrame:
    """Return a row for each predicted box of a class and bucket that has a run."""
    n_classes, n_buckets = runs.shape
    classes = columns.names

    def rows(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = usable_images(batch.columns[1:], n_classes, classes, fail=True).found
        matches, boxes = match_boxes(found), found.predictions
        run = runs[boxes.classes, bucket_of(found.probs, n_buckets)]
        kept = np.flatnonzero(run >= 0)
        image = boxes.images[kept]
        numbers = [
            (boxes.classes[kept], pa.int32()),
            (run[kept], pa.int32()),
            (found.probs[kept], pa.float64()),
            (kept - boxes.offsets[image], pa.int32()),
            (matches.first[kept], pa.int8()),
            (matches.last[kept], pa.int8()),
        ]
        arrays = [pa.array(values).cast(kind) for values, kind in numbers]
        return pa.RecordBatch.from_arrays(
            [batch.column(0).take(pa.array(image)), *arrays],
            names=["key", "class", "run", "prob", "place", "first", "last"],
        )

    schema = StructType(
        [
            StructField("key", column_type(df, id)),
            StructField("class", IntegerType()),
            StructField("run", IntegerType()),
            StructField("prob", DoubleType()),
            StructField("place", IntegerType()),
            StructField("first", ByteType()),
            StructField("last", ByteType()),
        ]
    )
    return map_batches(inputs_alone(df, columns, id), rows, schema)

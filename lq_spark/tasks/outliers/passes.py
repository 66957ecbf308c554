"""What finds outliers, by distances to neighbours or by predicted probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, StructField, StructType

from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.outliers import distances as by_distance
from lq_spark.core.outliers import probabilities as by_probability
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.core.shared.quantiles import median_ranks, quantile
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.held import Held
from lq_spark.engine.kept import kept
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction, Input, column_input, literal_input
from lq_spark.engine.verbs import select, with_mapped
from lq_spark.tasks.neighbors.batches import DISTANCES, ROW
from lq_spark.tasks.neighbors.knn import GraphOptions, neighbor_lists
from lq_spark.tasks.shared.batches import usable_rows_batch
from lq_spark.tasks.shared.names import IS_OUTLIER_ISSUE, OUTLIER_SCORE
from lq_spark.tasks.shared.order_statistics import ranked_numbers
from lq_spark.tasks.shared.probabilities import Probabilities

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MEAN = "__lq_mean_distance"

FOUND = StructType(
    [StructField(IS_OUTLIER_ISSUE, BooleanType()), StructField(OUTLIER_SCORE, DoubleType())]
)
"""The columns that are added."""


class TypicalDistances(NamedTuple):
    """Which mean distances to neighbours are usual, over all rows."""

    n_rows: int
    median: float
    first_quartile: float
    third_quartile: float


class Scored(NamedTuple):
    """Rows with their scores, and the share of their nearest neighbours that was found."""

    rows: DataFrame
    recall: float


@dataclass(frozen=True)
class ByProbability:
    """How probabilities are scored.

    Attributes
    ----------
    probabilities : Probabilities
    n_classes : int
    method : str
    thresholds : Thresholds or None
        By which the probabilities are adjusted.
    n_largest, gamma
        Of method "gen".
    """

    probabilities: Probabilities
    n_classes: int
    method: str
    thresholds: Thresholds | None
    n_largest: int
    gamma: float


def scored_by_distance(
    df: DataFrame, options: GraphOptions, t: float, threshold: float, held: Held, *, fail: bool
) -> Scored:
    """Return ROW, the id of each row that can be used, with :data:`FOUND`.

    A row that has no others is at distance 0 from them. Raises as :func:`neighbor_lists`.
    """
    lists = neighbor_lists(df, options, held, fail=fail)
    means = mean_distances(lists.rows, held)
    function = distance_batch(typical_distances(means), options.metric, t, threshold)
    return Scored(judged(means, function), lists.recall)


def judged(means: DataFrame, function: BatchFunction) -> DataFrame:
    """Return ROW of mean distances, and what :func:`distance_batch` says of them."""
    return with_mapped(means, function, [column_input(MEAN)], FOUND, keep=[ROW])


def mean_distances(lists: DataFrame, held: Held) -> DataFrame:
    """Return ROW and MEAN, the mean distance of each row to its neighbours, held from now on."""
    mean = StructType([StructField(MEAN, DoubleType())])
    return held.hold(with_mapped(lists, means_batch, [column_input(DISTANCES)], mean, keep=[ROW]))


def typical_distances(means: DataFrame) -> TypicalDistances:
    """Return which mean distances are usual, exactly."""
    n, found = ranked_numbers(
        select(means, MEAN), _numbers, lambda n: (*median_ranks(n), *_quartile_ranks(n))
    )
    if not n:
        return TypicalDistances(0, 0.0, 0.0, 0.0)
    low, high, *ends = (number.value for number in found)
    first, third = (quantile(n, share).of(*ends[i : i + 2]) for i, share in ((0, 0.25), (2, 0.75)))
    return TypicalDistances(n, (low + high) / 2.0, first, third)


def _quartile_ranks(n: int) -> tuple[int, ...]:
    first, third = quantile(n, 0.25), quantile(n, 0.75)
    return first.low, first.high, third.low, third.high


def with_probability_scores(
    df: DataFrame, how: ByProbability, threshold: float | None, *, fail: bool
) -> DataFrame:
    """Return the table with :data:`FOUND`. Lazy, but for the median score.

    Rows that cannot be scored fail the query, or have nulls. Without a threshold none is flagged.
    """
    limit = -np.inf
    if threshold is not None:
        scored = _with_scores(df, how, limit, fail=False)
        with kept(select(scored, OUTLIER_SCORE)) as scores:
            n, found = ranked_numbers(scores, _numbers, median_ranks)
        if n:
            low, high = (number.value for number in found)
            limit = threshold * ((low + high) / 2.0)
    return _with_scores(df, how, limit, fail=fail)


def _with_scores(df: DataFrame, how: ByProbability, limit: float, *, fail: bool) -> DataFrame:
    thresholds = None if how.thresholds is None else how.thresholds.as_array()
    method, n_largest, gamma = how.method, how.n_largest, how.gamma

    def run(_: NDArray[np.int64], pred_probs: NDArray[np.floating]) -> dict[str, pa.Array]:
        scores = by_probability.probability_scores(
            pred_probs, method, thresholds, n_largest=n_largest, gamma=gamma
        )
        return {IS_OUTLIER_ISSUE: array_of(scores < limit), OUTLIER_SCORE: array_of(scores)}

    function = usable_rows_batch(run, how.n_classes, fail=fail, tolerance=SUM_TOLERANCE)
    return with_mapped(df, function, probability_inputs(df, how.probabilities), FOUND)


def probability_inputs(df: DataFrame, probabilities: Probabilities) -> list[Input]:
    """Return what functions of labelled rows take, of rows whose labels do not matter."""
    label = literal_input(0, beside=probabilities.source or df.columns[0])
    return [Input(F.lit(0).cast("bigint"), label.source, label.made), probabilities.input]


def _numbers(batch: pa.RecordBatch) -> Float64:
    """Return the numbers of a column that are not null."""
    values: Float64 = values_of(batch.column(0), np.nan)
    return values[~np.isnan(values)]


def means_batch(distances: pa.Array) -> dict[str, pa.Array]:
    """Return (distances to neighbours) -> MEAN: 0 of a row without any."""
    lists = flat_lists(distances)
    n = len(lists.lengths)
    if not len(lists.values):
        return {MEAN: array_of(np.zeros(n))}
    matrix = values_of(lists.values).reshape(n, -1)
    return {MEAN: array_of(by_distance.mean_distances(matrix))}


def distance_batch(
    typical: TypicalDistances, metric: str | None, t: float, threshold: float
) -> BatchFunction:
    """Return (mean distances) -> :data:`FOUND`."""
    scale = by_distance.scale_of(typical.median)
    limit = by_distance.largest_typical(typical.first_quartile, typical.third_quartile, threshold)

    def run(means: pa.Array) -> dict[str, pa.Array]:
        values = values_of(means)
        scores = by_distance.distance_scores(values, scale, metric, t)
        flags = by_distance.are_far(values, limit)
        return {IS_OUTLIER_ISSUE: array_of(flags), OUTLIER_SCORE: array_of(scores)}

    return run

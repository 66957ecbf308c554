"""The deviations of the rows of a table of numbers: fitted on all of them, then row by row.

See :mod:`lq_spark.core.regression` for what they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DoubleType, LongType, StructField, StructType

from lq_spark.core.regression.api import in_medians, quality, residual_deviations, scaled_residuals
from lq_spark.core.regression.grid import CellSums, Grid, partial_cell_sums
from lq_spark.core.regression.neighborhoods import Cloud, mean_distances, n_values
from lq_spark.core.regression.outre import fit_distances
from lq_spark.core.regression.plane import Plane, deviations, merge_planes, partial_plane
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.kept import kept
from lq_spark.engine.readings import BatchFunction
from lq_spark.engine.select import nth_lowest
from lq_spark.engine.sums import summed_vectors
from lq_spark.engine.verbs import State, map_batches, map_rows, reduce_rows, with_mapped
from lq_spark.errors import DataError, InvalidRowsError
from lq_spark.tasks.regression.columns import LABEL, RegressionTable
from lq_spark.tasks.shared.names import LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DEVIATION = "__lq_deviation"

Deviations = Callable[..., Float64]
"""(labels (n,), predictions (n,), and uncertainties (n,) where they count) -> deviations (n,)."""

PAIRS_OF_A_PART = 1 << 25
"""How many pairs of points are compared at once: a fraction of a second of one core."""


def fit_deviations(
    df: DataFrame, table: RegressionTable, method: str, exact_up_to: int, *, fail: bool
) -> Deviations:
    """Return the deviations of rows of a table, fitted now on all that can be scored.

    Raises
    ------
    InvalidRowsError
        If a row cannot be scored, and ``fail`` says that this is an error.
    """
    if method == "residual":
        return residual_deviations
    with kept(table.numbers(df)) as numbers:
        [(n_rows, n_usable)] = numbers.agg(F.count(F.lit(1)), F.count(LABEL)).collect()
        if fail and n_usable < n_rows:
            raise InvalidRowsError(
                f"{n_rows - n_usable} of {n_rows} rows cannot be scored; "
                "regression.validate says which and why"
            )
        if n_usable == 0:
            return lambda labels, *_: np.zeros(len(labels))
        usable = numbers.where(F.col(LABEL).isNotNull())
        if method == "outre":
            return _fit_outre(usable, exact_up_to)
        return _fit_scaled(usable, n_usable)


def with_deviations(
    df: DataFrame, table: RegressionTable, function: Deviations, *, fail: bool
) -> DataFrame:
    """Return the table with the deviations and ``label_quality``. Lazy.

    A row that cannot be scored fails the query, or has nulls.
    """
    text = F.concat(table.reason, F.lit("; regression.validate names all such rows"))
    missing = F.raise_error(text).cast("double") if fail else F.lit(None).cast("double")
    inputs = [F.when(table.reason.isNull(), number).otherwise(missing) for number in table.columns]
    schema = StructType([StructField(name, DoubleType()) for name in (DEVIATION, LABEL_QUALITY)])
    return with_mapped(df, score_batch(function), inputs, schema)


def score_batch(function: Deviations) -> BatchFunction:
    """Return (label, prediction, …) -> deviation and label quality; null where they are null."""

    def run(*numbers: pa.Array) -> dict[str, pa.Array]:
        arrays = [_doubles(array) for array in numbers]
        usable = ~np.isnan(arrays[0])
        result = np.full(len(usable), np.nan)
        result[usable] = function(*(array[usable] for array in arrays))
        # NaN is null: no deviation is NaN.
        return {
            DEVIATION: pa.array(result, from_pandas=True),
            LABEL_QUALITY: pa.array(quality(result), from_pandas=True),
        }

    return run


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows of a table of numbers, as :mod:`lq_spark.core.regression.outre` asks for them."""

    df: DataFrame

    def plane(self) -> Plane:
        """Return the moments of all rows."""
        plane = reduce_rows(self.df, lambda batch: partial_plane(*_columns(batch)), merge_planes)
        return _some(plane)

    def points(self) -> tuple[Float64, Float64]:
        """Return the labels and predictions of all rows."""

        def joined(a: tuple[Float64, ...], b: tuple[Float64, ...]) -> tuple[Float64, ...]:
            return tuple(np.concatenate(pair) for pair in zip(a, b, strict=True))

        labels, predictions = _some(reduce_rows(self.df, _columns, joined))
        return labels, predictions

    def cell_sums(self, plane: Plane, cells: Grid) -> CellSums:
        """Return how many rows each cell holds, and where."""

        def partial(batch: pa.RecordBatch) -> CellSums:
            return partial_cell_sums(cells, *plane.points(*_columns(batch))).ravel()

        return summed_vectors(self.df, partial, 3 * len(cells.x)).reshape(3, -1)

    def measure(self, cloud: Cloud) -> Float64:
        """Return the mean distances in a cloud, its points shared out over the tasks."""
        n_points = len(cloud.x)
        step = max(1, PAIRS_OF_A_PART // n_points)
        n_parts = -(-n_points // step)
        if n_parts == 1:
            return mean_distances(cloud)

        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            parts = batch.column(0).to_pylist()
            values = [
                mean_distances(cloud, part * step, (part + 1) * step).tobytes() for part in parts
            ]
            return pa.RecordBatch.from_arrays(
                [pa.array(parts), pa.array(values, pa.binary())], names=["part", "values"]
            )

        schema = StructType([StructField("part", LongType()), StructField("values", BinaryType())])
        found = map_batches(self.df.sparkSession.range(n_parts), run, schema).collect()
        values = [
            np.frombuffer(row["values"]) for row in sorted(found, key=lambda row: row["part"])
        ]
        return np.concatenate([part.reshape(n_values(cloud), -1) for part in values], axis=1)


def _fit_outre(numbers: DataFrame, exact_up_to: int) -> Deviations:
    distances = fit_distances(TableRows(numbers), exact_up_to)
    return functools.partial(deviations, distances)


def _fit_scaled(numbers: DataFrame, n_rows: int) -> Deviations:
    scaled = map_rows(_scaled_batch, [F.col(name) for name in numbers.columns], _SCALED)
    with kept(numbers.select(scaled.getField("value").alias("value"))) as values:
        low, high = nth_lowest(values, [(n_rows + 1) // 2, n_rows // 2 + 1])
    median = (low + high) / 2.0

    def run(labels: Float64, predictions: Float64, uncertainty: Float64) -> Float64:
        return in_medians(scaled_residuals(labels, predictions, uncertainty), median)

    return run


_SCALED = StructType([StructField("value", DoubleType())])


def _scaled_batch(*numbers: pa.Array) -> dict[str, pa.Array]:
    return {"value": pa.array(scaled_residuals(*map(_doubles, numbers)))}


def _columns(batch: pa.RecordBatch) -> tuple[Float64, ...]:
    """Return the labels and predictions of a batch that has no nulls."""
    return _doubles(batch.column(0)), _doubles(batch.column(1))


def _doubles(array: pa.Array) -> Float64:
    """Return an array of doubles, NaN for nulls."""
    if pa.types.is_null(array.type):  # what pandas makes of a batch without a number
        return np.full(len(array), np.nan)
    values: Float64 = array.to_numpy(zero_copy_only=False)
    return values


def _some(state: State | None) -> State:
    """Return a state of a table that had rows when they were counted."""
    if state is None:
        raise DataError("the table had rows when they were counted and now has none")
    return state

"""The deviations of the rows of a table of numbers: fitted on all of them, then row by row.

See :mod:`lq_spark.core.regression` for what they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DoubleType,
    LongType,
    StructField,
    StructType,
)

from lq_spark.core.regression.api import (
    in_medians,
    is_usable,
    quality,
    residual_deviations,
    scaled_residuals,
)
from lq_spark.core.regression.grid import CellSums, Grid, partial_cell_sums
from lq_spark.core.regression.neighborhoods import Cloud, mean_distances, n_values
from lq_spark.core.regression.outre import fit_distances
from lq_spark.core.regression.plane import Plane, deviations, merge_planes, partial_plane
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.quantiles import median_ranks
from lq_spark.engine.kept import kept
from lq_spark.engine.key_order import are_up_to, key_input, plain_keys
from lq_spark.engine.numbers import array_of, bytes_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.engine.sums import summed_vectors
from lq_spark.engine.verbs import State, map_batches, reduce_rows, with_mapped
from lq_spark.errors import DataError, InvalidRowsError
from lq_spark.tasks.regression.columns import LABEL, RegressionTable, doubles
from lq_spark.tasks.shared.batches import spread
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.order_statistics import nth_lowest

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


NEW_COLUMNS = {
    DEVIATION: DoubleType(),
    LABEL_QUALITY: DoubleType(),
    PREDICTED_LABEL: DoubleType(),
    IS_LABEL_ISSUE: BooleanType(),
}


def with_scores(
    df: DataFrame,
    table: RegressionTable,
    function: Deviations,
    names: Sequence[str],
    *,
    flags: Flags | None = None,
    fail: bool,
) -> DataFrame:
    """Return the table with some of :data:`NEW_COLUMNS`. Lazy.

    A row that cannot be scored fails the query, or has nulls.
    """
    schema = StructType([StructField(name, NEW_COLUMNS[name]) for name in names])
    key = [] if flags is None or flags.last is None else [key_input(df, flags.id)]
    of_batch = score_batch(function, flags, len(table.inputs), fail=fail)
    return with_mapped(df, of_batch, [*table.inputs, *key], schema)


@dataclass(frozen=True, slots=True)
class Flags:
    """Which rows are label issues.

    Attributes
    ----------
    threshold : float or None
        Those of lower label quality; or else by deviation:
    above : float
        Those of larger deviation, and of this one the first.
    last : Array or None
        The last key of those; all of them where it is None.
    id : str
        The column of keys.
    """

    threshold: float | None = None
    above: float = np.inf
    last: pa.Array | None = None
    id: str = ""

    def of(self, deviations: Float64, keys: Sequence[pa.Array]) -> NDArray[np.bool_]:
        """Return which rows are issues; ``keys`` is one array where there is a last one."""
        if self.threshold is not None:
            return quality(deviations) < self.threshold
        taken: NDArray[np.bool_] = deviations >= self.above
        if self.last is not None:
            [of_rows] = keys
            tied = np.flatnonzero(deviations == self.above)
            last = self.last.take(array_of(np.zeros_like(tied)))
            taken[tied] = are_up_to(plain_keys(of_rows).take(array_of(tied)), last)
        return taken


def score_batch(
    function: Deviations, flags: Flags | None, n_numbers: int = 2, *, fail: bool
) -> BatchFunction:
    """Return (label, prediction, …), doubles -> :data:`NEW_COLUMNS`, the flags if asked for.

    After ``n_numbers`` numbers comes the key, if flags depend on it.

    Raises
    ------
    InvalidRowsError
        From a batch, if a row of it cannot be scored and ``fail`` says so; else that has nulls.
    """

    def run(*inputs: pa.Array) -> dict[str, pa.Array]:
        arrays, keys = [_doubles(array) for array in inputs[:n_numbers]], inputs[n_numbers:]
        usable = is_usable(*arrays)
        n_unusable = len(usable) - int(np.count_nonzero(usable))
        if not n_unusable:
            return scored(arrays, keys)
        if fail:
            raise InvalidRowsError(
                f"{n_unusable} of {len(usable)} rows in one batch cannot be scored; "
                "regression.validate says which and why"
            )
        rows = array_of(usable)
        made = scored([array[usable] for array in arrays], [key.filter(rows) for key in keys])
        return {name: spread(values, usable) for name, values in made.items()}

    def scored(arrays: Sequence[Float64], keys: Sequence[pa.Array]) -> dict[str, pa.Array]:
        away = function(*arrays)
        made: dict[str, NDArray[Any]]
        made = {DEVIATION: away, LABEL_QUALITY: quality(away), PREDICTED_LABEL: arrays[1]}
        if flags is not None:
            made[IS_LABEL_ISSUE] = flags.of(away, keys)
        return {name: array_of(values) for name, values in made.items()}

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
            columns = [array_of(np.array(parts, np.int64)), bytes_of(values)]
            return pa.RecordBatch.from_arrays(columns, names=["part", "values"])

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
    low, high = nth_lowest(numbers, _scaled, median_ranks(n_rows))
    median = (low.value + high.value) / 2.0

    def run(labels: Float64, predictions: Float64, uncertainty: Float64) -> Float64:
        return in_medians(scaled_residuals(labels, predictions, uncertainty), median)

    return run


def _scaled(batch: pa.RecordBatch) -> Float64:
    return scaled_residuals(*map(_doubles, batch.columns))


def _columns(batch: pa.RecordBatch) -> tuple[Float64, ...]:
    """Return the labels and predictions of a batch that has no nulls."""
    return _doubles(batch.column(0)), _doubles(batch.column(1))


def _doubles(array: pa.Array) -> Float64:
    """Return an array of numbers as doubles, NaN for nulls."""
    return values_of(doubles(array), np.nan)


def _some(state: State | None) -> State:
    """Return a state of a table that had rows when they were counted."""
    if state is None:
        raise DataError("the table had rows when they were counted and now has none")
    return state

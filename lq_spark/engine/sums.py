"""Sums over a table that are the same, to the bit, in every order of addition."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F

from lq_spark.engine.inputs import column
from lq_spark.engine.numbers import array_of
from lq_spark.engine.readings import counts_in_files
from lq_spark.engine.verbs import reduce_partitions

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def scaled_halves(value: Column, bits: int) -> tuple[Column, Column]:
    """Return a number near [0, 1] as two integers: value = high / 2^bits + low / 2^(2 bits).

    Anything below 2^(-2 bits) is cut off. Sums of the halves are exact as bigint up to
    2^(63 - bits) rows, and native: Spark generates code for them.
    """
    scaled = value.cast("double") * F.lit(2.0**bits)
    high = F.floor(scaled)
    return high, F.floor((scaled - high) * F.lit(2.0**bits))


def count_values(df: DataFrame, name: str) -> tuple[int, int]:
    """Return how many rows a table has, and how many of them a value in a column."""
    found = counts_in_files(df, name)
    if found is None:
        [row] = df.agg(F.count(F.lit(1)), F.count(column(name))).collect()
        found = row[0], row[1]
    return found


def summed_vectors(
    df: DataFrame, partial: Callable[[pa.RecordBatch], NDArray[np.int64]], length: int
) -> NDArray[np.int64]:
    """Return the sum of the integer vectors that ``partial`` makes from a table's batches.

    Spark adds up the vectors of the partitions: the driver receives at most one number for each
    place, however many partitions there are.

    Parameters
    ----------
    df : DataFrame
        Holds only the columns that ``partial`` needs: all of them go to Python.
    partial : callable
        RecordBatch -> vector, shape (length,).
    length : int
    """

    def finish(vector: NDArray[np.int64]) -> pa.RecordBatch:
        places = np.flatnonzero(vector)
        return pa.RecordBatch.from_arrays(
            [array_of(places), array_of(vector[places])], names=["place", "number"]
        )

    parts = reduce_partitions(df, partial, np.add, finish, "place bigint, number bigint")
    total = np.zeros(length, dtype=np.int64)
    for place, number in parts.groupBy("place").agg(F.sum("number")).collect():
        total[place] = number
    return total

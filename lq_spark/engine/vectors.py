"""Columns of arrays of numbers, and of Spark ML vectors as such arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, FloatType, StructField, StructType

from lq_spark.engine.arrow import vector_lists
from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.kinds import is_sail
from lq_spark.engine.verbs import map_rows
from lq_spark.errors import ColumnError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def float_array(df: DataFrame, option: str, name: str) -> Column:
    """Return a column of numbers as array<float> or array<double>; raise ColumnError if it is none.

    A Spark ML vector, sparse or dense, becomes array<double>.
    """
    require_columns(df, **{option: name})
    kind = column_type(df, name)
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, (FloatType, DoubleType)):
        return column(name)
    if kind.typeName() in ("vector", "vectorudt"):
        return _vector_to_array(df.sparkSession, column(name))
    raise ColumnError(
        f"{option}: column {name!r} is {kind.simpleString()}; allowed are "
        "array<float>, array<double> and a Spark ML vector"
    )


def ml_vector(spark: SparkSession, array: Column) -> Column:
    """Return array<double> as a Spark ML vector; as it is on Sail, which has no such function."""
    if is_sail(spark):
        return array
    from pyspark.ml.functions import array_to_vector

    return array_to_vector(array)


def _vector_to_array(spark: SparkSession, vector: Column) -> Column:
    """Return a Spark ML vector as array<double>: natively, or in Python where Sail lacks it."""
    if is_sail(spark):
        array = StructField("array", ArrayType(DoubleType()))
        return map_rows(_vectors_batch, [vector], StructType([array])).getField("array")
    from pyspark.ml.functions import vector_to_array

    return F.when(vector.isNotNull(), vector_to_array(vector))


def _vectors_batch(vectors: pa.StructArray) -> dict[str, pa.Array]:
    return {"array": vector_lists(vectors)}

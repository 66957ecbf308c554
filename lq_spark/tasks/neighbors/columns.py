"""The features of a table: an array of numbers, a vector of Spark ML, or a column each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, FloatType, NumericType

from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.readings import Input
from lq_spark.engine.vectors import float_array
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import ColumnError, OptionError, require_unused, require_whole_number
from lq_spark.tasks.neighbors.batches import REASONS_SCHEMA, reasons_batch
from lq_spark.tasks.shared.classes import first_size
from lq_spark.tasks.shared.columns import require_listed
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON
from lq_spark.tasks.shared.streams import require_told

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Features = str | Sequence[str]
"""A column of arrays or vectors, or the names of columns of one number each."""


@dataclass(frozen=True)
class FeatureTable:
    """The features of a table.

    Attributes
    ----------
    input : Input
        array<float> or array<double>.
    dtype : dtype
        float32 or float64: of a feature.
    n_features : int or None
        How many a row has, where columns say it.
    """

    input: Input
    dtype: DTypeLike
    n_features: int | None = None


def feature_table(df: DataFrame, features: Features) -> FeatureTable:
    """Check the columns of features; raise ColumnError or OptionError if they are none."""
    if not isinstance(features, str):
        return _of_columns(df, features)
    require_columns(df, features=features)
    kind = column_type(df, features)
    if kind.typeName() in ("vector", "vectorudt"):
        return FeatureTable(Input(float_array(df, "features", features)), np.float64)
    if not isinstance(kind, ArrayType) or not isinstance(kind.elementType, NumericType):
        raise ColumnError(
            f"features: column {features!r} is {kind.simpleString()}; allowed are arrays of "
            "numbers and a Spark ML vector"
        )
    if isinstance(kind.elementType, (FloatType, DoubleType)):
        is_single = isinstance(kind.elementType, FloatType)
        array = Input(column(features), features)
        return FeatureTable(array, np.float32 if is_single else np.float64)
    doubles = column(features).cast("array<double>")
    return FeatureTable(Input(doubles, features, _as_doubles), np.float64)


def _as_doubles(features: pa.Array) -> pa.Array:
    return features.cast(pa.list_(pa.float64()))


def named_features(features: Features | None, *instead: object) -> list[str]:
    """Return the names of the columns of features: "features", if nothing is given instead."""
    if features is None:
        return ["features"] if all(other is None for other in instead) else []
    return [features] if isinstance(features, str) else list(features)


def resolved_n_features(df: DataFrame, table: FeatureTable, n_features: object) -> int:
    """Return how many features a row has: as said, or as the first row that has any.

    Raises
    ------
    OptionError
        If it is no whole number, columns say otherwise, or a stream has to be told.
    """
    if n_features is not None:
        require_whole_number("n_features", n_features, 1)
    if table.n_features is None:
        if n_features is None:
            require_told(df, "how many features there are", "n_features")
        given = n_features if isinstance(n_features, int) else None
        return given or first_size(df, F.size(table.input.column)) or 1
    if n_features not in (None, table.n_features):
        raise OptionError(f"n_features is {n_features}, features names {table.n_features} columns")
    return table.n_features


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    features: Features | None = "features",
    n_features: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row has no place among others, or null. Lazy.

    A row with several faults has one of them as its reason.

    Parameters
    ----------
    df, n_features
        As for :func:`lq_spark.neighbors.graph`.
    id : str, optional
        Column that must tell the rows apart: a null in it and a value that occurs twice are faults
        (of every row that has it).
    features : str or sequence of str, optional
        As for :func:`lq_spark.neighbors.graph`; None where a graph stands in for them.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    if features is None:
        require_unused("graph", n_features=n_features)
        require_to_validate(df, id, "neighbors.validate")
        checked = df.withColumn(INVALID_REASON, F.lit(None).cast("string"))
    else:
        table = feature_table(df, features)
        require_to_validate(df, id, "neighbors.validate")
        width = resolved_n_features(df, table, n_features)
        checked = with_mapped(df, reasons_batch(width), [table.input], REASONS_SCHEMA)
    return with_key_reasons(checked, df, id)


def _of_columns(df: DataFrame, features: Sequence[str]) -> FeatureTable:
    names = require_listed(df, "features", features)
    for name in names:
        kind = column_type(df, name)
        if not isinstance(kind, NumericType):
            raise ColumnError(
                f"features: column {name!r} is {kind.simpleString()}; allowed in a list of columns "
                "are whole numbers, float, double and decimal"
            )
    array = F.array(*(column(name).cast("double") for name in names))
    return FeatureTable(Input(array), np.float64, len(names))

"""Tables of images: one row an image with a label mask and probabilities, checked on the driver."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    DoubleType,
    FloatType,
    IntegralType,
    StringType,
)

from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.kinds import is_on_one_machine, is_sail
from lq_spark.engine.readings import Input, column_input
from lq_spark.errors import ColumnError, DataError
from lq_spark.tasks.shared.classes import agreed_k, first_size
from lq_spark.tasks.shared.labels import is_label_type, label_arrays

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.core.segmentation.issues import SegmentationModel


@dataclass(frozen=True)
class ImageColumns:
    """The columns of a table of images.

    Attributes
    ----------
    mask, pred_probs : tuple of str
        One name for nested arrays; for bytes also those of the shape and of the type.
    label_type : DataType or None
        Of a pixel's label in nested arrays.
    """

    mask: tuple[str, ...]
    pred_probs: tuple[str, ...]
    label_type: DataType | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns that an image is read from."""
        return (*self.mask, *self.pred_probs)

    @property
    def inputs(self) -> list[Input]:
        """Return these columns, with labels as whole numbers."""
        kind = self.label_type
        if kind is None or isinstance(kind, IntegralType):
            return [column_input(name) for name in self.names]
        mask = F.transform(column(self.mask[0]), lambda row: label_arrays(row, kind))
        return [Input(mask), *map(column_input, self.pred_probs)]


def image_columns(df: DataFrame, *, label_mask: str, pred_probs: str) -> ImageColumns:
    """Check the columns of a table of images.

    Raises
    ------
    ColumnError
        If a column is missing or of another type.
    """
    require_columns(df, label_mask=label_mask, pred_probs=pred_probs)
    mask = _tensor_columns(df, "label_mask", label_mask, 2, _is_pixel_label, "int")
    return ImageColumns(
        mask,
        _tensor_columns(df, "pred_probs", pred_probs, 3, _is_float, "float"),
        _element(column_type(df, label_mask), 2) if len(mask) == 1 else None,
    )


def _is_pixel_label(kind: DataType) -> bool:
    return is_label_type(kind) and not isinstance(kind, StringType)


def _is_float(kind: DataType) -> bool:
    return isinstance(kind, (FloatType, DoubleType))


def _element(kind: DataType, ndim: int) -> DataType:
    """Return the type of what arrays nested ``ndim`` deep hold; DataType if they are none."""
    for _ in range(ndim):
        kind = kind.elementType if isinstance(kind, ArrayType) else DataType()
    return kind


def _tensor_columns(
    df: DataFrame,
    option: str,
    name: str,
    ndim: int,
    is_allowed: Callable[[DataType], bool],
    example: str,
) -> tuple[str, ...]:
    kind: DataType = column_type(df, name)
    if isinstance(kind, BinaryType):
        shape, dtype = f"{name}_shape", f"{name}_dtype"
        missing = [column_name for column_name in (shape, dtype) if column_name not in df.columns]
        if missing:
            raise ColumnError(
                f"{option}: column {name!r} is binary, so columns {shape!r} (array<int>) and "
                f"{dtype!r} (string) are needed; there is no {missing[0]!r}"
            )
        shape_type, dtype_type = column_type(df, shape), column_type(df, dtype)
        sizes = shape_type.elementType if isinstance(shape_type, ArrayType) else None
        if not isinstance(sizes, IntegralType):
            raise ColumnError(
                f"{option}: column {shape!r} is {shape_type.simpleString()}; allowed are arrays of "
                "whole numbers"
            )
        if not isinstance(dtype_type, StringType):
            raise ColumnError(
                f"{option}: column {dtype!r} is {dtype_type.simpleString()}; allowed is string"
            )
        return name, shape, dtype
    if not is_allowed(_element(kind, ndim)):
        nested = "array<" * ndim + example + ">" * ndim
        raise ColumnError(
            f"{option}: column {name!r} is {kind.simpleString()}; allowed are nested arrays such "
            f"as {nested}, and binary"
        )
    return (name,)


def first_image_size(df: DataFrame, columns: ImageColumns) -> int:
    """Return how many bytes the probabilities of the first image have, as doubles; at least 1."""
    value = column(columns.pred_probs[0])
    if len(columns.pred_probs) > 1:
        shape = column(columns.pred_probs[1])
        sides = (F.get(shape, F.lit(i)).cast("bigint") for i in range(3))
        size = functools.reduce(operator.mul, sides, F.lit(8).cast("bigint"))
    else:
        row = F.get(F.get(value, F.lit(0)), F.lit(0))
        size = (
            F.lit(8).cast("bigint") * F.size(value) * F.size(F.get(value, F.lit(0))) * F.size(row)
        )
    return first_size(df, size) or 1


_HEAP_A_BYTE = 6
"""Bytes of the JVM for a byte of probabilities as doubles."""


def require_memory(df: DataFrame, size: int) -> None:
    """Raise DataError if an image of this size, as doubles, does not go through Spark's JVM.

    Spark holds a row's value several times on its way from a file to Python. It took between 10
    and 12 times the bytes of float32 probabilities; without them the JVM ends, and says little.
    """
    if is_sail(df.sparkSession):
        return  # no JVM
    conf = df.sparkSession.conf
    one = is_on_one_machine(df.sparkSession)
    setting = f"spark.{'driver' if one else 'executor'}.memory"
    given = str(conf.get(setting, "1g"))
    needed = _HEAP_A_BYTE * size
    if _bytes(given) < needed:
        raise DataError(
            f"an image of {size // 8:,} probabilities needs some {-(-needed >> 30)} GiB of memory "
            f"in Spark, and {setting} is {given}: give more, or cut images into tiles"
        )


def _bytes(memory: str) -> int:
    """Return the bytes of a setting such as 4g; a number alone is in MiB."""
    number, unit = re.findall(r"^(\d+)([kmgt]?)", memory.strip().lower())[0]
    return int(number) << {"k": 10, "": 20, "m": 20, "g": 30, "t": 40}[unit]


def image_n_classes(
    df: DataFrame,
    columns: ImageColumns,
    n_classes: int | None,
    fitted: SegmentationModel | None = None,
) -> int:
    """Return K: what the caller or the fitted model says, or else the first image.

    Only the last runs a (small) Spark job. A table without any probability gives 2: none of its
    images will be scored.

    Raises
    ------
    OptionError
        If n_classes is no whole number, or another than the model's.
    DataError
        If K is below 2.
    """

    def first() -> int | None:
        is_binary = len(columns.pred_probs) > 1
        probs, *others = map(column, columns.pred_probs)
        return first_size(df, F.get(others[0], F.lit(0)) if is_binary else F.size(probs))

    return agreed_k(df, n_classes, None, first, fitted=fitted, options=("n_classes",))

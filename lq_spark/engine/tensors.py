"""The border between Arrow columns of arrays, nested or as bytes, and NumPy arrays of any shape.

A value of such a column is one array, and the arrays of a column may differ in shape. As bytes it
is written row by row (C order); two more columns hold its shape and numpy's name of its type, with
or without the byte order, which is little-endian unless it is given. Bytes need no conversion,
nested lists do.
"""

from __future__ import annotations

import functools
import math
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")


class TensorFault(IntEnum):
    """Why a value is no array."""

    NULL = 1
    NULL_ELEMENT = 2
    RAGGED = 3
    SHAPE = 4
    DTYPE = 5
    LENGTH = 6


def nested_tensor(column: pa.Array, row: int, ndim: int) -> NDArray[np.generic] | TensorFault:
    """Return a value of a column of lists of numbers, nested ``ndim`` deep.

    A view of Arrow's memory. An array without elements counts as ragged: its shape is unknown.

    >>> nested_tensor(pa.array([[[1, 2], [3, 4]]]), 0, ndim=2)
    array([[1, 2],
           [3, 4]])
    >>> nested_tensor(pa.array([[[1, 2], [3]]]), 0, ndim=2)
    <TensorFault.RAGGED: 3>
    """
    values = column.slice(row, 1)
    if values.null_count:
        return TensorFault.NULL
    shape: list[int] = []
    for _ in range(ndim):
        lengths = np.diff(values.offsets.to_numpy())
        values = values.flatten()  # respects a slice, unlike .values
        if values.null_count:
            return TensorFault.NULL_ELEMENT
        if lengths[0] == 0 or (lengths != lengths[0]).any():
            return TensorFault.RAGGED
        shape.append(int(lengths[0]))
    array: NDArray[np.generic] = values.to_numpy(zero_copy_only=True).reshape(shape)
    return array


def binary_tensor(
    column: pa.Array,
    shapes: pa.Array,
    dtypes: pa.Array,
    row: int,
    *,
    ndim: int,
    allowed: tuple[str, ...],
) -> NDArray[np.generic] | TensorFault:
    """Return a value of a column of bytes, with its shape and the name of its type.

    A view of Arrow's memory, except for big-endian values; booleans are returned as uint8.

    >>> array = np.array([[0.5, 0.25]])
    >>> columns = pa.array([array.tobytes()]), pa.array([[1, 2]]), pa.array(["<f8"])
    >>> binary_tensor(*columns, 0, ndim=2, allowed=FLOATS)
    array([[0.5 , 0.25]])
    """
    if not column[row].is_valid:
        return TensorFault.NULL
    shape = shapes[row].as_py()
    if shape is None or len(shape) != ndim or any(size is None or size < 1 for size in shape):
        return TensorFault.SHAPE
    dtype = _stored_type(dtypes[row].as_py())
    if dtype is None or dtype.name not in allowed:
        return TensorFault.DTYPE
    data = column[row].as_buffer()
    if len(data) != math.prod(shape) * dtype.itemsize:
        return TensorFault.LENGTH
    array: NDArray[np.generic] = np.frombuffer(data, dtype)
    if dtype.byteorder == ">":
        array = array.astype(dtype.newbyteorder("<"))
    return array.reshape(shape)


@functools.lru_cache
def _stored_type(name: str | None) -> np.dtype[Any] | None:
    """Return the type with this name, as it reads stored bytes; None where there is none.

    >>> _stored_type("|u1"), _stored_type(">i4"), _stored_type("bool"), _stored_type("pixel")
    (dtype('uint8'), dtype('>i4'), dtype('uint8'), None)
    """
    if name is None:  # to numpy, float64
        return None
    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError, SyntaxError):
        return None
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    return dtype if dtype.byteorder == ">" else dtype.newbyteorder("<")

"""Numbers between NumPy and Arrow, without pandas.

pyarrow's own conversions import it first, whatever they are given: two seconds, and 60 MB, of each
Python worker's first task. What these do not know they leave to pyarrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def array_of(values: NDArray[Any], kind: pa.DataType | None = None) -> pa.Array:
    """Return numbers or booleans, shape (n,), as an Arrow array; numbers are not copied.

    >>> array_of(np.array([True, False])).to_pylist()
    [True, False]
    >>> array_of(np.array([1, 2]), pa.int8()).type
    DataType(int8)
    """
    if values.dtype.kind not in "biuf" or values.dtype.byteorder == ">":
        return pa.array(values, kind)
    if values.dtype == np.bool_:
        content, own = np.packbits(values, bitorder="little"), pa.bool_()
    else:
        content, own = np.ascontiguousarray(values), pa.from_numpy_dtype(values.dtype)
    made = pa.Array.from_buffers(own, len(values), [None, pa.py_buffer(content)])
    return made if kind is None or kind == own else made.cast(kind)


def values_of(array: pa.Array | pa.ChunkedArray, null: Any = None) -> NDArray[Any]:
    """Return an Arrow array in NumPy, shape (n,): a read-only view of numbers without nulls.

    Nulls become ``null``; where it is None, what ``to_numpy`` makes of them.

    >>> values_of(pa.array([1.0, 2.0]).slice(1))
    array([2.])
    >>> values_of(pa.array([True, None, True]).slice(1), False)
    array([False,  True])
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not (is_number or pa.types.is_boolean(kind)) or (array.null_count and null is None):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    content, own = array.buffers()[1], np.dtype(kind.to_pandas_dtype())
    values: NDArray[Any]
    if content is None:  # of an array without values
        values = np.zeros(len(array), dtype=own)
    elif is_number:
        values = np.frombuffer(content, own, len(array), array.offset * own.itemsize)
        values.flags.writeable = False  # they are Arrow's
    else:
        bits = np.frombuffer(content, np.uint8)
        end = array.offset + len(array)
        bits = np.unpackbits(bits, count=end, bitorder="little")[array.offset :]
        values = bits.astype(np.bool_)
    if not array.null_count:
        return values
    return np.where(values_of(array.is_valid()), values, values.dtype.type(null))


def bytes_of(values: Sequence[bytes]) -> pa.Array:
    """Return byte strings as an Arrow array.

    >>> bytes_of([b"ab", b"", b"c"]).to_pylist()
    [b'ab', b'', b'c']
    """
    ends = np.cumsum([0, *map(len, values)], dtype=np.int32)
    content = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.binary(), len(values), content)

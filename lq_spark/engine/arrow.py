"""The one border between Arrow list columns and NumPy matrices.

Reshaping the flattened values of a list column shifts values into other rows as soon as one list
is null or has another length, without an error. So nothing else here converts a list column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from lq_spark.engine.numbers import array_of, values_of
from lq_spark.errors import DataError


class ListFault(IntEnum):
    """Why a list cannot be a row of a matrix; the first reason that applies."""

    NONE = 0
    NULL = 1
    LENGTH = 2
    NULL_ELEMENT = 3


@dataclass(frozen=True, slots=True)
class ListRows:
    """The lists of a column that are rows of a matrix, and why the others cannot be.

    Attributes
    ----------
    matrix : ndarray of float32 or float64, shape (m, width)
        The usable rows, in order; a read-only view of Arrow's memory where every row is usable.
    faults : ndarray of uint8, shape (n,), or None
        A ListFault code for each row of the column; None where every row is usable.
    """

    matrix: NDArray[np.floating]
    faults: NDArray[np.uint8] | None


def list_rows(column: pa.Array | pa.ChunkedArray, width: int) -> ListRows:
    """Read a list column as the rows of a matrix of ``width`` columns.

    Parameters
    ----------
    column : pyarrow Array or ChunkedArray
        Lists, large lists or fixed-size lists of float32 or float64; may be a slice.
    width : int
        The length that each list must have.

    Raises
    ------
    DataError
        If the column is not one of lists of floats.

    Examples
    --------
    >>> rows = list_rows(pa.array([[0.25, 0.75], None, [1.0]]), width=2)
    >>> rows.matrix
    array([[0.25, 0.75]])
    >>> rows.faults
    array([0, 1, 2], dtype=uint8)
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_null(column.type):  # what pandas makes of a column without a list
        column = pa.nulls(len(column), pa.list_(pa.float64()))
    values = _require_float_lists(column.type)
    lengths = _lengths(column)
    # flatten() respects a slice and leaves null lists out; .values does neither.
    flat = column.flatten()
    if column.null_count == 0 and flat.null_count == 0 and (lengths == width).all():
        return ListRows(values_of(flat).reshape(len(column), width), None)

    faults = np.zeros(len(column), dtype=np.uint8)
    if flat.null_count:
        present = ~values_of(column.is_null())
        owner = np.repeat(np.flatnonzero(present), lengths[present])
        faults[owner[values_of(flat.is_null())]] = ListFault.NULL_ELEMENT
    faults[lengths != width] = ListFault.LENGTH
    faults[values_of(column.is_null())] = ListFault.NULL
    usable = column.filter(array_of(faults == ListFault.NONE)).flatten()
    matrix = np.asarray(values_of(usable), dtype=values.to_pandas_dtype())
    return ListRows(matrix.reshape(-1, width), faults)


@dataclass(frozen=True, slots=True)
class NestedRows:
    """The lists of lists of a column: the inner lists are rows of a matrix.

    Attributes
    ----------
    rows : ListRows
        The inner lists of all outer ones, in order.
    lengths : ndarray of int64, shape (n,)
        Number of inner lists in each outer one; 0 where it is null.
    is_null : ndarray of bool, shape (n,)
    """

    rows: ListRows
    lengths: NDArray[np.int64]
    is_null: NDArray[np.bool_]


def nested_rows(column: pa.Array | pa.ChunkedArray, width: int) -> NestedRows:
    """Read a column of lists of lists of floats, the inner ones of ``width`` numbers.

    Raises
    ------
    DataError
        If the column is something else.

    Examples
    --------
    >>> nested = nested_rows(pa.array([[[0.25, 0.75], [1.0, 0.0]], None, [[0.5, 0.5]]]), width=2)
    >>> nested.lengths.tolist(), nested.rows.matrix.shape
    ([2, 0, 1], (3, 2))
    """
    flat, lengths, is_null = flat_lists(column)
    return NestedRows(list_rows(flat, width), lengths, is_null)


class FlatLists(NamedTuple):
    """The lists of a column, one after the other.

    Attributes
    ----------
    values : pyarrow Array
        The elements of all lists.
    lengths : ndarray of int64, shape (n,)
        0 for a null list.
    is_null : ndarray of bool, shape (n,)
    """

    values: pa.Array
    lengths: NDArray[np.int64]
    is_null: NDArray[np.bool_]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Return where each list starts, and where the last one ends, shape (n + 1,)."""
        return np.append(0, np.cumsum(self.lengths))

    @property
    def rows(self) -> NDArray[np.int64]:
        """Return the row of each element."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def flat_lists(column: pa.Array | pa.ChunkedArray) -> FlatLists:
    """Return the lists of a column, of any elements.

    >>> lists = flat_lists(pa.array([[1, 2], None, [3]]))
    >>> lists.values.to_pylist(), lists.offsets, lists.rows
    ([1, 2, 3], array([0, 2, 2, 3]), array([0, 0, 2]))
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise DataError(f"a column of lists is needed, got {column.type}")
    return FlatLists(column.flatten(), _lengths(column), values_of(column.is_null()))


def field_lists(structs: pa.Array, field: str, element: pa.DataType) -> pa.Array:
    """Return the lists of one field of the structs of lists, cast; null where a struct is null.

    A whole number that a double does not hold is rounded, as Spark does.

    >>> field_lists(pa.array([[{"x": 1}, None], None, []]), "x", pa.float64()).to_pylist()
    [[1.0, None], None, []]
    """
    flat = flat_lists(structs)
    values = pc.struct_field(flat.values, field).cast(element, safe=False)
    lists = pa.ListArray.from_arrays(flat.offsets.astype(np.int32), values)
    return pc.if_else(array_of(flat.is_null), None, lists) if flat.is_null.any() else lists


def byte_rows(
    column: pa.Array | pa.ChunkedArray, dtype: DTypeLike, width: int
) -> NDArray[np.floating]:
    """Return the bytes of ``width`` numbers in each row as a matrix, shape (n, width).

    A read-only view where there is one chunk. Not all slices say by their offset where they begin:
    in those of Sail the first end of a row before them does.

    >>> rows = pa.array([np.arange(2.0).tobytes(), np.ones(2).tobytes()])
    >>> byte_rows(rows.slice(1), np.float64, 2)
    array([[1., 1.]])
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [_byte_rows(chunk, np.dtype(dtype), width) for chunk in chunks if len(chunk)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty((0, width), dtype=dtype), *parts])


def _byte_rows(column: pa.Array, dtype: np.dtype[Any], width: int) -> NDArray[np.floating]:
    _, ends, content = column.buffers()
    start = int(np.frombuffer(ends, np.int32, 1, column.offset * 4)[0])
    return np.frombuffer(content, dtype, len(column) * width, start).reshape(-1, width)


def conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with its columns, in order, cast to the types of a schema.

    >>> conformed(pa.RecordBatch.from_pydict({"n": [1]}), pa.schema({"n": pa.int32()})).schema
    n: int32
    """
    columns = [
        column if column.type == kind else column.cast(kind)
        for column, kind in zip(batch.columns, schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def recut(batches: Iterable[pa.RecordBatch], n_rows: int) -> Iterator[pa.Table]:
    """Yield the rows of batches, in their order, ``n_rows`` at a time, and fewer at the end.

    >>> batches = [pa.RecordBatch.from_pydict({"n": part}) for part in ([1], [2, 3, 4, 5], [6, 7])]
    >>> [table["n"].to_pylist() for table in recut(batches, 2)]
    [[1, 2], [3, 4], [5, 6], [7]]
    """
    parts: list[pa.RecordBatch] = []
    missing = n_rows
    for batch in batches:
        begin = 0
        while batch.num_rows - begin >= missing:
            yield pa.Table.from_batches([*parts, batch.slice(begin, missing)])
            begin += missing
            parts, missing = [], n_rows
        if begin < batch.num_rows:
            parts.append(batch.slice(begin))
            missing -= batch.num_rows - begin
    if parts:
        yield pa.Table.from_batches(parts)


def vector_lists(vectors: pa.StructArray) -> pa.Array:
    """Return Spark ML vectors, dense or sparse, as lists of doubles; a null stays null.

    >>> dense = {"type": 1, "size": None, "indices": None, "values": [0.25, 0.75]}
    >>> sparse = {"type": 0, "size": 3, "indices": [1], "values": [1.0]}
    >>> vector_lists(pa.array([dense, None, sparse])).to_pylist()
    [[0.25, 0.75], None, [0.0, 1.0, 0.0]]
    """
    is_null = values_of(vectors.is_null())
    kind, size, indices, values = (  # flatten() lays the vectors' own nulls over their fields
        vectors.flatten()[vectors.type.get_field_index(name)]
        for name in ("type", "size", "indices", "values")
    )
    is_dense = values_of(kind, 1) == 1
    given = _lengths(values)
    lengths = np.where(is_dense, given, values_of(size, 0))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    owner = np.repeat(np.arange(len(vectors)), given)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(given) - given, given)
    place[~is_dense[owner]] = values_of(indices.filter(array_of(~is_dense)).flatten())
    flat = np.zeros(starts[-1])
    flat[starts[owner] + place] = values_of(values.flatten())
    lists = pa.ListArray.from_arrays(starts.astype(np.int32), flat)
    return pc.if_else(array_of(is_null), None, lists)


def _require_float_lists(kind: pa.DataType) -> pa.DataType:
    is_list = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not (is_list and kind.value_type in (pa.float32(), pa.float64())):
        raise DataError(f"a column of lists of float or double is needed, got {kind}")
    return kind.value_type


def _lengths(column: pa.Array) -> NDArray[np.int64]:
    """Return the length of each list, 0 for a null one."""
    return values_of(pc.list_value_length(column), 0).astype(np.int64)

"""Columns of arrays, nested or as bytes, to NumPy: views where all is well, else the fault."""

import numpy as np
import pyarrow as pa
import pytest

from lq_spark.engine.tensors import FLOATS, INTEGERS, TensorFault, binary_tensor, nested_tensor

F32 = pa.list_(pa.list_(pa.list_(pa.float32())))


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 1), (5, 1, 2)])
def test_nested_arrays_are_views_also_of_a_slice(shape):
    arrays = [np.random.default_rng(n).random(shape, dtype=np.float32) for n in range(4)]
    column = pa.array([array.tolist() for array in arrays], F32).slice(1)
    for row, array in enumerate(arrays[1:]):
        found = nested_tensor(column, row, 3)
        np.testing.assert_array_equal(found, array)
        assert found.dtype == np.float32
        assert not found.flags.owndata


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (None, TensorFault.NULL),
        ([None, [[0.5]]], TensorFault.NULL_ELEMENT),
        ([[None]], TensorFault.NULL_ELEMENT),
        ([[[0.5, None]]], TensorFault.NULL_ELEMENT),
        ([[[0.5, 0.5], [0.5]]], TensorFault.RAGGED),
        ([[[0.5], [0.5]], [[0.5]]], TensorFault.RAGGED),
        ([[[0.5]], [[0.5], [0.5]], [[0.5], [0.5], [0.5]]], TensorFault.RAGGED),
        ([], TensorFault.RAGGED),
        ([[], []], TensorFault.RAGGED),
        ([[[]]], TensorFault.RAGGED),
    ],
    ids=str,
)
def test_a_value_that_is_no_array_says_why(value, fault):
    column = pa.array([[[[1.0]]], value, [[[2.0]]]], F32)
    assert nested_tensor(column, 1, 3) == fault
    assert nested_tensor(column, 2, 3).tolist() == [[[2.0]]]


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS])
def test_bytes_are_views_of_every_type(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    columns = (
        pa.array([b"x", array.tobytes()]),
        pa.array([[9], [2, 3]], pa.list_(pa.int32())),
        pa.array([None, dtype]),
    )
    allowed = FLOATS if dtype in FLOATS else INTEGERS
    found = binary_tensor(*columns, 1, ndim=2, allowed=allowed)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.dtype(dtype)
    assert not found.flags.owndata


@pytest.mark.parametrize(
    "dtype",
    ["|u1", "u1", "|i1", "<i2", ">i2", "<u4", ">i4", "i8", ">i8", "<f2", ">f4", ">f8", "f8"],
)
def test_a_type_may_say_the_order_of_its_bytes(dtype):
    array = np.array([[1, 0, 3], [100, 5, 127]]).astype(dtype)
    columns = pa.array([array.tobytes()]), pa.array([[2, 3]]), pa.array([dtype])
    found = binary_tensor(*columns, 0, ndim=2, allowed=(*FLOATS, *INTEGERS))
    np.testing.assert_array_equal(found, array)
    assert found.dtype.isnative


@pytest.mark.parametrize("dtype", ["bool", "|b1", "?"])
def test_truth_values_are_numbers(dtype):
    columns = pa.array([b"\0\1"]), pa.array([[1, 2]]), pa.array([dtype])
    found = binary_tensor(*columns, 0, ndim=2, allowed=INTEGERS)
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("data", "shape", "dtype", "fault"),
    [
        (None, [2, 2], "uint8", TensorFault.NULL),
        (b"1234", None, "uint8", TensorFault.SHAPE),
        (b"1234", [4], "uint8", TensorFault.SHAPE),
        (b"1234", [2, None], "uint8", TensorFault.SHAPE),
        (b"1234", [-2, -2], "uint8", TensorFault.SHAPE),
        (b"", [0, 2], "uint8", TensorFault.SHAPE),
        (b"1234", [2, 2], None, TensorFault.DTYPE),
        (b"1234", [2, 2], "pixel", TensorFault.DTYPE),
        (b"1234", [2, 2], "", TensorFault.DTYPE),
        (b"1234", [2, 2], "(2", TensorFault.DTYPE),
        (b"1234", [2, 2], "i1,i1", TensorFault.DTYPE),
        (b"1234", [2, 2], "S1", TensorFault.DTYPE),
        (b"1234", [2, 2], "object", TensorFault.DTYPE),
        (b"1234", [2, 2], "float32", TensorFault.DTYPE),
        (b"123", [2, 2], "uint8", TensorFault.LENGTH),
        (b"1234", [2, 2], "int16", TensorFault.LENGTH),
        (b"1234", [1 << 31, 1 << 33], "uint8", TensorFault.LENGTH),
    ],
    ids=str,
)
def test_bytes_that_are_no_array_say_why(data, shape, dtype, fault):
    columns = (
        pa.array([data], pa.binary()),
        pa.array([shape], pa.list_(pa.int64())),
        pa.array([dtype], pa.string()),
    )
    assert binary_tensor(*columns, 0, ndim=2, allowed=INTEGERS) == fault

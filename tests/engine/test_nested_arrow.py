"""Lists of lists as matrices: what a nested column holds, whatever memory it is a part of."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.engine.arrow import ListFault, flat_lists, nested_rows
from lq_spark.errors import DataError

WIDTH = 2
A, B, C, D = [0.5, 0.5], [0.25, 0.75], [1.0, -0.0], [0.0, 1.0]
NESTED = [[A, B], [], [C], [D, A, B]]
FLOATS = [pytest.param(pa.float32(), id="float32"), pytest.param(pa.float64(), id="float64")]
OUTER = [pytest.param(pa.list_, id="list"), pytest.param(pa.large_list, id="large_list")]
INNER = [*OUTER, pytest.param(lambda value: pa.list_(value, WIDTH), id="fixed_size_list")]
PARTS = [slice(1, 3), slice(2, None), slice(0, 1), slice(2, 2), slice(3, 4)]


@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_the_inner_lists_are_the_rows_of_one_matrix(outer, inner, value):
    nested = nested_rows(pa.array(NESTED, outer(inner(value))), WIDTH)
    assert nested.rows.faults is None
    assert nested.rows.matrix.dtype == value.to_pandas_dtype()
    np.testing.assert_array_equal(nested.rows.matrix, [A, B, C, D, A, B])
    assert np.signbit(nested.rows.matrix[2, 1])
    assert nested.lengths.tolist() == [2, 0, 1, 3]
    assert nested.lengths.dtype == np.int64
    assert nested.is_null.tolist() == [False] * 4


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_slice_is_its_own_lists_alone(outer, inner, part):
    nested = nested_rows(pa.array(NESTED, outer(inner(pa.float64())))[part], WIDTH)
    rows = [row for rows in NESTED[part] for row in rows]
    np.testing.assert_array_equal(nested.rows.matrix, np.reshape(rows, (-1, WIDTH)))
    assert nested.lengths.tolist() == [len(rows) for rows in NESTED[part]]
    assert len(nested.is_null) == len(NESTED[part])


@pytest.mark.parametrize("inner", INNER)
def test_chunks_are_put_together_in_order(inner):
    kind = pa.list_(inner(pa.float64()))
    chunks = [pa.array(NESTED[:1], kind), pa.array([], kind), pa.array(NESTED, kind)[1:]]
    nested = nested_rows(pa.chunked_array(chunks), WIDTH)
    np.testing.assert_array_equal(nested.rows.matrix, [A, B, C, D, A, B])
    assert nested.lengths.tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize("start", [0, 1, 3])
@pytest.mark.parametrize("value", FLOATS)
def test_null_outer_lists_are_told_and_shift_nothing(value, start):
    given_rows = [None, [A, B], None, [C], None]
    column = pa.array(given_rows, pa.list_(pa.list_(value)))[start:]
    nested = nested_rows(column, WIDTH)
    assert nested.is_null.tolist() == [True, False, True, False, True][start:]
    assert nested.lengths.tolist() == [0, 2, 0, 1, 0][start:]
    np.testing.assert_array_equal(nested.rows.matrix, [A, B, C] if start < 2 else [C])
    assert nested.rows.faults is None


@pytest.mark.parametrize("start", [0, 1])
def test_faults_of_inner_lists_are_in_the_order_of_all_of_them(start):
    given_rows = [[None, A], [[0.5, None], B], None, [], [[1.0], C, [0.5, 0.25, 0.25], []]]
    nested = nested_rows(pa.array(given_rows, pa.list_(pa.list_(pa.float64())))[start:], WIDTH)
    wrong, good = ListFault.LENGTH, ListFault.NONE
    expected = [ListFault.NULL, good, ListFault.NULL_ELEMENT, good, wrong, good, wrong, wrong]
    assert nested.rows.faults.tolist() == expected[2 * start :]
    np.testing.assert_array_equal(nested.rows.matrix, [A, B, C][start:])
    assert nested.lengths.tolist() == [2, 2, 0, 0, 4][start:]


def test_values_that_hide_under_a_null_outer_list_shift_nothing():
    inner = pa.array([A, B, C, D], pa.list_(pa.float64()))
    column = pa.ListArray.from_arrays(
        pa.array([0, 1, 3, 4], pa.int32()), inner, mask=pa.array([False, True, False])
    )
    nested = nested_rows(column, WIDTH)
    assert nested.lengths.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(nested.rows.matrix, [A, D])


@pytest.mark.parametrize("given_rows", [[], [[]], [[], []], [None], [None, []]], ids=str)
@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_column_without_inner_lists_is_a_matrix_without_rows(given_rows, value, chunked):
    column = pa.array(given_rows, pa.list_(pa.list_(value)))
    nested = nested_rows(pa.chunked_array([column]) if chunked else column, WIDTH)
    assert nested.rows.matrix.shape == (0, WIDTH)
    assert nested.rows.matrix.dtype == value.to_pandas_dtype()
    assert nested.lengths.tolist() == [0] * len(given_rows)
    assert nested.is_null.tolist() == [rows is None for rows in given_rows]


@pytest.mark.parametrize("part", [slice(None), slice(2, None)], ids=str)
def test_usable_rows_are_a_read_only_view_of_arrows_memory(part):
    column = pa.array(NESTED, pa.list_(pa.list_(pa.float64())))
    matrix = nested_rows(column[part], WIDTH).rows.matrix
    assert np.shares_memory(matrix, np.frombuffer(column.values.values.buffers()[1]))
    assert not matrix.flags.writeable


@pytest.mark.parametrize(
    "kind",
    [
        pa.float64(),
        pa.string(),
        pa.list_(pa.float64()),
        pa.list_(pa.list_(pa.int32())),
        pa.list_(pa.list_(pa.list_(pa.float64()))),
        pa.struct({"values": pa.list_(pa.list_(pa.float64()))}),
    ],
    ids=str,
)
def test_a_column_of_something_else_is_refused(kind):
    with pytest.raises(DataError, match=r"^a column of lists .*is needed, got "):
        nested_rows(pa.nulls(2, kind), WIDTH)


@pytest.mark.parametrize("kind", [pa.int32(), pa.string(), pa.float64()], ids=str)
@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("part", [slice(None), *PARTS], ids=str)
def test_elements_of_lists_of_any_kind_are_told_in_order(kind, outer, part):
    lists = [[1, 2], None, [None], [], [3]]
    given_lists = [None if items is None else [x and str(x) for x in items] for items in lists]
    column = pa.array(given_lists, outer(pa.string())).cast(outer(kind))
    flat, lengths, is_null = flat_lists(column[part])
    expected = [x for items in column.to_pylist()[part] for x in items or ()]
    assert flat.type == kind
    assert flat.to_pylist() == expected
    assert lengths.tolist() == [len(items or ()) for items in lists[part]]
    assert is_null.tolist() == [items is None for items in lists[part]]


@pytest.mark.parametrize("kind", [pa.int32(), pa.string(), pa.map_(pa.string(), pa.int32())])
def test_what_is_no_list_has_no_elements(kind):
    with pytest.raises(DataError, match=r"^a column of lists is needed, got "):
        flat_lists(pa.nulls(2, kind))


@st.composite
def columns(draw):
    """Return (column, its lists): nulls at every level, inner lists of any length, sliced."""
    number = st.none() | st.floats(0, 1, width=32)
    row = st.none() | st.lists(number, max_size=3) | st.just([0.25, 0.75])
    lists = draw(st.lists(st.none() | st.lists(row, max_size=4), max_size=8))
    kinds = st.sampled_from([pa.list_, pa.large_list])
    column = pa.array(
        lists, draw(kinds)(draw(kinds)(draw(st.sampled_from([pa.float32(), pa.float64()]))))
    )
    start = draw(st.integers(0, len(lists)))
    stop = draw(st.integers(start, len(lists)))
    return column[start:stop], lists[start:stop]


@settings(deadline=None)
@given(columns())
def test_every_usable_row_comes_back_in_its_place(drawn):
    column, lists = drawn
    nested = nested_rows(column, WIDTH)
    rows = [row for rows in lists for row in rows or ()]
    usable = [row is not None and len(row) == WIDTH and None not in row for row in rows]
    faults = nested.rows.faults
    assert (faults is None) == all(usable)
    if faults is not None:
        assert (faults == ListFault.NONE).tolist() == usable
    kept = [row for row, good in zip(rows, usable, strict=True) if good]
    np.testing.assert_array_equal(nested.rows.matrix, np.reshape(kept, (-1, WIDTH)))
    assert nested.lengths.tolist() == [len(rows or ()) for rows in lists]

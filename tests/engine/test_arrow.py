import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.engine.arrow import ListFault, list_rows, recut, vector_lists
from lq_spark.errors import DataError

WIDTH = 3
FLOATS = [pytest.param(pa.float32(), id="float32"), pytest.param(pa.float64(), id="float64")]
LISTS = {
    "list": pa.list_,
    "large_list": pa.large_list,
    "fixed_size_list": lambda value: pa.list_(value, WIDTH),
}
KINDS = [pytest.param(make, id=name) for name, make in LISTS.items()]
RAGGED_KINDS = [pytest.param(LISTS[name], id=name) for name in ("list", "large_list")]

ROWS = [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.125, 0.125, 0.75], [1.0, -0.0, 0.0]]


@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
def test_lists_of_one_length_are_the_rows_of_a_matrix(kind, value):
    rows = list_rows(pa.array(ROWS, kind(value)), WIDTH)
    assert rows.faults is None
    assert rows.matrix.dtype == value.to_pandas_dtype()
    np.testing.assert_array_equal(rows.matrix, ROWS)
    assert np.signbit(rows.matrix[3, 1])


@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [slice(1, 3), slice(2, None), slice(0, 1), slice(2, 2)], ids=str)
def test_a_slice_is_its_own_rows_alone(kind, value, part):
    rows = list_rows(pa.array(ROWS, kind(value))[part], WIDTH)
    assert rows.faults is None
    np.testing.assert_array_equal(rows.matrix, np.array(ROWS)[part])


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_are_put_together_in_order(kind):
    chunks = [ROWS[:1], [], ROWS[1:]]
    column = pa.chunked_array([pa.array(chunk, kind(pa.float64())) for chunk in chunks])
    rows = list_rows(column, WIDTH)
    assert rows.faults is None
    np.testing.assert_array_equal(rows.matrix, ROWS)


@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_column_without_rows_is_a_matrix_without_rows(kind, value, chunked):
    empty = pa.chunked_array([], kind(value)) if chunked else pa.array([], kind(value))
    rows = list_rows(empty, WIDTH)
    assert rows.faults is None
    assert rows.matrix.shape == (0, WIDTH)
    assert rows.matrix.dtype == value.to_pandas_dtype()


@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [slice(None), slice(1, 3)], ids=str)
def test_usable_rows_are_a_read_only_view_of_arrows_memory(kind, value, part):
    column = pa.array(ROWS, kind(value))
    memory = np.frombuffer(column.values.buffers()[1], dtype=value.to_pandas_dtype())
    matrix = list_rows(column[part], WIDTH).matrix
    assert np.shares_memory(matrix, memory)
    assert not matrix.flags.writeable


@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [0, 1, 2])
def test_null_rows_and_null_elements_are_told_apart_and_left_out(kind, value, start):
    given_rows = [None, ROWS[0], [0.5, None, 0.5], ROWS[1], None, [None, None, None]]
    rows = list_rows(pa.array(given_rows, kind(value))[start:], WIDTH)
    null, element = ListFault.NULL, ListFault.NULL_ELEMENT
    assert rows.faults.tolist() == [null, 0, element, 0, null, element][start:]
    np.testing.assert_array_equal(rows.matrix, ROWS[max(start - 1, 0) : 2])
    assert rows.matrix.dtype == value.to_pandas_dtype()


@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("kind", RAGGED_KINDS)
@pytest.mark.parametrize("start", [0, 1])
def test_lists_of_another_length_are_left_out_and_shift_nothing(kind, value, start):
    # Together they have as many values as four rows: a plain reshape would find nothing wrong.
    given_rows = [ROWS[0], [9.0], ROWS[1], [9.0, 9.0, 9.0, 9.0, 9.0], [], [None]]
    rows = list_rows(pa.array(given_rows, kind(value))[start:], WIDTH)
    wrong = ListFault.LENGTH
    assert rows.faults.tolist() == [0, wrong, 0, wrong, wrong, wrong][start:]
    np.testing.assert_array_equal(rows.matrix, ROWS[start:2])


def test_values_that_hide_under_a_null_list_shift_nothing():
    column = pa.ListArray.from_arrays(
        pa.array([0, 3, 6, 9], pa.int32()),
        pa.array([0.5, 0.25, 0.25, 9.0, 9.0, 9.0, 0.0, 1.0, 0.0]),
        mask=pa.array([False, True, False]),
    )
    rows = list_rows(column, WIDTH)
    assert rows.faults.tolist() == [0, ListFault.NULL, 0]
    np.testing.assert_array_equal(rows.matrix, ROWS[:2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [2, 4])
def test_lists_all_of_one_other_length_are_all_left_out(kind, width):
    rows = list_rows(pa.array(ROWS, kind(pa.float64())), width)
    assert rows.faults.tolist() == [ListFault.LENGTH] * len(ROWS)
    assert rows.matrix.shape == (0, width)


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_nulls_alone_has_no_usable_row(kind):
    rows = list_rows(pa.nulls(3, kind(pa.float32())), WIDTH)
    assert rows.faults.tolist() == [ListFault.NULL] * 3
    assert rows.matrix.shape == (0, WIDTH)


@pytest.mark.parametrize(
    "kind",
    [
        pa.float64(),
        pa.string(),
        pa.list_(pa.int32()),
        pa.list_(pa.string()),
        pa.list_(pa.float16()),
        pa.large_list(pa.int64()),
        pa.list_(pa.bool_(), WIDTH),
        pa.list_(pa.list_(pa.float64())),
        pa.struct({"values": pa.list_(pa.float64())}),
    ],
    ids=str,
)
def test_a_column_of_something_else_is_refused_by_the_name_of_its_type(kind):
    with pytest.raises(DataError) as error:
        list_rows(pa.nulls(2, kind), WIDTH)
    assert str(error.value) == f"a column of lists of float or double is needed, got {kind}"


@st.composite
def columns(draw):
    """Return (column, its rows as Python lists): every kind, with faults, sliced, in chunks."""
    name = draw(st.sampled_from(list(LISTS)))
    value = draw(st.sampled_from([pa.float32(), pa.float64()]))
    numbers = st.floats(width=value.bit_width, allow_subnormal=False)
    element = draw(st.sampled_from([numbers, st.none() | numbers]))
    sizes = (WIDTH, WIDTH) if name == "fixed_size_list" else (0, WIDTH + 2)
    whole = st.lists(numbers, min_size=WIDTH, max_size=WIDTH)
    other = st.lists(element, min_size=sizes[0], max_size=sizes[1])
    rows = draw(st.lists(whole | other | st.none(), max_size=12))
    array = pa.array(rows, LISTS[name](value))
    start = draw(st.integers(0, len(rows)))
    stop = draw(st.integers(start, len(rows)))
    array, rows = array[start:stop], rows[start:stop]
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(rows)))
        return pa.chunked_array([array[:cut], array[cut:]]), rows
    return array, rows


def fault_of(row):
    if row is None:
        return ListFault.NULL
    if len(row) != WIDTH:
        return ListFault.LENGTH
    return ListFault.NULL_ELEMENT if None in row else ListFault.NONE


@settings(deadline=None)
@given(columns())
def test_every_usable_row_comes_back_as_it_was_and_every_other_with_its_fault(drawn):
    column, given_rows = drawn
    rows = list_rows(column, WIDTH)
    faults = [fault_of(row) for row in given_rows]
    assert (rows.faults is None) == (not any(faults))
    if rows.faults is not None:
        assert rows.faults.tolist() == faults
    usable = [row for row, fault in zip(given_rows, faults, strict=True) if not fault]
    expected = np.array(usable, dtype=rows.matrix.dtype).reshape(-1, WIDTH)
    bits = np.dtype(f"i{rows.matrix.dtype.itemsize}")
    finite = ~np.isnan(expected)  # a NaN's bits may change on their way through Python
    np.testing.assert_array_equal(rows.matrix, expected)
    np.testing.assert_array_equal(rows.matrix.view(bits)[finite], expected.view(bits)[finite])


VECTOR = pa.struct(
    {
        "type": pa.int8(),
        "size": pa.int32(),
        "indices": pa.list_(pa.int32()),
        "values": pa.list_(pa.float64()),
    }
)


def dense(*values):
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def sparse(size, given):
    return {"type": 0, "size": size, "indices": list(given), "values": list(given.values())}


VECTORS = [
    (dense(0.25, -0.0, 0.75), [0.25, -0.0, 0.75]),
    (sparse(4, {1: 0.5, 3: -0.0}), [0.0, 0.5, 0.0, -0.0]),
    (None, None),
    (dense(), []),
    (sparse(2, {}), [0.0, 0.0]),
    (sparse(0, {}), []),
    (dense(1.0), [1.0]),
    (None, None),
    (sparse(3, {0: 1.0}), [1.0, 0.0, 0.0]),
]


@pytest.mark.parametrize("start", range(len(VECTORS) + 1))
def test_vectors_of_every_kind_are_lists_also_in_a_slice(start):
    column = pa.array([vector for vector, _ in VECTORS], VECTOR)
    for stop in range(start, len(VECTORS) + 1):
        lists = vector_lists(column[start:stop])
        assert lists.type == pa.list_(pa.float64())
        expected = [values for _, values in VECTORS[start:stop]]
        assert lists.to_pylist() == expected
        signs = np.signbit(lists.flatten().to_numpy())
        assert signs.tolist() == [np.signbit(x) for row in expected if row for x in row]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_of_null_vectors_all_lists_are_null(n):
    assert vector_lists(pa.nulls(n, VECTOR)).to_pylist() == [None] * n


def test_what_hides_under_a_null_vector_is_in_no_list():
    fields = [
        pa.array([row[name] for row in (dense(9.0), sparse(2, {1: 9.0}), dense(0.5))], kind)
        for name, kind in ((field.name, field.type) for field in VECTOR)
    ]
    column = pa.StructArray.from_arrays(
        fields, fields=list(VECTOR), mask=pa.array([True, True, False])
    )
    assert vector_lists(column).to_pylist() == [None, None, [0.5]]


@given(st.lists(st.integers(0, 7)), st.integers(1, 9))
def test_recut_rows_are_the_same_in_their_order_and_as_many_at_a_time(sizes, n_rows):
    ends = np.cumsum([0, *sizes])
    batches = [
        pa.RecordBatch.from_pydict({"n": pa.array(np.arange(begin, end))})
        for begin, end in itertools.pairwise(ends)
    ]
    found = [table["n"].to_pylist() for table in recut(batches, n_rows)]
    assert found == [list(range(ends[-1]))[n : n + n_rows] for n in range(0, ends[-1], n_rows)]

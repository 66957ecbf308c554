import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq_spark.core.identifiers import find_identifier_columns
from lq_spark.core.identifiers.columns import (
    Extent,
    finish_present,
    is_identifier,
    merge_extents,
    merge_present,
    partial_extent,
    partial_present,
)
from lq_spark.errors import DataError

TYPES = [np.int8, np.int16, np.int64, np.uint8, np.uint64]


def are_consecutive(values):
    """Return the rule as it is said: the different values in order are consecutive, and several."""
    distinct = sorted(set(values.tolist()))
    return len(distinct) > 1 and distinct == list(range(distinct[0], distinct[-1] + 1))


@st.composite
def columns(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(TYPES))
    n_values = draw(st.integers(1, 50))
    ends = np.iinfo(dtype).min, np.iinfo(dtype).max - n_values + 1
    start = draw(st.one_of(st.integers(*ends), st.sampled_from(ends)))
    values = np.array([start + i for i in range(n_values)], dtype=dtype)
    kept = rng.permutation(n_values)[: max(1, n_values - draw(st.integers(0, 2)))]
    return rng.permutation(np.concatenate([values[kept], rng.choice(values[kept], 3)]))


@given(column=columns())
def test_identifiers_are_consecutive(column):
    expected = ["column"] if are_consecutive(column) else []
    assert find_identifier_columns({"column": column}) == expected


@given(column=columns(), n_parts=st.integers(1, 4))
def test_states_do_not_depend_on_how_rows_are_split(column, n_parts):
    parts = np.array_split(column, n_parts)
    extent = functools.reduce(merge_extents, [partial_extent(part) for part in parts[::-1]])
    assert extent == partial_extent(column)
    assert is_identifier(extent, len(np.unique(column))) == are_consecutive(column)
    if extent.may_be_identifier:
        bits = [partial_present(part, extent) for part in parts]
        merged = functools.reduce(merge_present, bits[::-1])
        assert finish_present(extent, merged) == are_consecutive(column)
    else:
        assert not are_consecutive(column)


def test_only_whole_numbers_are_identifiers():
    rows = {"float": [1.0, 2.0], "bool": [False, True], "text": ["1", "2"], "int": [2, 1]}
    assert find_identifier_columns(rows) == ["int"]


def test_more_room_than_rows_needs_no_second_look():
    wide = Extent(3, -(2**63), 2**63 - 1)
    assert not wide.may_be_identifier
    assert find_identifier_columns({"wide": np.array([-(2**63), 0, 2**63 - 1])}) == []


def test_one_value_alone_numbers_nothing():
    assert find_identifier_columns({"constant": [4, 4, 4]}) == []


@pytest.mark.parametrize("column", [[], [[1, 2]], 3], ids=str)
def test_what_is_no_column_is_refused(column):
    with pytest.raises(DataError, match="id must be a non-empty 1-D array, got shape"):
        find_identifier_columns({"id": column})

"""Exact means and standard deviations, against whole fractions of any size."""

import functools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq_spark.core.regression.moments import merge_moments, partial_moments

DOUBLES = st.floats(-1e300, 1e300, allow_subnormal=True)


@given(values=st.lists(DOUBLES, min_size=1, max_size=60), n_parts=st.integers(1, 7))
def test_moments_are_those_of_fractions_however_the_numbers_are_split(values, n_parts):
    array = np.array(values)
    whole = partial_moments(array)
    parts = [partial_moments(part) for part in np.array_split(array, n_parts) if len(part)]
    assert functools.reduce(merge_moments, parts[::-1]) == whole
    fractions = [Fraction(value) for value in values]
    assert whole.mean == float(sum(fractions) / len(values))
    assert (whole.count, whole.low, whole.high) == (len(values), min(values), max(values))
    mean_square = sum(value**2 for value in fractions) / len(values)
    variance = mean_square - (sum(fractions) / len(values)) ** 2
    slack = 1 + Fraction(1, 2**51)
    for root, square in ((whole.rms, mean_square), (whole.std, variance)):
        # Below the smallest normal doubles, nearest is what a double can be.
        assert root < 1e-300 or square / slack <= Fraction(root) ** 2 <= square * slack


def test_more_rows_than_a_block_are_summed_exactly():
    values = np.random.default_rng(0).normal(size=300_001) * 1e6 + 1e9
    state = partial_moments(values)
    assert state.mean == math.fsum(values) / len(values)
    np.testing.assert_allclose(state.std, values.std(), rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, -1e300, 5e-324, 0.0])
def test_equal_numbers_have_no_spread(value):
    state = partial_moments(np.full(7, value))
    assert (state.mean, state.std) == (value, 0.0)

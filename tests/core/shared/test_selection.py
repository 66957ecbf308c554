"""The n-th lowest by counts in buckets: exact for any values, however they are split."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.shared.selection import (
    BUCKET_BITS,
    Bracket,
    count_buckets,
    merge_buckets,
    narrowed,
    nth_lowest,
    order_bits,
)
from lq_spark.errors import DataError

VALUES = st.sampled_from(["uniform", "tiny", "quantised", "float32", "one", "negative"])


def numbers(kind, rng, n):
    if kind == "one":
        return np.full(n, 0.25)
    values = rng.random(n)
    if kind == "tiny":
        return values ** rng.integers(1, 300, n)
    if kind == "quantised":
        return np.round(values * 5) / 5
    if kind == "float32":
        return values.astype(np.float32)
    return values - 0.5 if kind == "negative" else values


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), VALUES, st.integers(1, 300))
def test_the_nth_lowest_is_that_of_the_sorted_values(seed, kind, n_values):
    rng = np.random.default_rng(seed)
    values = numbers(kind, rng, n_values)
    n = int(rng.integers(1, n_values + 1))
    found = nth_lowest(values, n)
    cut = np.sort(values)[n - 1]
    assert found.value == cut
    assert found.n == n - np.count_nonzero(values < cut)
    assert found.count == np.count_nonzero(values == cut)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), VALUES)
def test_counts_of_parts_merge_to_those_of_all(seed, kind):
    rng = np.random.default_rng(seed)
    bits = order_bits(numbers(kind, rng, 500))
    bracket = Bracket.between(-0.4, 0.7, 1)
    parts = np.split(bits, np.sort(rng.integers(0, 500, 6)))
    counts = [count_buckets(part, bracket) for part in parts]
    merged = functools.reduce(merge_buckets, counts)
    whole = count_buckets(bits, bracket)
    for name in ("bucket", "count", "low", "high"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    assert len(whole.bucket) <= 1 << BUCKET_BITS
    assert whole.count.sum() == np.count_nonzero((bits >= bracket.low) & (bits <= bracket.high))


def test_two_rounds_find_a_float32_among_many():
    rng = np.random.default_rng(0)
    values = rng.random(300_000, dtype=np.float32)
    bracket = Bracket.between(-1e-6, 1.0, 7000)
    for _ in range(2):
        bracket = narrowed(bracket, count_buckets(order_bits(values), bracket))
    assert bracket.is_exact
    assert bracket.value == np.sort(values)[6999]


def test_bits_are_in_the_order_of_the_numbers():
    values = np.array([-np.inf, -1.0, -1e-300, -5e-324, -0.0, 0.0, 5e-324, 1e-9, 0.5, 1.0, np.inf])
    bits = order_bits(values)
    assert (np.diff(bits) >= 0).all()
    assert np.flatnonzero(np.diff(bits) == 0).tolist() == [4]
    for value in values[1:-1]:
        bit = int(order_bits(np.array([value]))[0])
        assert Bracket(bit, bit, 1).value == value


def test_more_than_there_are_is_refused():
    with pytest.raises(DataError, match="the 4-th lowest of 3 numbers is asked"):
        nth_lowest(np.arange(3.0), 4)

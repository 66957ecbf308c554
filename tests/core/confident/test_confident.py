from fractions import Fraction

import numpy as np
import pytest
from cleanlab import count
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.confident import get_confident_thresholds
from lq_spark.core.confident.thresholds import (
    ClassSums,
    finish_thresholds,
    merge_class_sums,
    partial_class_sums,
)
from lq_spark.errors import DataError

DTYPES = [
    pytest.param(np.float64, 1e-9, id="float64"),
    pytest.param(np.float32, 1e-6, id="float32"),
]


def arrays(state):
    return [state.counts, state.high, state.low]


@pytest.mark.parametrize(("dtype", "atol"), DTYPES)
@settings(deadline=None)
@given(data=st.data())
def test_thresholds_equal_cleanlabs(dtype, atol, data, data_sets, quietly):
    labels, pred_probs = data.draw(data_sets(dtype))
    expected = quietly(count.get_confident_thresholds, labels, pred_probs)
    actual = get_confident_thresholds(labels, pred_probs)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None)
@given(data=st.data())
def test_any_split_and_any_order_of_merging_give_the_same_bits(
    dtype, data, data_sets, assert_same_bits
):
    labels, pred_probs = data.draw(data_sets(dtype))
    whole = partial_class_sums(labels, pred_probs)

    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    cuts = np.sort(rng.integers(0, len(labels) + 1, size=rng.integers(0, 10)))  # some parts empty
    parts = np.split(rng.permutation(len(labels)), cuts)
    states = [partial_class_sums(labels[rows], pred_probs[rows]) for rows in parts]
    while len(states) > 1:
        a, b = (states.pop(rng.integers(len(states))) for _ in range(2))
        states.append(merge_class_sums(a, b))

    for actual, expected in zip(arrays(states[0]), arrays(whole), strict=True):
        assert_same_bits(actual, expected)
    assert_same_bits(finish_thresholds(states[0]), get_confident_thresholds(labels, pred_probs))


def test_merging_changes_neither_of_its_inputs():
    a = partial_class_sums(np.array([0, 1]), np.array([[0.75, 0.25], [0.5, 0.5]]))
    b = partial_class_sums(np.array([1, 1]), np.array([[0.1, 0.9], [0.3, 0.7]]))
    before = [array.copy() for array in arrays(a) + arrays(b)]
    merge_class_sums(a, b)
    merge_class_sums(a, a)
    np.testing.assert_array_equal(arrays(a) + arrays(b), before)


def test_zero_rows_are_a_state_that_changes_nothing_it_is_merged_with():
    nothing = partial_class_sums(np.empty(0, dtype=np.int64), np.empty((0, 3)))
    np.testing.assert_array_equal(arrays(nothing), np.zeros((3, 3)))
    assert finish_thresholds(nothing).tolist() == [2.0, 2.0, 2.0]

    some = partial_class_sums(np.array([2, 0]), np.array([[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]]))
    for merged in (merge_class_sums(nothing, some), merge_class_sums(some, nothing)):
        np.testing.assert_array_equal(arrays(merged), arrays(some))


def multiples_of_two_to_the_minus_60():
    # An integer of up to 60 bits, rounded to the 53 that a float64 holds, is an integer still.
    integers = st.integers(0, 60).flatmap(lambda bits: st.integers(0, 2**bits))
    return integers.map(lambda i: float(i) * 2.0**-60)


@settings(deadline=None)
@given(confidences=st.lists(multiples_of_two_to_the_minus_60(), min_size=1, max_size=50))
def test_a_threshold_is_the_correctly_rounded_mean(confidences):
    pred_probs = np.array([[p, 1.0 - p] for p in confidences])
    thresholds = get_confident_thresholds(np.zeros(len(confidences), dtype=int), pred_probs)
    mean = sum(map(Fraction, confidences)) / len(confidences)
    assert thresholds[0] == max(float(mean), 2e-6)


def test_a_threshold_of_millions_of_equal_rows_is_exactly_their_confidence():
    n_rows = (1 << 21) + 3  # a running sum in float64 has drifted by now
    labels = np.zeros(n_rows, dtype=np.int64)
    state = partial_class_sums(labels, np.broadcast_to([0.1, 0.9], (n_rows, 2)))
    assert finish_thresholds(state).tolist() == [0.1, 2.0]


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_float32_is_averaged_in_float64(data, data_sets, assert_same_bits):
    labels, pred_probs = data.draw(data_sets(np.float32))
    assert_same_bits(
        get_confident_thresholds(labels, pred_probs),
        get_confident_thresholds(labels, pred_probs.astype(np.float64)),
    )


def test_a_class_without_rows_has_threshold_2():
    assert get_confident_thresholds([0, 2], np.full((2, 4), 0.25)).tolist() == [0.25, 2, 0.25, 2]


@pytest.mark.parametrize("confidence", [0.0, 1e-9, 1.9e-6, -1e-7])
def test_a_threshold_is_at_least_2e_6(confidence):
    assert get_confident_thresholds([0], [[confidence, 1.0 - confidence]])[0] == 2e-6


def test_thresholds_change_no_input():
    labels, pred_probs = np.array([0, 1]), np.array([[0.75, 0.25], [0.5, 0.5]])
    get_confident_thresholds(labels, pred_probs)
    assert labels.tolist() == [0, 1]
    assert pred_probs.tolist() == [[0.75, 0.25], [0.5, 0.5]]


def doubled(state, times):
    for _ in range(times):
        state = merge_class_sums(state, state)
    return state


@pytest.mark.parametrize("doublings", [0, 31, 32])
def test_sums_hold_the_rows_of_a_class_up_to_the_limit(doublings):
    certain = partial_class_sums(np.array([0]), np.array([[1.0, 0.0]]))
    assert finish_thresholds(doubled(certain, doublings))[0] == 1.0


def test_more_rows_of_a_class_than_the_sums_can_hold_are_refused():
    state = doubled(ClassSums(*np.array([[1, 3], [1, 3], [0, 0]])), 33)
    with pytest.raises(DataError, match=rf"a class has {3 << 33} rows, at most \d+ can be summed"):
        finish_thresholds(state)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 2], "label out of range"), ([0, 0.5], "whole numbers"), ([0], "labels has 1 rows")],
)
def test_bad_rows_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        get_confident_thresholds(labels, [[0.75, 0.25], [0.5, 0.5]])

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.shared.checks import (
    FAULT_REASONS,
    RowFault,
    checked_inputs,
    checked_labels,
    checked_pred_probs,
    row_faults,
)
from lq_spark.errors import DataError

NAN, INF = np.nan, np.inf

ROWS = [
    # label, probabilities, fault
    (0, [0.5, 0.25, 0.25], RowFault.NONE),
    (2, [0.0, 0.0, 1.0], RowFault.NONE),
    (0, [0.50001, 0.50001, 0.0], RowFault.NONE),  # sums to 1.00002
    (1, [1.00001, 0.0, 0.0], RowFault.NONE),
    (0, [1.0, -1e-7, 0.0], RowFault.NONE),
    (3, [0.5, 0.25, 0.25], RowFault.LABEL_OUT_OF_RANGE),
    (-1, [0.5, 0.25, 0.25], RowFault.LABEL_OUT_OF_RANGE),
    (0, [NAN, 0.5, 0.5], RowFault.NOT_FINITE),
    (0, [0.0, INF, 0.0], RowFault.NOT_FINITE),
    (0, [0.0, 0.0, -INF], RowFault.NOT_FINITE),
    (0, [0.6, 0.5, -0.1], RowFault.NEGATIVE),
    (0, [1.0, 0.0, -1e-5], RowFault.NEGATIVE),
    (0, [1.1, 0.0, 0.0], RowFault.ABOVE_ONE),
    (0, [0.5, 0.25, 0.2], RowFault.SUM_NOT_ONE),
    (0, [0.5, 0.5, 0.002], RowFault.SUM_NOT_ONE),
    (0, [0.0, 0.0, 0.0], RowFault.SUM_NOT_ONE),
    # Several faults: the first in the order of RowFault.
    (3, [NAN, -1.0, 2.0], RowFault.LABEL_OUT_OF_RANGE),
    (0, [NAN, -1.0, 2.0], RowFault.NOT_FINITE),
    (0, [INF, -1.0, 2.0], RowFault.NOT_FINITE),
    (0, [0.5, -1.0, 2.0], RowFault.NEGATIVE),
    (0, [0.5, 0.5, 2.0], RowFault.ABOVE_ONE),
]


def faults_of(rows, dtype=np.float64):
    labels, pred_probs, _ = zip(*rows, strict=True)
    return row_faults(np.array(labels), np.array(pred_probs, dtype=dtype)).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[:2]}")
def test_a_row_has_the_first_of_its_faults(row, dtype):
    assert faults_of([row], dtype) == [row[2]]


@settings(deadline=None)
@given(rows=st.lists(st.sampled_from(ROWS), min_size=1, max_size=30))
def test_a_row_has_the_same_fault_in_any_company(rows):
    assert faults_of(rows) == [fault for _, _, fault in rows]


def test_a_probability_above_1_that_negative_ones_make_up_for_is_a_fault_in_any_company():
    row = (0, [1.001 + 9e-7, -1e-6, 0.0], None)  # sums to 1 within the tolerance
    bad = (0, [0.0, 0.0, 0.0], None)
    assert faults_of([row, bad])[0] == faults_of([row])[0]


def test_faults_are_found_in_every_block():
    n_rows = 100_000
    pred_probs = np.tile([0.5, 0.5], (n_rows, 1))
    bad = [0, 40_000, n_rows - 1]
    pred_probs[bad, 0] = [NAN, -1.0, 2.0]
    faults = row_faults(np.zeros(n_rows, dtype=np.int64), pred_probs)
    assert np.flatnonzero(faults).tolist() == bad
    assert faults[bad].tolist() == [RowFault.NOT_FINITE, RowFault.NEGATIVE, RowFault.ABOVE_ONE]


@pytest.mark.parametrize(
    ("tolerance", "fault"),
    [(0.0, RowFault.ABOVE_ONE), (0.019, RowFault.ABOVE_ONE), (0.021, RowFault.NONE)],
)
def test_the_tolerance_is_the_callers(tolerance, fault):
    labels, pred_probs = np.array([0]), np.array([[1.02, 0.0]])
    assert row_faults(labels, pred_probs, tolerance=tolerance).tolist() == [fault]


def test_no_rows_have_no_faults():
    assert row_faults(np.empty(0, dtype=np.int64), np.empty((0, 3))).tolist() == []


def test_every_fault_has_a_reason():
    assert set(FAULT_REASONS) == set(RowFault) - {RowFault.NONE}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_checking_changes_no_input(dtype):
    labels, pred_probs = np.array([0, 1, 5]), np.array([[2, -1], [0.5, 0.5], [NAN, 1]], dtype=dtype)
    before = labels.copy(), pred_probs.copy()
    row_faults(labels, pred_probs)
    with pytest.raises(DataError):
        checked_inputs(labels, pred_probs)
    np.testing.assert_array_equal(labels, before[0])
    np.testing.assert_array_equal(pred_probs, before[1])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], r"labels must be a non-empty 1-D array, got shape \(0,\)"),
        (1, r"labels must be a non-empty 1-D array, got shape \(\)"),
        ([[0], [1]], r"labels must be a non-empty 1-D array, got shape \(2, 1\)"),
        (["a", "b"], r"labels must be whole numbers 0\.\.K-1, got an array of <U1"),
        ([0, None], r"labels must be whole numbers 0\.\.K-1, got an array of object"),
        ([0, 1.5, 0.25], r"labels must be whole numbers 0..K-1, got 1\.5 at row 1 \(2 such rows\)"),
        ([0, NAN], r"labels must be whole numbers 0..K-1, got nan at row 1 \(1 such rows\)"),
    ],
    ids=repr,
)
def test_labels_that_are_no_whole_numbers_are_refused(labels, message):
    with pytest.raises(DataError, match=message) as error:
        checked_labels(labels)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    "labels", [[0, 1], (0.0, 1.0), np.array([False, True]), np.array([0, 1], dtype=np.uint8)]
)
def test_whole_numbers_of_any_type_become_int64(labels):
    checked = checked_labels(labels)
    assert checked.dtype == np.int64
    assert checked.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("pred_probs", "message"),
    [
        ([0.5, 0.5], r"2-D array of numbers, got shape \(2,\) of float64"),
        ([[["a"]]], r"2-D array of numbers, got shape \(1, 1, 1\) of <U1"),
        ([["a", "b"]], r"2-D array of numbers, got shape \(1, 2\) of <U1"),
        ([[True, False]], r"2-D array of numbers, got shape \(1, 2\) of bool"),
        ([[0.5, None]], r"2-D array of numbers, got shape \(1, 2\) of object"),
        ([[1.0]], r"pred_probs must have at least 2 classes, got 1"),
        (np.empty((1, 0)), r"pred_probs must have at least 2 classes, got 0"),
    ],
    ids=repr,
)
def test_pred_probs_that_are_no_matrix_of_numbers_are_refused(pred_probs, message):
    with pytest.raises(DataError, match=message):
        checked_pred_probs(pred_probs)


@pytest.mark.parametrize(
    ("given_dtype", "dtype"), [(np.int8, np.float64), (np.float32, np.float32)]
)
def test_pred_probs_are_left_in_their_float_type(given_dtype, dtype):
    checked = checked_pred_probs(np.array([[1, 0]], dtype=given_dtype))
    assert checked.dtype == dtype
    assert checked.tolist() == [[1, 0]]


def test_labels_and_pred_probs_of_unequal_length_are_refused():
    with pytest.raises(DataError, match="labels has 3 rows, pred_probs has 2"):
        checked_inputs([0, 0, 1], [[0.5, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize("row", [row for row in ROWS if row[2]], ids=lambda row: f"{row[:2]}")
def test_the_error_names_the_fault_the_first_row_with_it_and_k(row):
    good = (0, [0.5, 0.25, 0.25], None)
    labels, pred_probs, _ = zip(good, row, row, strict=True)
    with pytest.raises(DataError) as error:
        checked_inputs(labels, pred_probs)
    reason = FAULT_REASONS[row[2]]
    expected = f"{reason}: 2 rows, for instance row 1 (pred_probs has K = 3 classes)"
    assert str(error.value) == expected


def test_the_error_names_every_fault_there_is():
    with pytest.raises(DataError) as error:
        checked_inputs([0, 7, 0], [[NAN, 0.5], [0.5, 0.5], [0.5, 0.4]])
    assert str(error.value) == (
        "label out of range: 1 rows, for instance row 1; "
        "probability not finite: 1 rows, for instance row 0; "
        "probabilities do not sum to 1: 1 rows, for instance row 2 (pred_probs has K = 2 classes)"
    )


@pytest.mark.parametrize(
    ("labels", "pred_probs"),
    [
        pytest.param([INF], [[0.5, 0.5]], id="infinite label"),
        pytest.param([1e300], [[0.5, 0.5]], id="label beyond int64"),
        pytest.param([0], [[INF, -INF]], id="both infinities"),
        pytest.param([0], [[1e308, 1e308]], id="sum beyond float64"),
    ],
)
def test_huge_and_infinite_values_are_refused_without_a_warning(labels, pred_probs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError):
            checked_inputs(labels, pred_probs)

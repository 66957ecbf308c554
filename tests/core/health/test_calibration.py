"""Calibration of probabilities: as scikit-learn's curve has it, the same in any batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from lq_spark.core.health.calibration import (
    N_BINS,
    finish_calibration,
    merge_calibrations,
    partial_calibration,
)


def drawn(seed, n, n_classes):
    rng = np.random.default_rng(seed)
    return rng.integers(0, n_classes, n), rng.dirichlet(np.ones(n_classes), n)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(2, 6))
def test_the_curve_is_scikit_learns(seed, n, n_classes):
    labels, probs = drawn(seed, n, n_classes)
    found = finish_calibration(partial_calibration(labels, probs))
    hits = probs.argmax(axis=1) == labels
    # Its bins are closed to the right, too, and it drops the empty ones.
    accuracy, confidence = calibration_curve(hits, probs.max(axis=1), n_bins=N_BINS)
    np.testing.assert_allclose(found.accuracy, accuracy, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.confidence, confidence, rtol=0, atol=1e-9)
    shares = found.counts / n
    expected = (shares * np.abs(accuracy - confidence)).sum()
    assert found.error == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(2, 100), st.integers(1, 99))
def test_batches_give_the_same_bits(seed, n, cut):
    labels, probs = drawn(seed, n, 3)
    whole = finish_calibration(partial_calibration(labels, probs))
    parts = (partial_calibration(labels[part], probs[part]) for part in (slice(cut), slice(cut, n)))
    merged = finish_calibration(merge_calibrations(*parts))
    assert merged.error == whole.error
    np.testing.assert_array_equal(merged.confidence, whole.confidence)


def test_the_first_bin_has_its_upper_edge():
    probs = np.array([[0.5, 0.5], [0.6, 0.4], [0.61, 0.39], [1.0, 0.0]])
    found = finish_calibration(partial_calibration(np.zeros(4, dtype=np.int64), probs))
    np.testing.assert_array_equal(found.counts, [1, 1, 1, 1])
    np.testing.assert_allclose(found.confidence, [0.5, 0.6, 0.61, 1.0])


def test_without_rows_nothing_is_known():
    found = finish_calibration(partial_calibration(np.zeros(0, np.int64), np.zeros((0, 2))))
    assert len(found.counts) == 0
    assert np.isnan(found.error)

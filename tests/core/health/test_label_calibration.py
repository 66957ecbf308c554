"""Calibration of labels that are judged each by itself, against sums written out."""

import itertools

import numpy as np
import pytest

from lq_spark.core.health import calibration


def written_out(given, probs):
    """Return the expected calibration error of binary probabilities."""
    edges = np.linspace(0, 1, calibration.N_BINS + 1)
    error = 0.0
    for k, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = (probs > low) & (probs <= high) | ((k == 0) & (probs == 0))
        if inside.any():
            error += inside.mean() * abs(given[inside].mean() - probs[inside].mean())
    return error


@pytest.mark.parametrize("block", [1 << 20, 7])
def test_each_label_is_judged_by_itself(monkeypatch, block):
    monkeypatch.setattr(calibration, "_BLOCK", block)
    rng = np.random.default_rng(0)
    probs = rng.uniform(0, 1, (500, 3))
    probs[0] = 0, 1, 0.1
    given = rng.uniform(0, 1, (500, 3)) < probs**2
    parts = [
        calibration.partial_label_calibrations(given[rows], probs[rows])
        for rows in (slice(0, 123), slice(123, 500))
    ]
    found, of_classes = calibration.finish_label_calibrations(
        calibration.merge_calibrations(*parts)
    )
    assert found.error == pytest.approx(written_out(given.ravel(), probs.ravel()), abs=1e-12)
    for k, of_class in enumerate(of_classes):
        assert of_class.error == pytest.approx(written_out(given[:, k], probs[:, k]), abs=1e-12)
        assert of_class.counts.sum() == 500
    whole = calibration.partial_label_calibrations(given, probs)
    merged = calibration.merge_calibrations(*parts[::-1])
    assert all((getattr(whole, n) == getattr(merged, n)).all() for n in ("counts", "high", "low"))

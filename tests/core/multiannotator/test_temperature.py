from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.multiannotator.annotations import checked_annotations, count_votes
from lq_spark.core.multiannotator.temperature import (
    COARSE_TEMPERATURES,
    Model,
    TemperatureLosses,
    fine_temperatures,
    finish_losses,
    fit_temperature,
    mean_probabilities,
    partial_losses,
)


def scaled(row, temperature, floor=1e-30):
    """Return p^(1 / T) of a row, normalised; p is at least the floor."""
    powers = [max(p, floor) ** (1 / temperature) for p in row]
    return [power / math.fsum(powers) for power in powers]


def random_annotations(rng, n_items, n_classes):
    given_by = rng.random((n_items, 6)) < 0.5
    given_by[:, 0] = True
    items, annotators = np.nonzero(given_by)
    labels = rng.integers(n_classes, size=len(items))
    return checked_annotations(items, annotators, labels, n_classes=n_classes, n_annotators=6)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_classes=st.integers(2, 40),
    temperature=st.sampled_from(COARSE_TEMPERATURES),
)
def test_a_loss_is_the_mean_cross_entropy_of_the_scaled_probabilities(seed, n_classes, temperature):
    rng = np.random.default_rng(seed)
    annotations = random_annotations(rng, 20, n_classes)
    votes = count_votes(annotations)
    pred_probs = rng.dirichlet(np.full(n_classes, 0.1), size=20)
    pred_probs[pred_probs < 1e-3] = 0.0
    state = partial_losses(annotations, votes, pred_probs, [temperature])
    expected = []
    for item in range(20):
        row = scaled(pred_probs[item], temperature, floor=0.0)
        given = annotations.labels[annotations.items == item]
        loss = -math.fsum(math.log(max(row[label], 1e-30)) for label in given) / len(given)
        expected.append(loss / math.log(n_classes))
    found = 128 * (state.high[0] * 2.0**-30 + state.low[0] * 2.0**-60)
    assert found == pytest.approx(math.fsum(expected), rel=1e-9)
    assert state.n_items == 20


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), temperature=st.sampled_from([None, 0.1, 0.725, 8.0]))
def test_scaled_probabilities_are_powers(seed, temperature):
    rng = np.random.default_rng(seed)
    pred_probs = rng.dirichlet(np.full(5, 0.3), size=7)
    ((_, block),) = Model(pred_probs, temperature).blocks()
    expected = pred_probs if temperature is None else [scaled(p, temperature) for p in pred_probs]
    np.testing.assert_allclose(block, expected, rtol=1e-9, atol=1e-12)
    models = [Model(pred_probs, temperature), Model(pred_probs[::-1], temperature)]
    rows, classes = np.array([0, 3, 6]), np.array([4, 4, 0])
    mean = (np.array(expected) + np.array(expected)[::-1])[rows, classes] / 2
    np.testing.assert_allclose(
        mean_probabilities(models, rows, classes), mean, rtol=1e-9, atol=1e-12
    )


def test_the_fine_grid_lies_between_the_neighbours():
    assert fine_temperatures(0) == pytest.approx((0.1, 0.125, 0.15, 0.175, 0.2))
    assert len(fine_temperatures(4)) == 9
    assert fine_temperatures(len(COARSE_TEMPERATURES) - 1) == (5.0, 5.75, 6.5, 7.25)


def test_of_equal_losses_the_first_wins():
    state = TemperatureLosses(2, np.array([3, 1, 1, 1]), np.array([0, 7, 5, 5]))
    assert finish_losses(state) == 2


def test_a_model_that_is_right_more_often_than_it_says_is_made_surer():
    items, annotators = np.divmod(np.arange(60), 2)
    truth = np.arange(30) % 3
    given_labels = checked_annotations(items, annotators, truth[items], n_classes=3)
    votes = count_votes(given_labels)
    right = np.full((30, 3), 0.25)
    right[np.arange(30), truth] = 0.5
    assert fit_temperature(given_labels, votes, right) == 0.1
    wrong = np.roll(right, 1, axis=1)
    assert fit_temperature(given_labels, votes, wrong) == 7.25
    # cleanlab takes each of these labels for class 0.
    assert fit_temperature(given_labels, votes, right, cleanlab_compatible=True) > 1

"""Which share of the rows to leave out, what regressors predict, folds without classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from lq_spark.core.regression.moments import partial_moments, r_squared
from lq_spark.core.regression.rules import n_issues
from lq_spark.core.training import assign_folds
from lq_spark.core.training.folds import require_held_out, reseeded, seeded_codes
from lq_spark.core.training.models import predicted_numbers
from lq_spark.core.training.search import (
    COARSE,
    best_share,
    checked_shares,
    chosen_share,
    epistemic_uncertainty,
    fine_shares,
)
from lq_spark.errors import DataError, OptionError


@given(st.lists(st.floats(0.001, 0.999), min_size=1, unique=True), st.integers(0, 5), st.data())
def test_fine_shares_lie_evenly_on_each_side_of_the_best(shares, size, data):
    coarse = sorted(shares)
    place = data.draw(st.integers(0, len(coarse) - 1))
    found = fine_shares(coarse, coarse[place], size)
    sides = [coarse[n : n + 2] for n in (place - 1, place) if n >= 0 and n + 2 <= len(coarse)]
    expected = [np.linspace(*side, size + 2)[1:-1] for side in sides]
    assert len(found) == size * len(sides)
    np.testing.assert_allclose(found, np.concatenate([[], *expected]), rtol=1e-12)


def test_a_fine_share_leaves_no_row_more_for_how_it_is_computed():
    assert fine_shares(COARSE, 0.05, 3) == (0.02, 0.03, 0.04, 0.0625, 0.075, 0.0875)
    assert n_issues(100, fine_shares(COARSE, 0.05, 3)[1]) == 3
    assert fine_shares(COARSE, 0.2, 1) == (0.175,)
    assert fine_shares([0.1], 0.1, 3) == ()


def test_a_coarse_share_is_chosen_only_if_it_is_better_than_fine_ones_and_than_none():
    assert best_share({0.1: 0.5, 0.2: 0.5, 0.3: 0.4}) == 0.1
    assert chosen_share(0.1, {0.1: 0.5, 0.2: 0.4}, {0.05: 0.5, 0.15: 0.5}) == 0.05
    assert chosen_share(0.1, {0.1: 0.6, 0.2: 0.4}, {0.05: 0.5, 0.15: 0.5}) == 0.1
    assert chosen_share(0.6, {0.1: 0.6}, {}) == 0.0
    assert chosen_share(0.1, {0.9: -np.inf, 0.95: -np.inf}, {0.93: -np.inf}) == 0.0


@pytest.mark.parametrize("shares", [[], [0.0], [1.0], [0.1, -0.1], [np.nan], ["a"], "0.1", 0.1])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(OptionError, match=r"^coarse_search_range"):
        checked_shares("coarse_search_range", shares)


def test_r_squared_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.normal(3.0, 2.0, 500)
    predictions = labels + rng.normal(size=500)
    found = r_squared(partial_moments(labels), partial_moments(predictions - labels))
    assert found == pytest.approx(r2_score(labels, predictions), rel=1e-12)
    ones = partial_moments(np.ones(3))
    assert r_squared(ones, ones) is None


def test_the_spread_of_predictions_is_that_of_the_population():
    predictions = np.random.default_rng(0).normal(size=(20, 6))
    found = epistemic_uncertainty(predictions)
    np.testing.assert_array_equal(found, predictions.std(axis=1))
    np.testing.assert_array_equal(found[3:5], epistemic_uncertainty(predictions[3:5]))
    assert epistemic_uncertainty(predictions[:, :1]).max() == 0.0


class Says:
    """Predicts what it is told."""

    def __init__(self, found):
        self.found = found

    def predict(self, X):
        return self.found


def test_what_a_regressor_predicts_is_a_number_a_row():
    rows = np.zeros((2, 1))
    for found in ([[1], [2]], [1, 2], np.array([1, 2], np.float32)):
        np.testing.assert_array_equal(predicted_numbers(Says(found), rows), [1.0, 2.0])
    for found, said in (
        ([1.0], r"predict gave shape \(1,\), not \(2,\)"),
        (["1", "2"], "predict gave <U1, not numbers"),
        ([1.0, np.inf], r"predict gave numbers that are NaN or beyond 1e\+300"),
        ([1.0, -1e301], r"predict gave numbers that are NaN or beyond 1e\+300"),
    ):
        with pytest.raises(DataError, match=f"^{said}$"):
            predicted_numbers(Says(found), rows)


def test_without_classes_rows_are_dealt_out_as_those_of_one():
    ids = np.random.default_rng(4).permutation(10**6)[:1003]
    folds = assign_folds(ids, n_folds=4)
    assert np.ptp(np.bincount(folds)) == 1
    ranks = seeded_codes(ids, 0).argsort().argsort()
    np.testing.assert_array_equal(folds, ranks % 4)
    groups = ids % 9
    of_groups = assign_folds(ids, groups=groups)
    assert {len(set(of_groups[groups == group])) for group in range(9)} == {1}
    with pytest.raises(DataError, match=r"^the table has too few rows for n_folds = 5: 2 folds ho"):
        assign_folds([1, 2, 3])
    with pytest.raises(DataError, match=r"^g has too few values for k = 2: 1 folds hold none out;"):
        require_held_out(np.array([3, 0]), groups="g", option="k")


def test_rounds_have_folds_of_their_own():
    codes = seeded_codes(np.arange(1000), 5)
    all_codes = np.concatenate([reseeded(codes, number) for number in range(5)])
    assert len(set(all_codes.tolist())) == len(all_codes)
    halves = [reseeded(codes, n).argsort().argsort() % 2 for n in range(5)]
    assert np.abs(np.corrcoef(halves) - np.eye(5)).max() < 0.12

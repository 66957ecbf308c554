import warnings

import numpy as np
import pytest
from cleanlab.regression.learn import CleanLearning
from cleanlab.regression.rank import get_label_quality_scores as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.regression import find_label_issues, get_label_quality_scores
from lq_spark.core.regression.rules import n_issues
from lq_spark.errors import DataError, OptionError

NAN, INF = float("nan"), float("inf")
SPREADS = ("normal", "heavy tails", "skewed", "two groups", "whole numbers")


def random_rows(rng, n_rows, spread="normal"):
    """Return labels and predictions of one of several shapes."""
    labels, noise = rng.normal(size=n_rows), 0.3 * rng.normal(size=n_rows)
    if spread == "heavy tails":
        labels, noise = rng.standard_t(2, n_rows), 0.1 * rng.standard_t(2, n_rows)
    elif spread == "skewed":
        labels = np.exp(labels) * 1e5
        noise *= labels
    elif spread == "two groups":
        labels += 1000.0 * (rng.random(n_rows) < 0.6)
    elif spread == "whole numbers":
        labels = rng.integers(0, 5, n_rows)
    return labels, labels + noise


@st.composite
def rows(draw, most=250):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random_rows(rng, draw(st.integers(2, most)), draw(st.sampled_from(SPREADS)))


@settings(deadline=None)
@given(rows=rows(), method=st.sampled_from(["outre", "residual"]))
def test_scores_equal_cleanlabs(rows, method, quietly):
    actual = get_label_quality_scores(*rows, method=method)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, quietly(oracle, *rows, method=method), rtol=0, atol=1e-9)


@settings(deadline=None)
@given(rows=rows())
def test_scores_of_float32_are_near_cleanlabs(rows, quietly):
    narrow = [values.astype(np.float32) for values in rows]
    actual = get_label_quality_scores(*narrow, method="residual")
    # cleanlab computes in float32; the score changes at most as much as the residual.
    slack = 1e-6 * max(1.0, np.abs(narrow).max())
    np.testing.assert_allclose(actual, oracle(*narrow, method="residual"), rtol=0, atol=slack)


class Forest:
    """A model that has learned its predictions, the column of X; its first five fits know nothing.

    So that cleanlab finds that its predictions get better when it drops the asked share of rows.
    """

    n_fits = 0

    def __sklearn_clone__(self):
        return Forest()

    def get_params(self, deep=True):
        return {}

    def fit(self, X, y):
        Forest.n_fits += 1
        self.knows = Forest.n_fits > 5
        return self

    def predict(self, X):
        return X[:, 0] if self.knows else X[:, 0] * 0.0 + 1e6


def cleanlab_issues(labels, predictions, uncertainty, frac_issues):
    Forest.n_fits = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CleanLearning(Forest(), seed=0).find_label_issues(
            predictions[:, np.newaxis],
            labels,
            uncertainty=uncertainty,
            coarse_search_range=[frac_issues],
        )


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(20, 120),
    spread=st.sampled_from(SPREADS[:-1]),
    numerator=st.integers(1, 16),
    constant=st.booleans(),
)
def test_issues_of_given_predictions_equal_cleanlabs(seed, n_rows, spread, numerator, constant):
    rng = np.random.default_rng(seed)
    labels, predictions = random_rows(rng, n_rows, spread)
    uncertainty = 0.25 if constant else rng.random(n_rows)
    share = numerator / 32  # a product that is not rounded
    expected = cleanlab_issues(labels, predictions, uncertainty, share)
    actual = find_label_issues(labels, predictions, uncertainty=uncertainty, frac_issues=share)
    assert list(actual.columns) == list(expected.columns)
    assert actual.dtypes.equals(expected.dtypes)
    assert actual["is_label_issue"].sum() == n_issues(n_rows, share) > 0
    for name in ("label_quality", "given_label", "predicted_label"):
        np.testing.assert_allclose(actual[name], expected[name], rtol=0, atol=1e-9)
    lowest = actual["label_quality"].nsmallest(n_issues(n_rows, share))
    if lowest.iloc[-1] > 0:  # else cleanlab has equal ones at the cut
        assert actual["is_label_issue"].equals(expected["is_label_issue"])


def test_predictions_of_whole_labels_are_not_cut():
    labels = np.arange(40) % 7
    predictions = labels + 0.75
    predictions[:3] += 2.0
    options = {"uncertainty": 1.0, "frac_issues": 0.0625}
    theirs = cleanlab_issues(labels, predictions, *options.values())
    assert theirs["predicted_label"].tolist() == (predictions // 1).tolist()
    ours = find_label_issues(labels, predictions, **options)
    assert ours["predicted_label"].tolist() == predictions.tolist()
    # cleanlab's scores are those of the whole predictions, too.
    np.testing.assert_allclose(ours["label_quality"], theirs["label_quality"], rtol=0, atol=1e-9)


def test_issues_are_the_exact_share_of_rows():
    rng = np.random.default_rng(0)
    labels, predictions = random_rows(rng, 50)
    theirs = cleanlab_issues(labels, predictions, 1.0, 0.28)
    ours = find_label_issues(labels, predictions, uncertainty=1.0, frac_issues=0.28)
    assert theirs["is_label_issue"].sum() == 15  # 50 * 0.28 is 14.000000000000002
    assert ours["is_label_issue"].sum() == 14
    assert [n_issues(100, share) for share in (0, 0.0, 0.001, 0.07, 1)] == [0, 0, 1, 7, 100]


def test_scores_too_low_to_differ_are_flagged_by_their_residuals():
    predictions = np.array([0.0, 1.0, 1.0, 1.0, 9e4, 7e4, 8e4])
    found = find_label_issues(np.zeros(7), predictions, uncertainty=0.5, frac_issues=0.25)
    assert found["label_quality"].tolist()[4:] == [0.0, 0.0, 0.0]
    assert np.flatnonzero(found["is_label_issue"]).tolist() == [4, 6]


def test_equal_residuals_are_flagged_in_their_order():
    found = find_label_issues(np.zeros(6), np.ones(6), uncertainty=0.5, frac_issues=0.5)
    assert found["is_label_issue"].tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize("largest", [1.0, 1e-290, 1e290])
def test_an_uncertainty_of_0_makes_a_residual_large_and_no_residual_stays_0(largest):
    labels, predictions = np.zeros(4), np.array([0.0, 0.0, 1.0, 2.0]) * largest
    found = find_label_issues(labels, predictions, uncertainty=[0, 0, 0, 0], frac_issues=0.25)
    assert found["label_quality"].iloc[0] == 1.0
    assert np.isfinite(found["label_quality"]).all()
    assert found["is_label_issue"].sum() == 1


@pytest.mark.parametrize("scale", [1e-290, 1e160, 1e250])
def test_the_unit_of_labels_does_not_matter_to_outre(scale, quietly):
    labels, predictions = random_rows(np.random.default_rng(1), 60)
    expected = get_label_quality_scores(labels, predictions)
    actual = get_label_quality_scores(labels * scale, predictions * scale)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)
    theirs = quietly(oracle, labels * scale, predictions * scale)
    assert np.abs(theirs - expected).max() > 0.2  # its variance over- or underflows


def test_equal_numbers_have_no_spread(quietly):
    labels = np.full(60, 0.1)
    predictions = np.random.default_rng(0).normal(size=60)
    ours = get_label_quality_scores(labels, predictions)
    theirs = quietly(oracle, labels, predictions)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    assert get_label_quality_scores(labels, labels).tolist() == [1.0] * 60


def test_small_types_neither_wrap_nor_overflow(quietly):
    small = np.array([1, 200, 3, 4], dtype=np.uint8), np.array([2, 2, 5, 4], dtype=np.uint8)
    assert (quietly(oracle, *small, method="residual") > 1.0).any()
    expected = np.exp([-1.0, -198.0, -2.0, 0.0])
    assert get_label_quality_scores(*small, method="residual").tolist() == expected.tolist()
    half = np.array([1000.0, 2, 3], dtype=np.float16), np.array([2.0, 2, 3], dtype=np.float16)
    assert get_label_quality_scores(*half).min() < 0.1


def test_a_data_set_may_have_one_row_or_two():
    assert get_label_quality_scores([5.0], [9.0]).tolist() == [1.0]
    assert get_label_quality_scores([5.0, 6.0], [9.0, 2.0]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("spread", SPREADS)
def test_beyond_the_exact_rows_scores_are_nearly_the_same(spread):
    rows = random_rows(np.random.default_rng(2), 3000, spread)
    near = get_label_quality_scores(*rows, exact_up_to=2999)
    exact = get_label_quality_scores(*rows, exact_up_to=3000)
    error = np.abs(near - exact).max()
    assert 0.0 < error < 0.0025


def test_where_nearly_half_of_all_rows_are_alike_scores_are_near():
    rng = np.random.default_rng(3)
    labels, predictions = random_rows(rng, 3000, "skewed")
    alike = rng.random(3000) < 0.45
    labels[alike] = predictions[alike] = 0.0
    near = get_label_quality_scores(labels, predictions, exact_up_to=0)
    assert np.abs(near - get_label_quality_scores(labels, predictions)).max() < 0.0025


def test_one_label_far_off_leaves_the_others_their_resolution():
    labels, predictions = random_rows(np.random.default_rng(4), 1500)
    labels[0] += 1e4
    near = get_label_quality_scores(labels, predictions, exact_up_to=0)
    exact = get_label_quality_scores(labels, predictions)
    np.testing.assert_allclose(near, exact, rtol=0, atol=0.0025)
    assert np.std(exact) > 0.05


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([], [], "labels must be a non-empty 1-D array of numbers, got shape (0,)"),
        ([[1.0]], [1.0], "labels must be a non-empty 1-D array of numbers, got shape (1, 1)"),
        ([1.0], ["a"], "predictions must be a non-empty 1-D array of numbers"),
        ([True], [1.0], "labels must be a non-empty 1-D array of numbers, got shape (1,) of bool"),
        ([1, 2], [1], "labels has 2 rows, predictions has 1"),
        ([1, NAN, 3, NAN], [1] * 4, "labels: not finite, or beyond 1e+300: 2 rows, for instance"),
        ([1, 2], [1, INF], "predictions: not finite, or beyond 1e+300: 1 rows, for instance row 1"),
        ([1, 2], [1, -1e301], "predictions: not finite, or beyond 1e+300: 1 rows, for instance"),
    ],
    ids=str,
)
def test_bad_rows_are_refused(labels, predictions, message):
    for method in ("outre", "residual"):
        with pytest.raises(DataError) as error:
            get_label_quality_scores(labels, predictions, method=method)
        assert str(error.value).startswith(message)
    with pytest.raises(DataError) as error:
        find_label_issues(labels, predictions, uncertainty=1.0, frac_issues=0.5)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("uncertainty", "message"),
    [
        ([1.0], "labels has 2 rows, uncertainty has 1"),
        ([1.0, -1.0], "uncertainty: below 0: 1 rows, for instance row 1: -1.0"),
        (-0.5, "uncertainty: below 0: 1 rows"),
        (NAN, "uncertainty: not finite"),
        ("a", "uncertainty must be a non-empty 1-D array of numbers"),
    ],
    ids=str,
)
def test_bad_uncertainties_are_refused(uncertainty, message):
    with pytest.raises(DataError) as error:
        find_label_issues([1, 2], [1, 2], uncertainty=uncertainty, frac_issues=0.5)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "outer"}, "method must be one of 'outre', 'residual', got 'outer'; did you"),
        ({"exact_up_to": -1}, "exact_up_to must be a whole number of rows, at least 0, got -1"),
        ({"exact_up_to": True}, "exact_up_to must be a whole number of rows, at least 0, got True"),
        ({"exact_up_to": 1e4}, "exact_up_to must be a whole number of rows, at least 0, got 1"),
    ],
    ids=str,
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(OptionError) as error:
        get_label_quality_scores([1, 2], [1, 2], **options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("share", [-0.1, 1.1, NAN, "half", True, None])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(OptionError, match="frac_issues must be a number from 0 to 1, got"):
        find_label_issues([1, 2], [1, 2], uncertainty=1.0, frac_issues=share)

"""Properties that predict the classes: the accuracies of scikit-learn, the scores of cleanlab."""

import functools
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from cleanlab.datalab.internal.spurious_correlation import SpuriousCorrelations
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB

from lq_spark.core.spurious import find_spurious_correlations
from lq_spark.core.spurious.bayes import fitted_models, merge_hits, partial_hits
from lq_spark.core.spurious.folds import stratified_folds
from lq_spark.core.spurious.moments import (
    STEPS,
    Scale,
    finish_moments,
    merge_moments,
    partial_moments,
)
from lq_spark.errors import DataError, OptionError


def accuracy_of(values, labels, n_folds):
    """Return the accuracy by scikit-learn; fail the assumption where a prediction is a tie."""
    column = values[:, np.newaxis]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes of few rows
        for train, test in StratifiedKFold(n_folds).split(column, labels):
            model = GaussianNB().fit(column[train], labels[train])
            if len(model.classes_) > 1:
                likely = np.sort(model.predict_joint_log_proba(column[test]), axis=1)
                assume((likely[:, -1] - likely[:, -2] > 1e-6).all())
        return cross_val_score(GaussianNB(), column, labels, cv=n_folds, scoring="accuracy").mean()


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_classes, n_folds = draw(st.integers(1, 6)), draw(st.integers(2, 7))
    shares = rng.dirichlet(np.full(n_classes, draw(st.sampled_from([0.2, 1.0, 10.0]))))
    labels = rng.choice(n_classes, draw(st.integers(2 * n_folds, 150)), p=shares)
    assume(np.bincount(labels).max() >= n_folds)
    offset, scale = draw(st.sampled_from([(0, 1), (1e9, 1.0), (-3, 1e-200), (1e4, 1e100)]))
    spread = draw(st.sampled_from([0.0, 0.5, 3.0]))
    values = (offset + labels * spread + rng.normal(size=len(labels))) * scale
    return values, labels, n_folds


@settings(deadline=None, max_examples=150)
@given(case=cases())
def test_accuracies_are_those_of_scikit_learn(case):
    values, labels, n_folds = case
    # What is out of the range of squares cannot be given to scikit-learn as it is.
    expected = accuracy_of(values / np.abs(values).max(), labels, n_folds)
    found = find_spurious_correlations({"x": values}, labels, n_folds=n_folds)
    np.testing.assert_allclose(found.accuracies[0], expected, rtol=1e-12)
    assert found.baseline == np.bincount(labels).max() / len(labels)
    sizes = np.bincount(labels)
    assert found.few == tuple(np.flatnonzero((sizes > 0) & (sizes < n_folds)))


def test_offsets_do_not_drown_what_differs():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    values = 2.0**40 + labels * 2.0**-4 + rng.integers(0, 100, 300) * 2.0**-12
    expected = accuracy_of(values - 2.0**40, labels, 5)
    found = find_spurious_correlations({"x": values}, labels)
    assert found.accuracies == (pytest.approx(expected),)
    assert expected > 0.9


@pytest.mark.parametrize("seed", range(8))
def test_scores_are_those_of_cleanlab_but_for_the_baseline(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 90))  # folds of several sizes
    labels = rng.choice(3, n, p=[0.15, 0.7, 0.15])
    properties = {"a": rng.normal(size=n) + 4 * labels, "b": rng.normal(size=n), "c": labels * 2.0}
    theirs = SpuriousCorrelations(pd.DataFrame(properties), labels).calculate_correlations()
    found = find_spurious_correlations(properties, labels)
    index = int(np.bincount(labels).argmax())
    accuracies = np.array(found.accuracies)
    with_index = np.minimum(1.0, (1.0 - accuracies) / (1.0 - index / n))
    np.testing.assert_allclose(with_index, theirs["score"], rtol=1e-12)
    baseline = (labels == index).mean()
    assert found.baseline == baseline > 0.5
    expected = np.minimum(1.0, (1.0 - accuracies) / (1.0 - baseline))
    np.testing.assert_allclose(found.scores, expected, rtol=1e-12)
    assert found.is_issue == tuple(expected < 0.3)


def test_of_a_rare_class_it_takes_more_than_its_absence_to_tell_the_classes_apart():
    labels = np.arange(200) % 10 == 0
    rng = np.random.default_rng(0)
    found = find_spurious_correlations({"noise": rng.normal(size=200)}, labels)
    assert found.accuracies[0] >= 0.88  # below 0.3 of what an index of 0 would leave
    assert found.baseline == 0.9
    assert found.scores == (1.0,)
    assert found.is_issue == (False,)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_folds=st.integers(2, 7), n=st.integers(14, 90))
def test_folds_are_those_of_scikit_learn(seed, n_folds, n):
    rng = np.random.default_rng(seed)
    labels = rng.choice(rng.integers(1, 8), n) * 2  # every other class has no rows
    counts = np.bincount(labels)
    assume(counts.max() >= n_folds)
    expected = np.empty(n, dtype=int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for fold, (_, test) in enumerate(StratifiedKFold(n_folds).split(labels, labels)):
            expected[test] = fold
    order = list(dict.fromkeys(labels.tolist()))
    ranks = np.array([(labels[:row] == label).sum() for row, label in enumerate(labels)])
    folds = stratified_folds(counts, order, n_folds)
    assert folds.of_rows(labels, ranks).tolist() == expected.tolist()
    assert (folds.n_folds, folds.n_classes) == (n_folds, len(counts))


@settings(deadline=None)
@given(case=cases(), n_parts=st.integers(1, 7), seed=st.integers(0, 99))
def test_states_do_not_depend_on_how_rows_are_split(case, n_parts, seed):
    values, labels, n_folds = case
    steps = Scale(values.min(), values.max()).steps(values)[np.newaxis]
    rng = np.random.default_rng(seed)
    folds = rng.integers(0, n_folds, len(labels))
    n_classes = labels.max() + 1
    whole = partial_moments(steps, labels, folds, n_classes, n_folds)
    parts = np.array_split(rng.permutation(len(labels)), n_parts)
    split = [
        partial_moments(steps[:, rows], labels[rows], folds[rows], n_classes, n_folds)
        for rows in parts
    ]
    merged = functools.reduce(merge_moments, split)
    assert merged.counts.tolist() == whole.counts.tolist()
    assert merged.digits.tolist() == whole.digits.tolist()
    assume((whole.counts.sum() > whole.counts.sum(axis=1)).all())
    models = fitted_models(finish_moments(whole))
    hits = [partial_hits(steps[:, r], labels[r], folds[r], models) for r in parts]
    expected = partial_hits(steps, labels, folds, models)
    assert functools.reduce(merge_hits, hits).tolist() == expected.tolist()


def test_moments_are_exact():
    rng = np.random.default_rng(0)
    steps = np.rint(rng.random((2, 60)) * STEPS)
    steps[:, 0], steps[:, 1] = STEPS, 0.0
    labels, folds = rng.integers(0, 3, 60), rng.integers(0, 2, 60)
    found = finish_moments(partial_moments(steps, labels, folds, 4, 2))
    for p in range(2):
        for fold in range(2):
            for k in range(3):
                rows = [Fraction(x) for x in steps[p, (folds != fold) & (labels == k)]]
                mean = sum(rows) / len(rows)
                variance = sum((x - mean) ** 2 for x in rows) / len(rows)
                assert found.counts[fold, k] == len(rows)
                assert found.means[p, fold, k] == float(mean)
                assert found.variances[p, fold, k] == float(variance)
            of_all = [Fraction(x) for x in steps[p, folds != fold]]
            mean = sum(of_all) / len(of_all)
            variance = sum((x - mean) ** 2 for x in of_all) / len(of_all)
            assert found.of_all[p, fold] == float(variance)
    assert found.counts[:, 3].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("low", "high", "reached"),
    [
        (-1.7e308, 1.7e308, STEPS),
        (1.0, 1 + 2**-52, STEPS),
        (0.0, 1e-307, STEPS),
        (-0.0, 0.0, 0.0),
        (3.5, 3.5, 0.0),
        (0.0, 5e-324, 0.0),
    ],
)
def test_steps_lead_from_the_lowest_value_to_the_highest(low, high, reached):
    steps = Scale(low, high).steps(np.array([low, high, low / 2 + high / 2]))
    assert steps[:2].tolist() == [0.0, reached]
    assert ((steps >= 0.0) & (steps <= STEPS) & (steps == np.floor(steps))).all()


def test_a_property_of_one_value_says_nothing():
    found = find_spurious_correlations({"x": [2.5] * 20, "y": [0.0] * 20}, [1] * 14 + [0] * 6)
    assert found.accuracies == (0.7, 0.7)
    assert found.scores == (1.0, 1.0)


def test_one_class_alone_is_told_apart_by_nothing():
    found = find_spurious_correlations({"x": range(10)}, [0] * 10)
    assert (found.baseline, found.accuracies, found.scores) == (1.0, (1.0,), (1.0,))
    assert found.is_issue == (False,)


def test_a_class_that_is_in_one_fold_alone_is_not_predicted_there():
    labels = [0] * 10 + [2]
    found = find_spurious_correlations({"x": [0.0, 0.1] * 5 + [9.0]}, labels)
    assert found.few == (2,)
    assert found.accuracies == (pytest.approx((2 / 3 + 4) / 5),)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_folds": 1}, OptionError, "n_folds must be a whole number of at least 2, got 1"),
        ({"threshold": 1.5}, OptionError, "threshold must be a number from 0 to 1, got 1.5"),
        ({"n_folds": 4}, DataError, "no class has as many rows as there are folds, 4; the l.*st h"),
        ({"labels": [0, -1, 0, 0, 0]}, DataError, "labels must be at least 0, got -1"),
        ({"properties": {}}, DataError, "there are no properties; at least 1 is needed"),
        ({"properties": {"x": [1, 2]}}, DataError, "'x' must be 5 numbers, one a label, got shape"),
        ({"properties": {"x": ["a"] * 5}}, DataError, "'x' must be 5 numbers, one a label"),
        ({"properties": {"x": [1, 2, 3, 4, np.nan]}}, DataError, "'x' has values that are NaN or"),
        ({"properties": {"x": [1, 2, 3, 4, np.inf]}}, DataError, "'x' has values that are NaN or"),
    ],
    ids=str,
)
def test_what_cannot_be_looked_at_is_refused(options, error, message):
    given = {"properties": {"x": range(5)}, "labels": [0, 0, 1, 1, 1], "n_folds": 2, **options}
    with pytest.raises(error, match=message):
        find_spurious_correlations(**given)

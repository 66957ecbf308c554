"""Folds by a seeded hash, quotas of rows to train with, and what models predict."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq_spark.core.training import assign_folds
from lq_spark.core.training.folds import require_trainable, seeded_codes, stratified_starts
from lq_spark.core.training.models import class_probabilities
from lq_spark.core.training.samples import n_trained, training_quotas
from lq_spark.errors import DataError, OptionError

LABELS = np.random.default_rng(3).choice(4, 1003, p=[0.6, 0.3, 0.09, 0.01])
IDS = np.random.default_rng(4).permutation(10**6)[:1003] - 1000


def sizes(folds, labels, n_folds):
    """Return how many rows each fold has of each class."""
    counts = np.zeros((n_folds, labels.max() + 1), dtype=int)
    np.add.at(counts, (folds, labels), 1)
    return counts


@pytest.mark.parametrize("n_folds", [2, 5, 7])
def test_stratified_folds_differ_by_a_row_at_most_in_each_class_and_altogether(n_folds):
    counts = sizes(assign_folds(IDS, LABELS, n_folds=n_folds), LABELS, n_folds)
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1


@pytest.mark.parametrize("options", [{}, {"stratified": False}, {"groups": IDS // 9000}])
def test_a_fold_does_not_depend_on_the_order_of_the_rows_but_on_the_seed(options):
    folds = assign_folds(IDS, LABELS, **options)
    order = np.random.default_rng(1).permutation(len(IDS))
    shuffled = {
        name: value[order] if name == "groups" else value for name, value in options.items()
    }
    np.testing.assert_array_equal(assign_folds(IDS[order], LABELS[order], **shuffled), folds[order])
    assert 0.1 < (assign_folds(IDS, LABELS, seed=1, **options) == folds).mean() < 0.35
    assert set(folds) == set(range(5))


def test_without_strata_the_id_alone_says_the_fold():
    folds = assign_folds(IDS, LABELS, stratified=False)
    some = np.arange(500)
    part = assign_folds(IDS[some], LABELS[some], stratified=False)
    np.testing.assert_array_equal(part, folds[some])
    assert np.bincount(folds).min() > 150


def test_groups_are_held_out_whole_and_dealt_out_in_turn():
    groups = IDS % 12
    folds = assign_folds(IDS, LABELS, groups=groups)
    of_groups = [set(folds[groups == group]) for group in range(12)]
    assert [len(found) for found in of_groups] == [1] * 12
    assert sorted(np.bincount([found.pop() for found in of_groups])) == [2, 2, 2, 3, 3]


def test_ranks_say_nothing_of_the_order_of_ids():
    """Rows that came one after the other are in all folds."""
    folds = assign_folds(range(1000), [0, 1] * 500)
    assert np.bincount(folds[:100]).min() > 8
    assert abs(np.corrcoef(np.arange(1000), folds)[0, 1]) < 0.1


def test_codes_of_different_keys_and_seeds_are_different():
    keys = np.concatenate([np.arange(-500, 500), [-(2**63), 2**63 - 1]])
    codes = np.concatenate([seeded_codes(keys, seed) for seed in (0, 1, 2**64 - 1)])
    assert len(set(codes.tolist())) == len(codes)
    assert abs((codes < 0).mean() - 0.5) < 0.05


@given(st.lists(st.integers(0, 20), min_size=1), st.integers(2, 9))
def test_a_class_begins_where_the_last_one_ended(counts, n_folds):
    starts = stratified_starts(counts, n_folds)
    dealt = np.concatenate(
        [(s + np.arange(n)) % n_folds for s, n in zip(starts, counts, strict=True)]
    )
    np.testing.assert_array_equal(dealt, np.arange(len(dealt)) % n_folds)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([[3, 1], [3, 1], [3, 0]], {"stratified": True}, "class 'b' has 2 rows, fewer than n_fol"),
        ([[3, 2], [3, 0]], {"stratified": False}, "fold 0 leaves no rows of class 'b' to train"),
        ([[3, 2], [0, 0]], {"stratified": False}, "the table has too few rows for n_folds = 2: 1"),
        (
            [[3, 2], [0, 0]],
            {"stratified": False, "groups": "groups: column 'g'"},
            "groups: column 'g' has too few values for n_folds = 2: 1 folds hold none out",
        ),
        ([[3, 0], [3, 0]], {"stratified": True}, "the rows are of 1 class; a classifier needs at"),
        ([[0, 0], [0, 0]], {"stratified": True}, "the rows are of no class; a classifier needs"),
    ],
)
def test_folds_without_which_nothing_can_be_trained_are_refused(counts, options, message):
    with pytest.raises(DataError) as error:
        require_trainable(np.array(counts), ["a", "b"], **options)
    assert str(error.value).startswith(message)


def test_wrong_arrays_and_options_are_refused():
    with pytest.raises(OptionError, match="n_folds must be a whole number of at least 2, got 1"):
        assign_folds([1, 2], [0, 1], n_folds=1)
    with pytest.raises(DataError, match="ids must be 2 different numbers, one a label"):
        assign_folds([1, 1], [0, 1])
    with pytest.raises(DataError, match="labels must be at least 0, got -1"):
        assign_folds([1, 2], [0, -1])
    with pytest.raises(DataError, match=r"class 0 has 1 rows, .*, 2 \(2 such classes\); take"):
        assign_folds([1, 2], [0, 1], n_folds=2)


@given(
    st.lists(st.lists(st.integers(0, 300), min_size=3, max_size=3), min_size=2, max_size=5),
    st.integers(20, 900),
)
def test_quotas_are_never_too_many_and_leave_no_class_out(counts, max_rows):
    rows = np.array(counts)
    quotas = training_quotas(rows, max_rows)
    assert n_trained(quotas).max() <= max(max_rows, 0)
    assert ((quotas > 0) == (rows > 0)).all()
    assert (quotas <= rows).all()
    if n_trained(rows).max() <= max_rows:
        assert quotas is rows


def test_quotas_are_as_many_as_fit():
    counts = np.full((5, 2), 1000)
    assert n_trained(training_quotas(counts, 4000)).tolist() == [4000] * 5
    assert n_trained(training_quotas(np.array([[900, 90]] * 4), 300)).min() >= 295


def test_too_few_rows_to_have_one_of_each_class_are_refused():
    with pytest.raises(OptionError) as error:
        training_quotas(np.full((5, 3), 9), 11)
    assert str(error.value) == (
        "max_train_rows is 11, too few for a row of each class of each other fold, 12"
    )


class Model:
    """Predicts the same of all rows."""

    def __init__(self, probs, classes=None):
        self.probs = probs
        if classes is not None:
            self.classes_ = np.array(classes)

    def fit(self, X, y):
        self.n_rows = len(X), len(y)

    def predict_proba(self, X):
        return np.tile(self.probs, (len(X), 1))


def predicted(model):
    model.fit(np.ones((5, 2)), np.arange(5))
    return class_probabilities(model, np.ones((3, 2)), 3)


def test_probabilities_are_those_of_the_classes_that_a_model_knows():
    np.testing.assert_array_equal(predicted(Model([0.25, 0.75], [2, 0])), [[0.75, 0, 0.25]] * 3)
    np.testing.assert_array_equal(predicted(Model([0.5, 0.25, 0.25])), [[0.5, 0.25, 0.25]] * 3)
    np.testing.assert_array_equal(
        predicted(Model(np.array([0.5, 0.5], np.float32), [0, 1])), [[0.5, 0.5, 0.0]] * 3
    )


def test_what_is_no_probabilities_of_its_classes_is_refused():
    with pytest.raises(DataError, match=r"predict_proba gave shape \(3, 2\), not \(3, 3\)"):
        predicted(Model([0.5, 0.5]))
    with pytest.raises(DataError, match="gave probabilities that are NaN or infinite"):
        predicted(Model([0.5, np.nan, 0.5]))

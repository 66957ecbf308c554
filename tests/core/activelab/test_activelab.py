from __future__ import annotations

import numpy as np
import pytest
from cleanlab import multiannotator as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.activelab import (
    get_active_learning_scores,
    get_active_learning_scores_ensemble,
)
from lq_spark.errors import DataError, OptionError

NAN = np.nan
LABELS = np.array([[0, 0], [1, 1], [0, NAN]])
PROBS = np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])


def random_probs(data, n_models, n_items, n_classes):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    return rng.dirichlet(np.ones(n_classes), size=(n_models, n_items))


def one_label_an_item(labels):
    """Keep the first label of each item, and the annotators who have one left."""
    kept = np.full(labels.shape, NAN)
    rows, first = np.arange(len(labels)), (~np.isnan(labels)).argmax(axis=1)
    kept[rows, first] = labels[rows, first]
    kept = kept[:, ~np.isnan(kept).all(axis=0)]
    # cleanlab's ensembles want two annotators.
    return kept if kept.shape[1] > 1 else None


def assert_equal_scores(actual, expected):
    for found, wanted in zip(actual, expected, strict=True):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


@settings(deadline=None)
@given(data=st.data(), single=st.booleans(), n_unlabeled=st.integers(1, 20))
def test_scores_equal_cleanlabs(data, single, n_unlabeled, crowds, quietly):
    labels, (pred_probs,) = data.draw(crowds(1))
    if single and (labels := one_label_an_item(labels)) is None:
        return
    (unlabeled,) = random_probs(data, 1, n_unlabeled, pred_probs.shape[1])
    expected = quietly(
        oracle.get_active_learning_scores, labels, pred_probs.copy(), unlabeled.copy()
    )
    actual = get_active_learning_scores(labels, pred_probs, unlabeled, cleanlab_compatible=True)
    assert_equal_scores(actual, expected)
    labelled_alone = get_active_learning_scores(labels, pred_probs, cleanlab_compatible=True)
    assert_equal_scores(labelled_alone, (expected[0], np.zeros(0)))


@settings(deadline=None)
@given(data=st.data(), share=st.sampled_from([0.3, 0.5, 0.8]))
def test_scores_equal_cleanlabs_where_probabilities_are_0(data, share, crowds, quietly):
    labels, (pred_probs,) = data.draw(crowds(1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    zero = rng.random(pred_probs.shape) < share
    # Of labels that are alike in votes and probability rounding decides in cleanlab.
    for item, of_item in enumerate(labels):
        named = of_item[~np.isnan(of_item)].astype(int)
        classes, votes = np.unique(named, return_counts=True)
        if (votes == votes.max()).sum() > 1:
            zero[item, classes] = False
    pred_probs[zero] = 0.0
    pred_probs[pred_probs.sum(axis=1) == 0, 0] = 1.0
    pred_probs /= pred_probs.sum(axis=1, keepdims=True)
    options = (labels, pred_probs.copy(), pred_probs.copy())
    expected = quietly(oracle.get_active_learning_scores, *options)
    actual = get_active_learning_scores(labels, pred_probs, pred_probs, cleanlab_compatible=True)
    assert_equal_scores(actual, expected)


@settings(deadline=None)
@given(data=st.data(), single=st.booleans(), n_models=st.integers(2, 4))
def test_scores_of_an_ensemble_equal_cleanlabs(data, single, n_models, crowds, quietly):
    labels, models = data.draw(crowds(n_models))
    if single and (labels := one_label_an_item(labels)) is None:
        return
    unlabeled = random_probs(data, n_models, 15, models.shape[2])
    before = models.copy(), unlabeled.copy()
    expected = quietly(
        oracle.get_active_learning_scores_ensemble, labels, models.copy(), unlabeled.copy()
    )
    actual = get_active_learning_scores_ensemble(
        labels, models, unlabeled, cleanlab_compatible=True
    )
    assert_equal_scores(actual, expected)
    # cleanlab overwrites its inputs.
    np.testing.assert_array_equal(models, before[0])
    np.testing.assert_array_equal(unlabeled, before[1])


@settings(deadline=None)
@given(data=st.data(), n_models=st.integers(2, 4), n_classes=st.integers(2, 10))
def test_scores_of_unlabelled_items_alone_equal_cleanlabs(data, n_models, n_classes, quietly):
    models = random_probs(data, n_models, 12, n_classes)
    expected = quietly(oracle.get_active_learning_scores_ensemble, None, None, models.copy())
    assert_equal_scores(get_active_learning_scores_ensemble(None, None, models), expected)
    expected = quietly(oracle.get_active_learning_scores, None, None, models[0].copy())
    assert_equal_scores(get_active_learning_scores(None, None, models[0]), expected)


def test_probabilities_are_calibrated_by_the_labels_own_classes(quietly):
    # Nobody chose class 0; the model is right more often than it says.
    labels = np.array([[1, 1, 2], [2, 2, 1], [2, 1, 1], [2, 2, 2.0]])
    pred_probs = np.array([[0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]])
    unlabeled = np.array([[0.5, 0.3, 0.2]])
    expected = quietly(
        oracle.get_active_learning_scores, labels, pred_probs.copy(), unlabeled.copy()
    )
    compatible = get_active_learning_scores(labels, pred_probs, unlabeled, cleanlab_compatible=True)
    assert_equal_scores(compatible, expected)
    right = get_active_learning_scores(labels, pred_probs, unlabeled)
    assert right[1][0] > compatible[1][0] + 0.1


def test_an_item_with_one_more_label_of_the_same_kind_is_known_better():
    labels = np.array([[0, 0, 0], [0, 0, NAN], [1, 1, 1], [1, 0, 1]])
    pred_probs = np.array([[0.75, 0.25]] * 2 + [[0.25, 0.75]] * 2)
    scores, none = get_active_learning_scores(labels, pred_probs)
    assert scores[0] > scores[1] > scores[3]
    assert none.shape == (0,)


def test_one_annotator_is_enough_where_each_item_has_one_label():
    scores, _ = get_active_learning_scores(LABELS[:, :1], PROBS)
    np.testing.assert_allclose(scores, [(2 * p + 0.5) / 3 for p in (0.75, 0.75, 0.5)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "or pred_probs_unlabeled; got none"),
        ((LABELS,), "labels_multiannotator and pred_probs go together, got labels_multiannotator"),
        ((None, PROBS, PROBS), "go together, got pred_probs alone"),
    ],
)
def test_what_goes_together_is_asked_for(arguments, message):
    with pytest.raises(OptionError, match=message):
        get_active_learning_scores(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (LABELS, PROBS, np.array([[0.25, 0.25, 0.5]])),
            "of 1 models and 2 classes, pred_probs_unlabeled of 1 and 3",
        ),
        ((LABELS, PROBS[:2]), "the labels are of 3 items, pred_probs of 2"),
        ((None, None, PROBS * 2), "pred_probs_unlabeled: probability above 1: 2 rows"),
        ((LABELS + 1, PROBS), "labels must lie in 0..1, got 2 for item 1"),
        ((LABELS[2:], PROBS[2:]), "each annotator must have given a label, annotator 1 gave none"),
        ((LABELS[:, :1].repeat(2, axis=1)[:0], PROBS[:0]), "must have one length of at least 1"),
    ],
)
def test_bad_data_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        get_active_learning_scores(*arguments)


def test_members_of_an_ensemble_are_as_many_for_both_kinds_of_items():
    with pytest.raises(DataError, match="of 1 models and 2 classes, pred_probs_unlabeled of 2 and"):
        get_active_learning_scores_ensemble(LABELS, [PROBS], [PROBS, PROBS])
    with pytest.raises(DataError, match="pred_probs is empty; at least 1 model's"):
        get_active_learning_scores_ensemble(LABELS, [])

"""Rows that reach several thresholds: the paper's rule written out, and cleanlab's by default."""

import numpy as np
import pytest
from cleanlab import count
from cleanlab import filter as rules
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import cleanlabs

from lq_spark.core.confident import compute_confident_joint
from lq_spark.core.label_issues import find_label_issues
from lq_spark.core.label_issues.rules import FILTERS, PRUNING
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.errors import OptionError

SEEDS = st.integers(0, 2**32 - 1)
PAPERS = {"collision_rule": "highest_reached"}
RUNS = settings(deadline=None, max_examples=40)


def data_set(seed, max_classes=8):
    """Return labels and pred_probs of which many rows reach several thresholds."""
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, max_classes + 1))
    n = int(rng.integers(n_classes + 2, 150))
    labels = rng.choice(n_classes, n, p=rng.dirichlet(np.ones(n_classes)))
    labels[:2] = rng.choice(n_classes, 2, replace=False)  # cleanlab wants two classes
    pred_probs = rng.dirichlet(np.full(n_classes, 3.0), n)  # nearly uniform: thresholds are low
    pred_probs += rng.random(n_classes)  # and lower for some classes than for others
    return labels, pred_probs / pred_probs.sum(axis=1, keepdims=True)


def papers_guesses(labels, pred_probs):
    """Return for each row, of the classes that reach their threshold, the most probable one."""
    classes = range(pred_probs.shape[1])
    thresholds = [
        pred_probs[labels == k, k].mean() if (labels == k).any() else 2.0 for k in classes
    ]
    guesses = []
    for row in pred_probs:
        reached = [k for k in classes if row[k] >= thresholds[k] - 1e-6]
        guesses.append(max(reached, key=lambda k: row[k]) if reached else None)
    return guesses


def papers_joint(labels, pred_probs):
    joint = np.zeros((pred_probs.shape[1],) * 2, dtype=np.int64)
    for label, guess in zip(labels, papers_guesses(labels, pred_probs), strict=True):
        if guess is not None:
            joint[label, guess] += 1
    np.fill_diagonal(joint, np.maximum(np.diag(joint), 1))
    return joint


def papers_issues(labels, pred_probs):
    """Return which rows are confidently of another class, and not predicted as labelled."""
    found = []
    for row, label, guess in zip(
        pred_probs, labels, papers_guesses(labels, pred_probs), strict=True
    ):
        raised = row + 1e-6 * (np.arange(len(row)) == label)
        found.append(guess not in (None, label) and raised.argmax() != label)
    return np.array(found)


@RUNS
@given(seed=SEEDS)
def test_the_joint_counts_each_row_for_the_highest_class_that_it_reaches(seed):
    labels, pred_probs = data_set(seed)
    expected = papers_joint(labels, pred_probs)
    found, off_diagonal = compute_confident_joint(
        labels, pred_probs, calibrate=False, return_indices_of_off_diagonals=True, **PAPERS
    )
    np.testing.assert_array_equal(found, expected)
    guesses = papers_guesses(labels, pred_probs)
    assert off_diagonal.tolist() == [
        i for i, guess in enumerate(guesses) if guess not in (None, labels[i])
    ]
    np.testing.assert_array_equal(
        compute_confident_joint(labels, pred_probs, **PAPERS),
        cleanlabs(count.calibrate_confident_joint, np.asfortranarray(expected), labels),
    )


@pytest.mark.parametrize("filter_by", PRUNING)
@RUNS
@given(seed=SEEDS)
def test_pruning_takes_as_many_rows_as_the_papers_joint_says(quietly, filter_by, seed):
    labels, pred_probs = data_set(seed)
    counts = np.asfortranarray(papers_joint(labels, pred_probs))  # as cleanlab has its own
    joint = cleanlabs(count.calibrate_confident_joint, counts, labels)
    options = {"filter_by": filter_by, "min_examples_per_class": 1}
    np.testing.assert_array_equal(
        quietly(find_label_issues, labels, pred_probs, **options, **PAPERS),
        cleanlabs(rules.find_label_issues, labels, pred_probs, confident_joint=joint, **options),
    )


@RUNS
@given(seed=SEEDS)
def test_confident_learning_flags_the_rows_guessed_to_be_of_another_class(seed):
    labels, pred_probs = data_set(seed)
    expected = papers_issues(labels, pred_probs)
    found = find_label_issues(labels, pred_probs, filter_by="confident_learning", **PAPERS)
    np.testing.assert_array_equal(found, expected)
    for method in ("self_confidence", "normalized_margin"):
        order = np.argsort(score_rows(labels, pred_probs, method), kind="stable")
        found = find_label_issues(labels, pred_probs, filter_by=f"low_{method}", **PAPERS)
        np.testing.assert_array_equal(np.flatnonzero(found), np.sort(order[: expected.sum()]))


@RUNS
@given(seed=SEEDS)
def test_cleanlabs_rule_is_the_default(quietly, seed):
    labels, pred_probs = data_set(seed)
    named = {"collision_rule": "highest_of_all"}
    expected = cleanlabs(count.compute_confident_joint, labels, pred_probs)
    np.testing.assert_array_equal(compute_confident_joint(labels, pred_probs), expected)
    np.testing.assert_array_equal(compute_confident_joint(labels, pred_probs, **named), expected)
    for filter_by in FILTERS:
        flags = cleanlabs(rules.find_label_issues, labels, pred_probs, filter_by=filter_by)
        for options in ({}, named):
            found = quietly(find_label_issues, labels, pred_probs, filter_by=filter_by, **options)
            np.testing.assert_array_equal(found, flags)


@RUNS
@given(seed=SEEDS)
def test_of_two_classes_both_rules_take_the_same(seed):
    labels, pred_probs = data_set(seed, max_classes=2)
    np.testing.assert_array_equal(
        compute_confident_joint(labels, pred_probs),
        compute_confident_joint(labels, pred_probs, **PAPERS),
    )


@pytest.mark.parametrize("filter_by", [name for name in FILTERS if name != "predicted_neq_given"])
def test_the_rules_differ_where_the_most_probable_class_is_not_reached(quietly, filter_by):
    labels, pred_probs = data_set(8)
    ours = compute_confident_joint(labels, pred_probs, calibrate=False)
    assert (ours != papers_joint(labels, pred_probs)).any()
    options = {"filter_by": filter_by}
    found = [
        quietly(find_label_issues, labels, pred_probs, **options, **rule) for rule in ({}, PAPERS)
    ]
    assert (found[0] != found[1]).any()


@pytest.mark.parametrize("rule", ["highest", "", None, 1, ["highest_reached"]])
@pytest.mark.parametrize("function", [compute_confident_joint, find_label_issues])
def test_an_unknown_rule_is_refused(function, rule):
    with pytest.raises(OptionError) as error:
        function([0, 1], [[0.9, 0.1], [0.2, 0.8]], collision_rule=rule)
    message = "collision_rule must be one of 'highest_of_all', 'highest_reached', got "
    assert str(error.value).startswith(f"{message}{rule!r}")

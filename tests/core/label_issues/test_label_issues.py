"""Label issues, joint, noise matrices and class health, against cleanlab."""

import numpy as np
import pytest
from cleanlab import count, dataset
from cleanlab import filter as rules
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import cleanlabs, ours

from lq_spark.core import confident, health, label_issues
from lq_spark.core.confident import latent
from lq_spark.core.confident.joint import (
    confident_counts,
    counted_pairs,
    rounded_rows,
    row_facts,
    sparse,
)
from lq_spark.core.label_issues import find_label_issues
from lq_spark.core.label_issues.rules import COMPARING, FILTERS, PRUNING
from lq_spark.errors import DataError, OptionError

SEEDS = st.integers(0, 2**32 - 1)


def data_set(seed, *, max_classes=30, ties=False):
    """Return labels and pred_probs: absent, rare and common classes, many labels wrong."""
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, max_classes + 1))
    n = int(rng.integers(n_classes + 2, 250))
    shares = rng.dirichlet(np.full(n_classes, rng.choice([0.3, 3.0])))
    labels = rng.choice(n_classes, n, p=shares)
    pred_probs = rng.dirichlet(np.full(n_classes, rng.choice([0.2, 1.0, 5.0])), n)
    likely = rng.random(n) < 0.6
    pred_probs[likely] *= 0.5
    pred_probs[likely, labels[likely]] += 0.5
    if ties:
        pred_probs = np.round(pred_probs * 8) + 0.25
        pred_probs /= pred_probs.sum(axis=1, keepdims=True)
    labels[:2] = rng.choice(n_classes, 2, replace=False)  # cleanlab wants two classes
    return labels, pred_probs


@pytest.mark.parametrize("filter_by", FILTERS)
@pytest.mark.parametrize("ties", [False, True], ids=["", "ties"])
@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, frac_noise=st.sampled_from([1.0, 0.5]), least=st.sampled_from([1, 10]))
def test_flags_equal_cleanlabs(filter_by, ties, seed, frac_noise, least):
    labels, pred_probs = data_set(seed, ties=ties)
    options = {"filter_by": filter_by, "min_examples_per_class": least}
    if filter_by in PRUNING:
        options["frac_noise"] = frac_noise
    expected = cleanlabs(rules.find_label_issues, labels, pred_probs, **options)
    found = ours(find_label_issues, labels, pred_probs, **options)
    np.testing.assert_array_equal(found, expected)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_float32_is_taken_as_the_same_numbers_in_float64(seed):
    labels, pred_probs = data_set(seed)
    single = pred_probs.astype(np.float32)
    for filter_by in FILTERS:
        np.testing.assert_array_equal(
            ours(find_label_issues, labels, single, filter_by=filter_by),
            ours(find_label_issues, labels, single.astype(np.float64), filter_by=filter_by),
        )


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS)
def test_numbers_to_remove_are_removed_of_each_class(seed):
    labels, pred_probs = data_set(seed)
    n_classes = pred_probs.shape[1]
    counts = np.bincount(labels, minlength=n_classes)
    numbers = np.random.default_rng(seed).integers(0, counts + 1)
    with_agreeing = ours(
        find_label_issues,
        labels,
        pred_probs,
        filter_by="prune_by_class",
        num_to_remove_per_class=numbers.tolist(),
    )
    removed = np.bincount(labels[with_agreeing], minlength=n_classes)
    assert (removed <= np.where(counts > 1, numbers, 0)).all()


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS)
def test_ranked_positions_equal_cleanlabs(seed):
    labels, pred_probs = data_set(seed)
    options = {"return_indices_ranked_by": "normalized_margin"}
    np.testing.assert_array_equal(
        ours(find_label_issues, labels, pred_probs, **options),
        cleanlabs(rules.find_label_issues, labels, pred_probs, **options),
    )


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS)
def test_joints_and_counts_equal_cleanlabs(seed):
    labels, pred_probs = data_set(seed)
    for calibrate in (False, True):
        expected, off = cleanlabs(
            count.compute_confident_joint,
            labels,
            pred_probs,
            calibrate=calibrate,
            return_indices_of_off_diagonals=True,
        )
        found, ours_off = confident.compute_confident_joint(
            labels, pred_probs, calibrate=calibrate, return_indices_of_off_diagonals=True
        )
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(ours_off, off)
    joint = cleanlabs(count.estimate_joint, labels, pred_probs)
    np.testing.assert_allclose(confident.estimate_joint(labels, pred_probs), joint, atol=1e-12)
    for method in ("off_diagonal", "off_diagonal_calibrated"):
        assert confident.num_label_issues(
            labels, pred_probs, estimation_method=method
        ) == cleanlabs(count.num_label_issues, labels, pred_probs, estimation_method=method)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, converge=st.booleans(), py_method=st.sampled_from(list(latent.PY_METHODS)))
def test_noise_matrices_equal_cleanlabs(seed, converge, py_method):
    labels, pred_probs = data_set(seed, max_classes=8)
    joint = confident.compute_confident_joint(labels, pred_probs)
    noise = joint / np.maximum(joint.sum(axis=0), 1)
    assume(py_method != "eqn" or np.linalg.matrix_rank(noise) == len(joint))  # else singular
    options = {"py_method": py_method, "converge_latent_estimates": converge}
    expected = cleanlabs(count.estimate_latent, joint, labels, **options)
    found = latent.estimate_latent(joint, labels, **options)
    for ours_is, theirs_is in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours_is, theirs_is, rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, asymmetric=st.booleans())
def test_health_tables_equal_cleanlabs(seed, asymmetric):
    labels, pred_probs = data_set(seed, max_classes=8)
    names = [f"class {k}" for k in range(pred_probs.shape[1])]
    expected = cleanlabs(
        dataset.health_summary,
        labels,
        pred_probs,
        class_names=names,
        asymmetric=asymmetric,
        verbose=False,
    )
    found = health.health_summary(labels, pred_probs, class_names=names, asymmetric=asymmetric)
    assert found.keys() == expected.keys()
    assert found["overall_label_health_score"] == pytest.approx(
        expected["overall_label_health_score"], abs=1e-12
    )
    for table, by in (
        ("classes_by_label_quality", ["Class Index"]),
        ("overlapping_classes", ["Class Index A", "Class Index B"]),
    ):
        ours_is = found[table].sort_values(by).reset_index(drop=True)
        theirs_is = expected[table].sort_values(by).reset_index(drop=True)
        assert list(ours_is.columns) == list(theirs_is.columns)
        for column in ours_is.select_dtypes("number"):
            np.testing.assert_allclose(ours_is[column], theirs_is[column], rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_the_joint_adds_up_over_any_batches(seed):
    labels, pred_probs = data_set(seed)
    thresholds = confident.get_confident_thresholds(labels, pred_probs)
    n_classes = len(thresholds)
    whole = confident_counts(labels, row_facts(labels, pred_probs, thresholds), n_classes)
    total = np.zeros((n_classes, n_classes), dtype=np.int64)
    for rows in np.array_split(np.arange(len(labels)), 5):
        facts = row_facts(labels[rows], pred_probs[rows], thresholds)
        total += confident_counts(labels[rows], facts, n_classes).dense()
    np.testing.assert_array_equal(total, whole.dense())


def test_rounding_keeps_the_sum_of_each_row_and_its_zeros():
    matrix = np.array([[0.5, 0.5, 0.0], [1.4, 1.3, 1.3], [0.0, 0.0, 0.0]])
    rounded = rounded_rows(sparse(matrix)).dense()
    np.testing.assert_array_equal(rounded.sum(axis=1), [1, 4, 0])
    assert (rounded[matrix == 0] == 0).all()


def test_pairs_are_counted_once_each():
    pairs = counted_pairs(3, np.array([0, 0, 2]), np.array([1, 1, 0]), np.array([2, 3, 4]))
    np.testing.assert_array_equal(pairs.dense(), [[0, 5, 0], [0, 0, 0], [4, 0, 0]])


@pytest.mark.parametrize("filter_by", FILTERS)
def test_one_class_alone_has_no_issue(filter_by):
    pred_probs = np.array([[0.9, 0.1], [0.2, 0.8]])
    if filter_by in COMPARING:
        with pytest.raises(DataError, match=r"needs labels of at least 2 classes.* of class 0"):
            find_label_issues([0, 0], pred_probs, filter_by=filter_by)
    else:
        assert not ours(find_label_issues, [0, 0], pred_probs, filter_by=filter_by).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filter_by": "prune"}, "filter_by must be one of"),
        ({"frac_noise": 1.5}, "frac_noise must be between 0 and 1, got 1.5"),
        ({"min_examples_per_class": -1}, "at least 0, got -1"),
        ({"filter_by": "confident_learning", "num_to_remove_per_class": [1, 0]}, "go with"),
        (
            {"num_to_remove_per_class": -1},
            "each between 0 and the rows of its class, or one number",
        ),
        ({"num_to_remove_per_class": 0.5}, "or one number for all, got 0.5"),
        (
            {"multi_label": True},
            "sets of labels are for lq_spark.core.multilabel.find_label_issues",
        ),
        ({"num_to_remove_per_class": [1]}, "must be 2 numbers"),
        ({"num_to_remove_per_class": [9, 0]}, "between 0 and the rows of its class"),
        ({"confident_joint": [[1]]}, "confident_joint must be a 2 by 2 array of counts"),
    ],
)
def test_a_wrong_option_is_refused(options, message):
    with pytest.raises((OptionError, DataError), match=message):
        find_label_issues([0, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], **options)


def test_classes_too_small_to_prune_are_named():
    with pytest.warns(UserWarning, match="classes 1 are given to at most 1 rows"):
        find_label_issues([0, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])


def test_the_papers_collision_rule_takes_the_highest_of_the_classes_reached():
    thresholds = np.array([0.9, 0.2, 0.3])
    pred_probs = np.array([[0.4, 0.25, 0.35]])
    labels = np.array([0])
    assert row_facts(labels, pred_probs, thresholds).guess == [0]
    facts = row_facts(labels, pred_probs, thresholds, "highest_reached")
    assert facts.guess == [2]


def test_predictions_alone_can_say_how_many_to_prune():
    labels, pred_probs = data_set(5, max_classes=4)
    np.testing.assert_array_equal(
        ours(label_issues.find_label_issues_using_argmax_confusion_matrix, labels, pred_probs),
        cleanlabs(rules.find_label_issues_using_argmax_confusion_matrix, labels, pred_probs),
    )
    np.testing.assert_array_equal(
        label_issues.find_predicted_neq_given(labels, pred_probs),
        cleanlabs(rules.find_predicted_neq_given, labels, pred_probs),
    )

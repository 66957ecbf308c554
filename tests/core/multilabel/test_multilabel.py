"""Scores, label issues and models of label sets, against cleanlab."""

import numpy as np
import pytest
from cleanlab import count
from cleanlab.internal import multilabel_scorer
from cleanlab.multilabel_classification import filter as rules
from cleanlab.multilabel_classification import rank
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import cleanlabs, ours

from lq_spark.core.confident.joint import row_facts
from lq_spark.core.label_issues.rules import FILTERS, PRUNING, Rule
from lq_spark.core.multiclass.scores import METHODS, score_rows
from lq_spark.core.multilabel import (
    find_label_issues,
    find_multilabel_issues_per_class,
    fit,
    get_label_quality_scores,
    get_label_quality_scores_per_class,
)
from lq_spark.core.multilabel.cells import (
    AGREES,
    CONFIDENT,
    GIVEN,
    OTHER,
    cell_counts,
    cell_kinds,
    counts_length,
    partial_cell_counts,
    partial_cell_sums,
    score_buckets,
)
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.core.multilabel.scores import aggregator_of, moving_averages, score_cells
from lq_spark.core.shared.blocks import BLOCK_ELEMENTS
from lq_spark.errors import DataError, OptionError

SEEDS = st.integers(0, 2**32 - 1)
RUNS = settings(deadline=None, max_examples=15)


def lists(bits):
    """Return bits as nested lists, each in random order."""
    rng = np.random.default_rng(len(bits))
    return [rng.permutation(np.flatnonzero(row)).tolist() for row in bits]


@st.composite
def label_sets(draw, dtype=np.float64, present_everywhere=False):
    """Return bits and pred_probs: rare and common classes, sure and unsure models, empty rows."""
    rng = np.random.default_rng(draw(SEEDS))
    n, n_classes = draw(st.integers(3, 80)), draw(st.integers(2, 7))
    # Beyond 1e-6 the margin p - (1 - p) of different p is the same: a tie for cleanlab alone.
    pred_probs = rng.beta(*[draw(st.sampled_from([0.1, 0.5, 2.0]))] * 2, (n, n_classes))
    pred_probs = pred_probs.clip(1e-6, 1 - 1e-6).astype(dtype)
    right = rng.random((n, n_classes)) < draw(st.sampled_from([0.0, 0.6, 0.95]))
    bits = np.where(right, pred_probs > 0.5, rng.random((n, n_classes)) < rng.random(n_classes))
    bits[0], bits[1] = False, True  # cleanlab wants both bits of each class
    if present_everywhere:
        bits[:, 0], bits[:, 1] = True, False
    return bits, pred_probs


AGGREGATORS = [
    {},
    {"method": "exponential_moving_average", "alpha": 0.3},
    {"method": "exponential_moving_average", "alpha": 0},
    {"method": "exponential_moving_average", "alpha": 1.0},
    {"method": "exponential_moving_average"},
    {"method": "softmin"},
    {"method": "softmin", "temperature": 0.01},
    {"method": "softmin", "temperature": 5},
    {"method": np.mean, "axis": 1},
]


@pytest.mark.parametrize(
    ("method", "adjust"),
    [(m, a) for m in METHODS for a in (False, True) if not (a and m[0] == "c")],
)
@RUNS
@given(data=label_sets(), aggregator=st.sampled_from(AGGREGATORS))
def test_scores_equal_cleanlabs(method, adjust, data, aggregator):
    bits, pred_probs = data
    labels, options = lists(bits), {"method": method, "adjust_pred_probs": adjust}
    expected = cleanlabs(rank.get_label_quality_scores_per_class, labels, pred_probs, **options)
    found = get_label_quality_scores_per_class(labels, pred_probs, **options)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    options["aggregator_kwargs"] = aggregator
    expected = cleanlabs(rank.get_label_quality_scores, labels, pred_probs, **options)
    found = get_label_quality_scores(labels, pred_probs, **options)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert found.dtype == np.float64


@RUNS
@given(data=label_sets(np.float32))
def test_scores_of_floats_equal_cleanlabs(data):
    labels = lists(data[0])
    expected = cleanlabs(rank.get_label_quality_scores, labels, data[1])
    np.testing.assert_allclose(get_label_quality_scores(labels, data[1]), expected, atol=1e-6)


def softmins_of_rows(scores, temperature):
    return aggregator_of({"method": "softmin", "temperature": temperature})(scores)


@RUNS
@given(
    scores=st.integers(1, 60).flatmap(
        lambda k: st.integers(0, 99).map(lambda seed: np.random.default_rng(seed).random((9, k)))
    ),
    number=st.sampled_from([0.0, 1e-3, 0.5, 1.0]),
)
@example(scores=np.tile([0.5, 0.500001, 0.9], (9, 1)), number=0.0)  # 0 is not quite the minimum
def test_aggregates_equal_cleanlabs_and_do_not_depend_on_the_batch(
    assert_same_bits, scores, number
):
    for ours_, theirs, name in (
        (moving_averages, multilabel_scorer.exponential_moving_average, "alpha"),
        (softmins_of_rows, multilabel_scorer.softmin, "temperature"),
    ):
        found = ours_(scores, number)
        np.testing.assert_allclose(found, theirs(scores, **{name: number}), rtol=0, atol=1e-9)
        assert_same_bits(
            found, np.concatenate([ours_(scores[i : i + 1], number) for i in range(9)])
        )


@pytest.mark.parametrize("filter_by", FILTERS)
@RUNS
@given(
    data=label_sets(),
    ranked_by=st.sampled_from([None, *METHODS]),
    least=st.sampled_from([1, 3]),
    frac_noise=st.sampled_from([1.0, 0.5]),
)
def test_issues_equal_cleanlabs(filter_by, data, ranked_by, least, frac_noise):
    bits, pred_probs = data
    labels = lists(bits)
    options = {"filter_by": filter_by, "return_indices_ranked_by": ranked_by, "n_jobs": 1}
    options |= {"min_examples_per_class": least}
    if filter_by.startswith(("prune", "both")):
        options["frac_noise"] = frac_noise
    found = ours(find_label_issues, labels, pred_probs, **options)
    if ranked_by and filter_by.startswith("low_"):
        # cleanlab's order is mixed up, where it does not raise; ours is that of the scores.
        mask = cleanlabs(rules.find_label_issues, labels, pred_probs, filter_by=filter_by)
        np.testing.assert_array_equal(np.sort(found), np.flatnonzero(mask))
        scores = get_label_quality_scores(labels, pred_probs, method=ranked_by)
        assert (np.diff(scores[found]) >= 0).all()
    else:
        expected = cleanlabs(rules.find_label_issues, labels, pred_probs, **options)
        np.testing.assert_array_equal(found, expected)

    expected = cleanlabs(rules.find_multilabel_issues_per_class, labels, pred_probs, **options)
    found = ours(find_multilabel_issues_per_class, labels, pred_probs, **options)
    if ranked_by is None:
        np.testing.assert_array_equal(found, expected)
        return
    for part, their_part in zip(found, expected, strict=True):
        assert len(part) == len(their_part) == bits.shape[1]
        for array, their_array in zip(part, their_part, strict=True):
            np.testing.assert_allclose(array, their_array, rtol=0, atol=1e-15)


@RUNS
@given(data=label_sets())
def test_models_equal_cleanlabs(data):
    bits, pred_probs = data
    labels = lists(bits)
    model = ours(fit, labels, pred_probs)
    options = {"multi_label": True}
    thresholds = cleanlabs(count.get_confident_thresholds, labels, pred_probs, **options)
    np.testing.assert_allclose(model.thresholds, thresholds, rtol=0, atol=1e-9)
    joint = cleanlabs(count.compute_confident_joint, labels, pred_probs, **options)
    np.testing.assert_array_equal(model.confident_joint, joint)
    joint = cleanlabs(count.estimate_joint, labels, pred_probs, **options)
    np.testing.assert_allclose(model.joint, joint, rtol=0, atol=1e-9)
    assert model.n_issue_rows == cleanlabs(count.num_label_issues, labels, pred_probs, **options)


@RUNS
@given(data=label_sets(), filter_by=st.sampled_from(["prune_by_noise_rate", "prune_by_class"]))
def test_a_joint_is_used_as_it_is(data, filter_by):
    labels, pred_probs = lists(data[0]), data[1]
    rng = np.random.default_rng(len(labels))
    joint = rng.integers(0, len(labels), (pred_probs.shape[1], 2, 2))
    options = {"confident_joint": joint, "filter_by": filter_by}
    expected = cleanlabs(rules.find_multilabel_issues_per_class, labels, pred_probs, **options)
    found = ours(find_multilabel_issues_per_class, labels, pred_probs, **options)
    np.testing.assert_array_equal(found, expected)


@RUNS
@given(data=label_sets())
def test_numbers_to_remove_are_of_rows_given_the_class(data):
    bits, pred_probs = data
    labels, numbers = lists(bits), (bits.sum(axis=0) // 2).tolist()
    options = {"num_to_remove_per_class": numbers, "n_jobs": 1}
    found = {
        name: ours(find_multilabel_issues_per_class, labels, pred_probs, filter_by=name, **options)
        for name in ("prune_by_noise_rate", "prune_by_class", "both")
    }
    joint = fit(labels, pred_probs).confident_joint
    # Where the joint has no mass to spread, cleanlab finds none; ours the number asked for.
    spread = (joint[:, 1, 0] > 0) & (bits.sum(axis=0) > 1)
    expected = cleanlabs(rules.find_multilabel_issues_per_class, labels, pred_probs, **options)
    by_rate = found["prune_by_noise_rate"]
    np.testing.assert_array_equal(by_rate[:, spread], expected[:, spread])
    assert not (by_rate & ~bits).any()
    for other in ("prune_by_class", "both"):  # cleanlab's flag others, or none
        np.testing.assert_array_equal(found[other], by_rate)


def test_cleanlab_takes_numbers_to_remove_of_rows_without_the_class():
    bits = np.array([[1, 1]] * 4 + [[0, 0]] * 4, dtype=bool)
    pred_probs = np.linspace(0.1, 0.9, 16).reshape(8, 2)
    options = {"num_to_remove_per_class": [2, 1]}
    arguments = lists(bits), pred_probs
    for filter_by, theirs in (("prune_by_class", [[0, 0], [2, 1]]), ("both", [[0, 0], [0, 0]])):
        mask = cleanlabs(
            rules.find_multilabel_issues_per_class, *arguments, filter_by=filter_by, **options
        )
        assert [(mask & bits).sum(axis=0).tolist(), (mask & ~bits).sum(axis=0).tolist()] == theirs
        mask = find_multilabel_issues_per_class(*arguments, filter_by=filter_by, **options)
        assert (mask & bits).sum(axis=0).tolist() == [2, 1]
        assert not (mask & ~bits).any()


@pytest.mark.parametrize("filter_by", FILTERS)
@RUNS
@given(data=label_sets(present_everywhere=True))
def test_a_class_that_all_rows_or_none_have_gets_an_answer(filter_by, data):
    bits, pred_probs = data
    labels, options = lists(bits), {"filter_by": filter_by, "n_jobs": 1}
    with pytest.raises(ValueError, match="at least 2 classes"):
        cleanlabs(rules.find_multilabel_issues_per_class, labels, pred_probs, **options)
    found = ours(find_multilabel_issues_per_class, labels, pred_probs, **options)
    if filter_by == "predicted_neq_given":
        np.testing.assert_array_equal(found[:, 0], pred_probs[:, 0] < 0.5)
        np.testing.assert_array_equal(found[:, 1], pred_probs[:, 1] > 0.5)
    else:  # no row can be confidently of a bit that no row was seen to have
        assert not found[:, :2].any()
    if bits.shape[1] > 3:
        rest = cleanlabs(
            rules.find_multilabel_issues_per_class, lists(bits[:, 2:]), pred_probs[:, 2:], **options
        )
        np.testing.assert_array_equal(found[:, 2:], rest)
    assert ours(find_label_issues, labels, pred_probs, **options).shape == (len(bits),)


@pytest.mark.parametrize("filter_by", FILTERS)
def test_a_class_that_all_rows_have_has_issues_only_where_predicted_otherwise_or_asked(filter_by):
    labels = [[0], [0, 1], [0], [0, 1], [0]]
    pred_probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.3], [0.95, 0.2], [0.4, 0.6]])
    found = ours(find_multilabel_issues_per_class, labels, pred_probs, filter_by=filter_by)
    expected = [1, 4] if filter_by == "predicted_neq_given" else []
    assert np.flatnonzero(found[:, 0]).tolist() == expected
    if filter_by in PRUNING:
        options = {"filter_by": filter_by, "num_to_remove_per_class": [1, 0]}
        found = ours(find_multilabel_issues_per_class, labels, pred_probs, **options)
        assert np.argwhere(found).tolist() == [[1, 0]]


def test_rows_without_any_label_or_with_all_of_them_are_scored():
    pred_probs = np.array([[0.25, 0.5], [0.75, 1.0]])
    np.testing.assert_allclose(get_label_quality_scores([[], []], pred_probs), [0.55, 0.05])
    np.testing.assert_allclose(get_label_quality_scores([[1, 0]] * 2, pred_probs), [0.3, 0.8])
    assert not find_label_issues([[], []], pred_probs).any()


@RUNS
@given(data=label_sets(), eighths=st.booleans())
def test_cells_are_the_rows_of_binary_problems(assert_same_bits, data, eighths):
    bits, pred_probs = data
    if eighths:  # ties, also with a threshold
        pred_probs = np.round(pred_probs * 8) / 8
    thresholds = fit(lists(bits), pred_probs).thresholds
    kinds = cell_kinds(bits, pred_probs, thresholds)
    for method in METHODS:
        found = score_cells(bits, pred_probs, method)
        adjusted = score_cells(bits, pred_probs, method, thresholds)
        for k, labels in enumerate(bits.T.astype(int)):
            binary = np.stack([1.0 - pred_probs[:, k], pred_probs[:, k]], axis=-1)
            assert_same_bits(found[:, k].copy(), score_rows(labels, binary, method))
            expected = score_rows(labels, binary, method, thresholds[k])
            assert_same_bits(adjusted[:, k].copy(), expected)
            facts = row_facts(labels, binary, thresholds[k])
            expected = GIVEN * labels + CONFIDENT * (facts.guess >= 0) + AGREES * facts.agrees
            expected += OTHER * facts.off_diagonal(labels)
            np.testing.assert_array_equal(kinds[:, k], expected)


TIED = [[], [1], [], [0, 1], [0], [1]]
TIED_PROBS = np.array([[0.1, 0.2], [0.7, 0.8], [0.2, 0.1], [0.3, 0.9], [0.9, 0.3], [0.1, 0.6]])


def test_equal_margins_of_different_bits_are_told_apart_by_row():
    # The self-confidences of rows 1 and 3 are 1 - 0.7 and 0.3: the second is lower by rounding.
    options = {"filter_by": "low_normalized_margin"}
    found = find_multilabel_issues_per_class(TIED, TIED_PROBS, **options)
    assert np.flatnonzero(found[:, 0]).tolist() == [1]
    expected = cleanlabs(rules.find_multilabel_issues_per_class, TIED, TIED_PROBS, **options)
    np.testing.assert_array_equal(found, expected)


@settings(deadline=None, max_examples=60)
@given(
    seed=SEEDS,
    levels=st.sampled_from([4, 10, 20, 100]),
    filter_by=st.sampled_from(["low_normalized_margin", "low_self_confidence", "prune_by_class"]),
)
def test_issues_of_tied_cells_equal_cleanlabs(seed, levels, filter_by):
    rng = np.random.default_rng(seed)
    pred_probs = rng.integers(0, levels + 1, (rng.integers(4, 30), 2)) / levels
    bits = rng.random(pred_probs.shape) < 0.4
    bits[0], bits[1] = False, True
    options = {"filter_by": filter_by}
    expected = cleanlabs(rules.find_multilabel_issues_per_class, lists(bits), pred_probs, **options)
    found = ours(find_multilabel_issues_per_class, lists(bits), pred_probs, **options)
    np.testing.assert_array_equal(found, expected)


@RUNS
@given(data=label_sets(), cut=st.integers(0, 80))
def test_states_of_parts_add_up(data, cut):
    bits, pred_probs = data
    parts = [(bits[:cut], pred_probs[:cut]), (bits[cut:], pred_probs[cut:])]
    whole = partial_cell_sums(bits, pred_probs)
    sums = [partial_cell_sums(*part) for part in parts]
    for name in ("counts", "high", "low"):
        total = getattr(sums[0], name) + getattr(sums[1], name)
        np.testing.assert_array_equal(getattr(whole, name), total)
    thresholds = np.full((bits.shape[1], 2), 0.6)
    vectors = [partial_cell_counts(*part, thresholds, 5) for part in parts]
    total = partial_cell_counts(bits, pred_probs, thresholds, 5)
    np.testing.assert_array_equal(total, vectors[0] + vectors[1])
    assert len(total) == counts_length(bits.shape[1], 5)
    counts = cell_counts(total, bits.shape[1])
    np.testing.assert_array_equal(counts.class_counts[:, 1], bits.sum(axis=0))
    assert counts.n_rows == len(bits)
    confidence = np.where(bits, pred_probs, 1.0 - pred_probs)
    low = [(~bits & (confidence < 0.5)).sum(axis=0), (bits & (confidence < 0.5)).sum(axis=0)]
    np.testing.assert_array_equal(counts.buckets.sum(axis=2), np.stack(low, axis=-1))


def test_a_lower_bucket_never_holds_a_higher_value():
    values = np.sort(np.random.default_rng(0).beta(0.1, 1, 10_000)) / 2
    values = np.concatenate([[-1e-7, 0.0], values, [np.nextafter(0.5, 0)]])
    buckets = score_buckets(values, 64)
    assert (np.diff(buckets) >= 0).all()
    assert (buckets[0], buckets[-1]) == (0, 63)


def test_wide_matrices_are_walked_in_blocks(assert_same_bits):
    rng = np.random.default_rng(1)
    n_classes = 100
    pred_probs = rng.random((3 * BLOCK_ELEMENTS // n_classes + 7, n_classes))
    labels = lists(rng.random(pred_probs.shape) < pred_probs)
    scores = get_label_quality_scores(labels, pred_probs)
    some = slice(700, 720)
    assert_same_bits(get_label_quality_scores(labels[some], pred_probs[some]), scores[some])
    given_, found = fit(labels, pred_probs), find_label_issues(labels, pred_probs)
    assert given_.n_rows == len(labels)
    assert 0 < found.sum() <= len(labels)


def test_a_model_is_saved_and_read_back_to_the_bit(tmp_path, assert_same_bits):
    rng = np.random.default_rng(2)
    pred_probs = rng.random((50, 3))
    model = fit(lists(rng.random((50, 3)) < 0.4), pred_probs)
    model.save(tmp_path / "model.json")
    read = MultilabelModel.load(tmp_path / "model.json")
    assert read.to_json() == model.to_json()
    assert_same_bits(read.thresholds, model.thresholds)
    assert_same_bits(read.confident_joint, model.confident_joint)
    assert (read.n_rows, read.n_classes, read.classes) == (50, 3, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thresholds", [[0.5, 0.5]]),
        ("thresholds", "0.5"),
        ("thresholds", [[0.5, 3.0]] * 3),
        ("class_counts", [[1.5, 2]] * 3),
        ("class_counts", [[-1, 2]] * 3),
        ("confident_counts", [[[1, 1], [1]]] * 3),
        ("n_issue_rows", None),
        ("classes", ["a", "b"]),
    ],
)
def test_a_model_of_something_else_is_refused(key, value):
    rng = np.random.default_rng(3)
    content = fit(lists(rng.random((9, 3)) < 0.5), rng.random((9, 3)))._content()
    with pytest.raises(DataError, match=r"multilabel_model: '.*' must "):
        MultilabelModel._from_content({**content, key: value})


GOOD = [[0], [1]], [[0.5, 0.5], [0.25, 0.75]]


@pytest.mark.parametrize(
    ("labels", "pred_probs", "message"),
    [
        ([[0], [2]], GOOD[1], "row 1: label out of range; 1 unusable rows in all .*K = 2"),
        ([[0, -1], [2]], GOOD[1], "row 0: label out of range; 2 unusable"),
        ([[0], [1, 0, 1]], GOOD[1], "row 1: label given twice"),
        ([[0], [0.5]], GOOD[1], "labels of row 1 must be a list of class indices"),
        ([0, 1], GOOD[1], "labels of row 0 must be a list of class indices"),
        ([["a"], [1]], GOOD[1], "labels of row 0 must be a list of class indices"),
        ([[0]], GOOD[1], "labels has 1 rows, pred_probs has 2"),
        ([], np.zeros((0, 2)), "labels has 0 rows, pred_probs has 0"),
        (GOOD[0], [[0.5, np.nan], [0.5, 0.5]], "row 0: probability not finite"),
        (GOOD[0], [[0.5, 0.5], [-0.1, 0.5]], "row 1: probability below 0"),
        (GOOD[0], [[0.5, 0.5], [1.1, 0.5]], "row 1: probability above 1"),
        (GOOD[0], [[0.5], [0.5]], "at least 2 classes"),
    ],
)
def test_bad_rows_are_named(labels, pred_probs, message):
    for function in (get_label_quality_scores, find_label_issues, fit):
        with pytest.raises(DataError, match=message):
            function(labels, np.array(pred_probs))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "margin"}, "method must be one of"),
        (
            {"method": "confidence_weighted_entropy", "adjust_pred_probs": True},
            "adjust_pred_probs=True is not defined",
        ),
        ({"aggregator_kwargs": {"method": "mean"}}, "method must be one of .*, got 'mean'"),
        ({"aggregator_kwargs": {"alpha": 0.5}}, "method must be one of .*, got None"),
        (
            {"aggregator_kwargs": {"method": "softmin", "alpha": 0.5}},
            "'softmin' takes 'temperature' alone, got 'alpha'",
        ),
        (
            {"aggregator_kwargs": {"method": "exponential_moving_average", "alpha": 2}},
            "alpha must be a number from 0 to 1, got 2",
        ),
        (
            {"aggregator_kwargs": {"method": "softmin", "temperature": -1}},
            "temperature must be a number of at least 0, got -1",
        ),
        (
            {"aggregator_kwargs": {"method": lambda scores: scores[:1, 0]}},
            "the function gave an array of shape",
        ),
    ],
)
def test_wrong_options_of_scores_are_refused(options, message):
    with pytest.raises((OptionError, DataError), match=message):
        get_label_quality_scores(*GOOD, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filter_by": "prune"}, "filter_by must be one of"),
        ({"frac_noise": 2.0}, "frac_noise must be between 0 and 1"),
        ({"filter_by": "confident_learning", "num_to_remove_per_class": 1}, "go with"),
        ({"return_indices_ranked_by": "margin"}, "return_indices_ranked_by must be one of"),
        ({"num_to_remove_per_class": [1]}, "must be 2 numbers"),
        ({"num_to_remove_per_class": [2, 1]}, "between 0 and the rows of its class"),
        ({"confident_joint": [[1, 0], [0, 1]]}, r"must be an array of counts of shape \(2, 2, 2\)"),
    ],
)
def test_wrong_options_of_issues_are_refused(options, message):
    with pytest.raises((OptionError, DataError), match=message):
        ours(find_label_issues, *GOOD, **options)


def test_classes_too_small_to_prune_are_named():
    with pytest.warns(UserWarning, match=r"classes 1 are given to at most 1 rows") as warned:
        find_label_issues([[0], [0, 1], []], np.full((3, 2), 0.5))
    assert warned[0].filename == __file__
    rule = Rule(min_examples_per_class=5)
    with pytest.warns(UserWarning, match="classes 'b' are given to at most 5 rows"):
        rule.warn_of_small_classes(np.array([6, 3, 0]), list("abc"), stacklevel=2)

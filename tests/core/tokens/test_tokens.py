from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from cleanlab.token_classification import filter as their_filter
from cleanlab.token_classification import rank, summary
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import cleanlabs, ours

from lq_spark.core.label_issues.rules import FILTERS
from lq_spark.core.multiclass.scores import METHODS
from lq_spark.core.tokens import (
    common_label_issues,
    filter_by_token,
    find_label_issues,
    get_label_quality_scores,
    issues_from_scores,
)
from lq_spark.errors import DataError, OptionError

WORDS = ["May", "may", "in", "London", "#", ""]
SEEDS = st.integers(0, 2**32 - 1)


def split(array, lengths):
    return np.split(array, np.cumsum(lengths)[:-1])


@st.composite
def corpora(draw):
    """Return labels, pred_probs and tokens: ragged, absent and single classes, ties if drawn."""
    rng = np.random.default_rng(draw(SEEDS))
    lengths = draw(st.lists(st.integers(1, 12), min_size=2, max_size=25))
    n, n_classes = sum(lengths), draw(st.integers(2, 8))
    pred_probs = rng.dirichlet(np.full(n_classes, draw(st.sampled_from([0.2, 1.0, 5.0]))), n)
    labels = np.where(
        rng.random(n) < 0.6,
        pred_probs.argmax(axis=1),
        rng.choice(n_classes, n, p=rng.dirichlet(np.full(n_classes, 0.5))),
    )
    if draw(st.booleans()):
        pred_probs = np.round(pred_probs * 8) + 0.25
        pred_probs /= pred_probs.sum(axis=1, keepdims=True)
    pred_probs = pred_probs.clip(0.0, 1.0)
    once, other = rng.choice(n_classes, 2, replace=False)
    labels[labels == once] = other
    labels[rng.integers(n)] = once  # a class seen once; cleanlab wants two classes
    tokens = rng.choice(WORDS, n)
    return (
        [part.tolist() for part in split(labels, lengths)],
        split(pred_probs, lengths),
        [part.tolist() for part in split(tokens, lengths)],
    )


def assert_same_scores(found, expected):
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-9)
    assert found[0].dtype == np.float64
    assert len(found[1]) == len(expected[1])
    for part, their_part in zip(found[1], expected[1], strict=True):
        pd.testing.assert_series_equal(part, their_part, rtol=0, atol=1e-9)


@pytest.mark.parametrize("token_score_method", METHODS)
@settings(deadline=None, max_examples=40)
@given(
    corpus=corpora(),
    with_tokens=st.booleans(),
    temperature=st.sampled_from(["min", None, 0.05, 0.2, 0, math.inf, 1e-9]),
)
def test_scores_equal_cleanlabs(token_score_method, corpus, with_tokens, temperature):
    labels, pred_probs, tokens = corpus
    options = {"token_score_method": token_score_method, "tokens": tokens if with_tokens else None}
    if temperature != "min":
        options["sentence_score_method"] = "softmin"
        if temperature is not None:
            options["sentence_score_kwargs"] = {"temperature": temperature}
    assert_same_scores(
        get_label_quality_scores(labels, pred_probs, **options),
        cleanlabs(rank.get_label_quality_scores, labels, pred_probs, **options),
    )


def test_a_sentence_without_tokens_is_clean_and_has_no_token_scores():
    probs = np.array([[0.25, 0.75]])
    for method in ("min", "softmin"):
        sentences, tokens = get_label_quality_scores(
            [[], [0], []],
            [np.zeros((0, 2)), probs, []],
            tokens=[[], ["a"], []],
            sentence_score_method=method,
        )
        np.testing.assert_array_equal(sentences, [1.0, 0.25, 1.0])
        assert [part.to_dict() for part in tokens] == [{}, {"a": 0.25}, {}]
        assert {part.dtype for part in tokens} == {np.dtype(np.float64)}


@pytest.mark.parametrize("filter_by", FILTERS)
@settings(deadline=None, max_examples=30)
@given(corpus=corpora(), ranked_by=st.sampled_from(list(METHODS)), least=st.sampled_from([1, 5]))
def test_issues_equal_cleanlabs(filter_by, corpus, ranked_by, least):
    labels, pred_probs, _ = corpus
    options = {
        "filter_by": filter_by,
        "return_indices_ranked_by": ranked_by,
        "min_examples_per_class": least,
    }
    expected = cleanlabs(their_filter.find_label_issues, labels, pred_probs, **options)
    found = ours(find_label_issues, labels, pred_probs, **options)
    if ranked_by == "confidence_weighted_entropy":
        # Its logarithms are summed in another order: what ties in one may not in the other.
        found, expected = sorted(found), sorted(expected)
    assert found == expected


def test_empty_sentences_keep_their_numbers():
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8]])
    more = np.array([[0.1, 0.9], [0.9, 0.1]])
    labels, pred_probs = [[], [0, 0, 1], [], [], [1, 1]], [[], probs, [], [], more]
    issues = find_label_issues(labels, pred_probs)
    assert issues == [(4, 1)]
    assert {type(number) for issue in issues for number in issue} == {int}


@settings(deadline=None)
@given(corpus=corpora(), threshold=st.sampled_from([0.1, 0.3, 0.9]))
def test_issues_from_scores_equal_cleanlabs(corpus, threshold):
    labels, pred_probs, _ = corpus
    scores, token_scores = get_label_quality_scores(labels, pred_probs)
    by_token = {"token_scores": token_scores, "threshold": threshold}
    assert issues_from_scores(scores, **by_token) == cleanlabs(
        rank.issues_from_scores, scores, **by_token
    )
    # Where every sentence is below the threshold cleanlab raises.
    beside = np.append(scores, 2.0)
    expected = cleanlabs(rank.issues_from_scores, beside, threshold=threshold)
    np.testing.assert_array_equal(issues_from_scores(beside, threshold=threshold), expected)
    np.testing.assert_array_equal(issues_from_scores(scores, threshold=threshold), expected)


def test_a_score_at_the_threshold_is_no_issue():
    np.testing.assert_array_equal(issues_from_scores([0.1, 0.2, 0.05, 0.05]), [2, 3])
    assert issues_from_scores([0.1, 1.0], token_scores=[[0.5, 0.1], []]) == []
    assert issues_from_scores([], token_scores=[]) == []


@settings(deadline=None)
@given(corpus=corpora(), seed=SEEDS, with_classes=st.booleans(), with_names=st.booleans())
def test_common_issues_equal_cleanlabs(corpus, seed, with_classes, with_names):
    labels, pred_probs, tokens = corpus
    rng = np.random.default_rng(seed)
    everything = [(s, t) for s, words in enumerate(tokens) for t in range(len(words))]
    issues = [everything[i] for i in rng.integers(len(everything), size=40)]
    n_classes = pred_probs[0].shape[1]
    options = {"exclude": [tuple(pair) for pair in rng.integers(n_classes + 1, size=(6, 2))]}
    if with_classes:
        options.update(labels=labels, pred_probs=pred_probs)
    if with_names:
        options["class_names"] = [f"class {k}" for k in range(n_classes)]
    expected = cleanlabs(summary.common_label_issues, issues, tokens, verbose=False, **options)
    found = common_label_issues(issues, tokens, **options)
    # Its columns have no type where there is no row.
    pd.testing.assert_frame_equal(found, expected, check_dtype=len(expected) > 0)


def test_common_issues_are_a_table_even_without_issues(capsys):
    found = common_label_issues([], [["a"]])
    assert list(found.columns) == ["token", "num_label_issues"]
    found = common_label_issues([], [["a"]], labels=[[0]], pred_probs=[[[0.5, 0.5]]])
    assert list(found.columns) == ["token", "given_label", "predicted_label", "num_label_issues"]
    assert [dtype.kind for dtype in found.dtypes] == ["O", "i", "i", "i"]
    assert not len(found)
    assert not capsys.readouterr().out


def test_one_of_labels_and_probabilities_says_nothing_of_classes():
    found = common_label_issues([(0, 0)], [["a"]], labels=[[0]], exclude=[(0, 0)])
    assert found.to_dict("list") == {"token": ["a"], "num_label_issues": [1]}


@given(corpus=corpora(), token=st.sampled_from([*WORDS, "LONDON", "none"]))
def test_issues_of_a_word_equal_cleanlabs(corpus, token):
    tokens = corpus[2]
    issues = [(s, t) for s, words in enumerate(tokens) for t in range(len(words))][::-1]
    expected = summary.filter_by_token(token, issues, tokens)
    assert filter_by_token(token, issues, tokens) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token_score_method": "margin"}, "token_score_method must be one of .* got 'margin'"),
        ({"sentence_score_method": "mean"}, "sentence_score_method must be one of .* got 'mean'"),
        ({"sentence_score_kwargs": {"temperature": 1}}, "for 'min' takes no argument"),
        ({"tokens": [["a"], ["b"]]}, "labels has 1 sentences, tokens has 2"),
    ],
)
def test_wrong_options_of_scores_are_refused(options, message):
    with pytest.raises((OptionError, DataError), match=message):
        get_label_quality_scores([[0]], [[[0.5, 0.5]]], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"return_indices_ranked_by": None}, "return_indices_ranked_by must be one of .* got None"),
        ({"filter_by": "prune"}, "filter_by must be one of"),
        ({"frac_noise": 2.0}, "frac_noise must be between 0 and 1, got 2.0"),
        ({"filter_by": "predicted_neq_given"}, "needs labels of at least 2 classes"),
    ],
)
def test_wrong_options_of_issues_are_refused(options, message):
    with pytest.raises((OptionError, DataError), match=message):
        find_label_issues([[0], [0]], [[[0.5, 0.5]], [[0.5, 0.5]]], **options)


def test_bad_sentences_are_named():
    with pytest.raises(DataError, match="sentence 1: labels has 1 tokens, pred_probs has 0"):
        find_label_issues([[0], [0]], [[[0.5, 0.5]], []])
    with pytest.raises(DataError, match="sentence 0, token 1: label out of range"):
        get_label_quality_scores([[0, 2]], [[[0.5, 0.5], [0.5, 0.5]]])


def test_scores_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="sentence_scores has 2 sentences, token_scores has 1"):
        issues_from_scores([0.5, 0.5], token_scores=[[0.5]])
    for threshold in (math.nan, "0.1"):
        with pytest.raises(OptionError, match="threshold must be a number, got"):
            issues_from_scores([0.5], threshold=threshold)


@pytest.mark.parametrize("issue", [(1, 0), (0, 2), (-1, 0), (0, -1)])
def test_an_issue_of_no_token_is_refused(issue):
    for call in (common_label_issues, lambda *data: filter_by_token("a", *data)):
        with pytest.raises(DataError, match=r"issues must be \(sentence, token\) .* got \("):
            call([issue], [["a", "b"]])


def test_class_names_must_be_of_every_class():
    with pytest.raises(OptionError, match="class_names must have 2 names, got 1"):
        common_label_issues(
            [(0, 0)], [["a"]], labels=[[0]], pred_probs=[[[0.5, 0.5]]], class_names=["x"]
        )


@pytest.fixture(scope="module")
def wnut(shared_data):
    """Labels, float32 and float64 pred_probs and tokens of the 5,690 sentences of WNUT-17."""
    table = pq.read_table(shared_data / "wnut17_tokens.parquet").combine_chunks()
    lists = table["pred_probs"].combine_chunks()
    lengths = np.diff(lists.offsets.to_numpy())
    flat = lists.flatten().flatten().to_numpy().reshape(lengths.sum(), -1)
    return (
        table["labels"].to_pylist(),
        split(flat, lengths),
        split(flat.astype(np.float64), lengths),
        table["tokens"].to_pylist(),
    )


@pytest.mark.parametrize("temperature", [None, 0.05, 0.2])
def test_scores_of_real_sentences_equal_cleanlabs(wnut, temperature):
    labels, single, double, tokens = wnut
    options = {}
    if temperature is not None:
        options["sentence_score_method"] = "softmin"
        options["sentence_score_kwargs"] = {"temperature": temperature}
    found = get_label_quality_scores(labels, single, tokens=tokens, **options)
    expected = cleanlabs(rank.get_label_quality_scores, labels, double, tokens=tokens, **options)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        np.concatenate(found[1]), np.concatenate(expected[1]), rtol=0, atol=1e-9
    )
    assert [list(part.index) for part in found[1]] == tokens


@pytest.mark.parametrize(
    "filter_by", ["prune_by_noise_rate", "confident_learning", "low_self_confidence"]
)
def test_issues_of_real_sentences_equal_cleanlabs(wnut, filter_by):
    labels, single, double, _ = wnut
    options = {"filter_by": filter_by}
    expected = cleanlabs(their_filter.find_label_issues, labels, double, **options)
    assert len(expected) > 0
    assert ours(find_label_issues, labels, single, **options) == expected

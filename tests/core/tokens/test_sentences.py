from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.shared.segments import first_minima, offsets_of, places
from lq_spark.core.tokens.sentences import (
    SENTENCE_METHODS,
    checked_sentences,
    require_sentence_method,
    sentence_scores,
)
from lq_spark.errors import DataError, OptionError

TEMPERATURES = [0.05, 0.2, 0.0, math.inf, 1e-300, 1e-6, 1e6]


@st.composite
def ragged_scores(draw):
    """Return token scores of sentences, some empty, many scores equal."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = draw(st.lists(st.integers(0, 40), max_size=30))
    scores = rng.random(sum(lengths))
    if draw(st.booleans()):
        scores = np.round(scores, 1)
    return scores, offsets_of(lengths)


def one_by_one(scores, offsets, function, default):
    """Return a plain Python function of the scores of each sentence."""
    return [
        function(scores[start:stop].tolist()) if stop > start else default
        for start, stop in itertools.pairwise(offsets)
    ]


def plain_softmin(scores, temperature):
    if temperature == 0:
        return min(scores)
    worst = max(1 - s for s in scores)
    weights = [math.exp((1 - s - worst) / max(temperature, 1e-6)) for s in scores]
    return math.fsum(s * w for s, w in zip(scores, weights, strict=True)) / math.fsum(weights)


@given(data=ragged_scores())
def test_the_lowest_score_of_each_sentence_and_its_place(data):
    scores, offsets = data
    found = sentence_scores(scores, offsets, "min")
    np.testing.assert_array_equal(found, one_by_one(scores, offsets, min, 1.0))
    places_of_worst = one_by_one(scores, offsets, lambda part: part.index(min(part)), -1)
    np.testing.assert_array_equal(first_minima(scores, offsets), places_of_worst)


@settings(deadline=None)
@given(data=ragged_scores(), temperature=st.sampled_from(TEMPERATURES))
def test_softmin_is_the_mean_weighted_towards_the_lowest(data, temperature):
    scores, offsets = data
    found = sentence_scores(scores, offsets, "softmin", temperature)
    expected = one_by_one(scores, offsets, lambda part: plain_softmin(part, temperature), 1.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert ((found >= 0) & (found <= 1)).all()


@settings(deadline=None)
@given(
    data=ragged_scores(),
    dtype=st.sampled_from([np.float64, np.float32]),
    temperature=st.sampled_from(TEMPERATURES),
    step=st.integers(1, 3),
)
def test_a_sentence_scores_the_same_to_the_bit_in_any_company(data, dtype, temperature, step):
    scores, offsets = data
    scores = scores.astype(dtype)
    spread = np.repeat(scores, step)[::step]  # a view with gaps, where step > 1
    together = sentence_scores(spread, offsets, "softmin", temperature)
    worst = first_minima(spread, offsets)
    for s, (start, stop) in enumerate(itertools.pairwise(offsets)):
        own = np.array([0, stop - start])
        alone = sentence_scores(scores[start:stop].copy(), own, "softmin", temperature)
        assert alone.tobytes() == together[s : s + 1].tobytes()
        # As a slice of an Arrow column comes: all values, offsets that do not start at 0.
        sliced = sentence_scores(
            scores, offsets[s : s + 2].astype(np.int32), "softmin", temperature
        )
        assert sliced.tobytes() == together[s : s + 1].tobytes()
        assert first_minima(scores, offsets[s : s + 2]) == worst[s]


def test_temperatures_between_0_and_the_floor_are_the_floor():
    scores, offsets = np.array([0.5, 0.5 + 1e-6]), np.array([0, 2])
    floor = sentence_scores(scores, offsets, "softmin", 1e-6)
    assert floor == pytest.approx(0.5 + 1e-6 / (1 + math.e), abs=1e-15)
    assert sentence_scores(scores, offsets, "softmin", 1e-9) == floor
    assert sentence_scores(scores, offsets, "softmin", 0) == 0.5


def test_no_sentence_has_no_score():
    for method in SENTENCE_METHODS:
        assert sentence_scores(np.zeros(0), np.zeros(1, dtype=int), method).shape == (0,)
    assert first_minima(np.zeros(0), np.zeros(1, dtype=int)).shape == (0,)


def test_an_empty_sentence_is_clean_wherever_it_stands():
    offsets = offsets_of([0, 2, 0, 0, 1, 0])
    for method in SENTENCE_METHODS:
        found = sentence_scores(np.array([0.5, 0.5, 0.25]), offsets, method)
        np.testing.assert_array_equal(found, [1, 0.5, 1, 1, 0.25, 1])
    np.testing.assert_array_equal(
        first_minima(np.array([0.5, 0.5, 0.25]), offsets), [-1, 0, -1, -1, 0, -1]
    )


def test_tokens_are_found_in_their_sentences():
    offsets = offsets_of([0, 2, 0, 1])
    assert places(np.array([2, 0, 1]), offsets) == [(3, 0), (1, 0), (1, 1)]
    assert places(np.zeros(0, dtype=int), offsets) == []


@pytest.mark.parametrize(
    ("method", "kwargs", "temperature"),
    [
        ("min", {}, 0.0),
        ("softmin", {}, 0.05),
        ("softmin", {"temperature": 0}, 0.0),
        ("softmin", {"temperature": math.inf}, math.inf),
        ("softmin", {"temperature": np.float32(0.5)}, 0.5),
    ],
)
def test_a_method_has_a_temperature(method, kwargs, temperature):
    found = require_sentence_method(method, kwargs)
    assert type(found) is float
    assert found == temperature


@pytest.mark.parametrize(
    ("method", "kwargs", "message"),
    [
        (
            "softmax",
            {},
            "sentence_score_method must be one of 'min', 'softmin', got 'softmax'; did",
        ),
        ("softmin", {"temperatur": 1}, "takes 'temperature' alone, got 'temperatur'; did you mean"),
        ("min", {"temperature": 1}, "for 'min' takes no argument, got 'temperature'"),
        ("softmin", {"temperature": -0.1}, "temperature must be a number of at least 0, got -0.1"),
        ("softmin", {"temperature": math.nan}, "temperature must be .* got nan"),
        ("softmin", {"temperature": "0.1"}, "temperature must be .* got '0.1'"),
        ("softmin", {"temperature": True}, "temperature must be .* got True"),
        ("softmin", {"temperature": None}, "temperature must be .* got None"),
    ],
)
def test_a_wrong_method_is_refused(method, kwargs, message):
    with pytest.raises(OptionError, match=message):
        require_sentence_method(method, kwargs)


ROW = [0.5, 0.5]


def test_nested_lists_become_arrays():
    labels = [[1, 0], [], np.array([1.0])]
    pred_probs = [[ROW, [0.25, 0.75]], np.zeros((0, 2)), np.array([[1, 0]])]
    data = checked_sentences(labels, pred_probs, [["a", "b"], [], ["c"]])
    np.testing.assert_array_equal(data.labels, [1, 0, 1])
    assert data.labels.dtype == np.int64
    np.testing.assert_array_equal(data.pred_probs, [[0.5, 0.5], [0.25, 0.75], [1, 0]])
    np.testing.assert_array_equal(data.offsets, [0, 2, 2, 3])


def test_float32_probabilities_are_not_copied_to_float64():
    data = checked_sentences([[0], []], [np.array([ROW], dtype=np.float32), []])
    assert data.pred_probs.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "pred_probs", "message"),
    [
        ([[0]], [[ROW], [ROW]], "labels has 1 sentences, pred_probs has 2"),
        ([[0], [0, 1]], [[ROW], [ROW]], "sentence 1: labels has 2 tokens, pred_probs has 1"),
        ([0, 1], [[ROW], [ROW]], r"labels of sentence 0 must be a 1-D array .* got shape \(\)"),
        ([["a"]], [[ROW]], r"labels of sentence 0 must be a 1-D array of numbers, .* <U1"),
        ([[0], [[0]]], [[ROW], [ROW]], r"labels of sentence 1 must be .* got shape \(1, 1\)"),
        ([[0], [0]], [[ROW], ROW], r"pred_probs of sentence 1 must be a 2-D array .* \(2,\)"),
        ([[0, 0]], [[ROW, [1.0]]], r"pred_probs of sentence 0 must be .* got shape \(2,\) of obj"),
        ([[0], [], [0]], [[ROW], [], [[1.0]]], "of sentence 2 has 1 classes, of sentence 0 2"),
        ([[0]], [[[1.0]]], "pred_probs must have at least 2 classes, got 1"),
        ([[], []], [[], []], "labels must have at least one token, got 2 empty sentences"),
        ([], [], "labels must have at least one token, got 0 empty sentences"),
        (
            [[0], [], [0, 0.5]],
            [[ROW], [], [ROW, ROW]],
            "sentence 2, token 1: label 0.5 is no whole",
        ),
        ([[math.nan]], [[ROW]], "sentence 0, token 0: label nan is no whole number; 1 unusable"),
        ([[0, 2, 3]], [[ROW] * 3], r"token 1: label out of range \(.* K = 2 classes\); 2 unusable"),
        ([[-1]], [[ROW]], "sentence 0, token 0: label out of range"),
        ([[0], [0]], [[ROW], [[0.5, 0.6]]], "sentence 1, token 0: probabilities do not sum to 1"),
        ([[0]], [[[math.nan, 0.5]]], "sentence 0, token 0: probability not finite"),
        ([[0]], [[[-0.1, 1.1]]], "sentence 0, token 0: probability below 0"),
        ([[0]], [[[1.1, 0.0]]], "sentence 0, token 0: probability above 1"),
    ],
)
def test_what_cannot_be_scored_is_named(labels, pred_probs, message):
    with pytest.raises(DataError, match=message):
        checked_sentences(labels, pred_probs)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([["a"]], "labels has 2 sentences, tokens has 1"),
        ([["a"], ["a", "b"]], "sentence 1: labels has 1 tokens, tokens has 2"),
        ([["a"], "b"], "tokens of sentence 1 must be a list of words, got 'b'"),
    ],
)
def test_words_that_do_not_fit_are_named(tokens, message):
    with pytest.raises(DataError, match=message):
        checked_sentences([[0], [1]], [[ROW], [ROW]], tokens)

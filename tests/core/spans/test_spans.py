from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cleanlab.experimental import span_classification as theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import cleanlabs, ours

from lq_spark.core.spans import find_label_issues, get_label_quality_scores
from lq_spark.errors import DataError


@st.composite
def span_corpora(draw):
    """Return labels 0 or 1 and P(token in span) of sentences of 1 to 12 tokens."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = draw(st.lists(st.integers(1, 12), min_size=2, max_size=20))
    inside = rng.random(sum(lengths))
    labels = (rng.random(sum(lengths)) < inside).astype(int)
    labels[:2] = 0, 1  # cleanlab wants two classes
    cuts = np.cumsum(lengths)[:-1]
    return [part.tolist() for part in np.split(labels, cuts)], np.split(inside, cuts)


@settings(deadline=None)
@given(corpus=span_corpora(), method=st.sampled_from(["min", "softmin"]))
def test_scores_equal_cleanlabs(corpus, method):
    labels, inside = corpus
    tokens = [[f"word {t}" for t in range(len(part))] for part in labels]
    options = {"tokens": tokens, "sentence_score_method": method}
    found = get_label_quality_scores(labels, inside, **options)
    expected = theirs.get_label_quality_scores(labels, inside, **options)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-9)
    for part, their_part in zip(found[1], expected[1], strict=True):
        pd.testing.assert_series_equal(part, their_part, rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(corpus=span_corpora())
def test_issues_equal_cleanlabs(corpus):
    assert ours(find_label_issues, *corpus) == cleanlabs(theirs.find_label_issues, *corpus)


def test_options_are_those_of_tokens():
    labels, inside = [[0, 0, 1], [1, 1]], [[0.1, 0.2, 0.8], [0.9, 0.1]]
    assert find_label_issues(labels, inside, filter_by="predicted_neq_given") == [(1, 1)]


def test_an_empty_sentence_is_clean():
    assert get_label_quality_scores([[], [1]], [[], [0.25]])[0].tolist() == [1.0, 0.25]


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ([[[0.5, 0.5]]], r"pred_probs of sentence 0 must be a 1-D array .* got shape \(1, 2\)"),
        ([["a"]], "pred_probs of sentence 0 must be a 1-D array .* of <U1"),
        ([[0.5, 0.5]], "sentence 0: labels has 1 tokens, pred_probs has 2"),
        ([[1.5]], "sentence 0, token 0: probability above 1"),
        ([[-0.5]], "sentence 0, token 0: probability below 0"),
        ([[np.nan]], "sentence 0, token 0: probability not finite"),
    ],
)
def test_what_is_no_probability_of_a_span_is_named(inside, message):
    with pytest.raises(DataError, match=message):
        get_label_quality_scores([[1]], inside)

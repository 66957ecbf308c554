from __future__ import annotations

import numpy as np
import pytest
from cleanlab.internal import token_classification_utils as theirs
from hypothesis import example, given
from hypothesis import strategies as st

from lq_spark.core.tokens.text import filter_sentence, get_sentence, merge_probs, process_token
from lq_spark.errors import DataError, OptionError

WORDS = st.text("ab'\"()[],.-!# \n", max_size=4)


@given(words=st.lists(WORDS, max_size=8))
@example(words=["He", "'s", "in", "(", "at", "last", ")", "-", "good", "!"])
def test_sentences_equal_cleanlabs(words):
    assert get_sentence(words) == theirs.get_sentence(words)


@given(sentences=st.lists(WORDS, max_size=8))
def test_filtered_sentences_equal_cleanlabs(sentences):
    assert filter_sentence(sentences) == theirs.filter_sentence(sentences)

    def starts_with_a(sentence):
        return sentence.startswith("a")

    found = filter_sentence(sentences, starts_with_a)
    assert found == theirs.filter_sentence(sentences, starts_with_a)


@given(
    token=WORDS,
    replace=st.lists(st.tuples(st.text("ab.#(", min_size=1, max_size=2), WORDS), min_size=1),
)
@example(token="aab", replace=[("a", "b"), ("b", "a")])
@example(token="ab", replace=[("a", "1"), ("ab", "2"), ("a", "3")])
def test_processed_tokens_equal_cleanlabs(token, replace):
    assert process_token(token) == theirs.process_token(token)
    assert process_token(token, replace) == theirs.process_token(token, replace)


def test_nothing_to_replace_leaves_a_token_as_it_is():
    assert process_token("a#", []) == "a#"


def test_an_empty_text_cannot_be_replaced():
    with pytest.raises(OptionError, match="replace must not have an empty text"):
        process_token("a", [("", "b")])


@given(
    seed=st.integers(0, 2**32 - 1),
    maps=st.lists(st.integers(-1, 5), min_size=2, max_size=9),
    n=st.integers(0, 20),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_merged_probabilities_equal_cleanlabs(seed, maps, n, dtype):
    maps = [*maps, 0]
    pred_probs = np.random.default_rng(seed).dirichlet(np.ones(len(maps)), n).astype(dtype)
    found = merge_probs(pred_probs, maps)
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, theirs.merge_probs(pred_probs, maps), rtol=0, atol=10 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize(
    ("pred_probs", "maps", "error", "message"),
    [
        ([[0.5, 0.5]], [0], OptionError, r"maps must be 2 whole numbers of at least -1, got \[0\]"),
        ([[0.5, 0.5]], [0, 1, 1], OptionError, "maps must be 2 whole numbers"),
        ([[0.5, 0.5]], [0, -2], OptionError, r"of at least -1, got \[0, -2\]"),
        ([[0.5, 0.5]], [0, 0.5], OptionError, "whole numbers"),
        ([[0.5, 0.5]], [-1, -1], OptionError, r"maps must keep at least one class, got \[-1, -1\]"),
        ([0.5, 0.5], [0, 1], DataError, "pred_probs must be a 2-D array"),
        ([[1, 0], [0, 1]], [0, -1], DataError, "nothing left to scale in 1 rows, .* row 1"),
    ],
)
def test_what_cannot_be_merged_is_refused(pred_probs, maps, error, message):
    with pytest.raises(error, match=message):
        merge_probs(pred_probs, maps)

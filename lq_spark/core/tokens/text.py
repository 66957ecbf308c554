"""The words of token classification: join, clean and choose them; merge a model's classes."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.checks import checked_pred_probs
from lq_spark.errors import DataError, OptionError

SPACED_MARKS = ("-", "(")
"""Punctuation that keeps the space before it."""


def get_sentence(words: Sequence[str]) -> str:
    """Return words as one sentence, punctuation set as in print.

    Words are joined by spaces, but for the one before a mark of ASCII punctuation (save a dash and
    an opening bracket), before an apostrophe, and after an opening bracket.

    Parameters
    ----------
    words : sequence of str

    Examples
    --------
    >>> get_sentence(["It", "'s", "late", "(", "11", ")", ",", "go", "!"])
    "It's late (11), go!"
    """
    spaced = [
        word if word in string.punctuation and word not in SPACED_MARKS else f" {word}"
        for word in words
    ]
    return "".join(spaced).replace(" '", "'").replace("( ", "(").strip()


def filter_sentence(
    sentences: Sequence[str], condition: Callable[[str], bool] | None = None
) -> tuple[list[str], list[bool]]:
    """Return the sentences that meet a condition, and for each sentence whether it does.

    Parameters
    ----------
    sentences : sequence of str
    condition : callable, optional
        Of a sentence; else more than one character and no "#".

    Examples
    --------
    >>> filter_sentence(["a", "#1 of all", "all of it"])
    (['all of it'], [False, False, True])
    """
    meets = condition or (lambda sentence: len(sentence) > 1 and "#" not in sentence)
    mask = [bool(meets(sentence)) for sentence in sentences]
    return [sentence for sentence, kept in zip(sentences, mask, strict=True) if kept], mask


def process_token(token: str, replace: Sequence[tuple[str, str]] = (("#", ""),)) -> str:
    """Return a token with texts replaced: by default without the "#" of a word piece.

    Parameters
    ----------
    token : str
    replace : sequence of (old, new)
        Taken literally and all at once: what is put in is not replaced again. Where two of them
        match at one place, the first does; of two for the same text, the last is taken.

    Raises
    ------
    OptionError
        If a text to replace is empty.

    Examples
    --------
    >>> process_token("##ing")
    'ing'
    >>> process_token("ab", [("a", "b"), ("b", "c")])
    'bc'
    """
    news = dict(replace)
    if "" in news:
        raise OptionError("replace must not have an empty text to replace, got ('', ...)")
    if not news:
        return token
    return re.sub("|".join(map(re.escape, news)), lambda match: news[match.group()], token)


def flagged_words(issues: Sequence[tuple[int, int]], tokens: Sequence[Sequence[str]]) -> list[str]:
    """Return the words that issues, as (sentence, token in the sentence), are about.

    Raises
    ------
    DataError
        If an issue is of no token.

    Examples
    --------
    >>> flagged_words([(0, 1)], [["in", "May"]])
    ['May']
    """
    for s, t in issues:
        if not (0 <= s < len(tokens) and 0 <= t < len(tokens[s])):
            raise DataError(
                f"issues must be (sentence, token) of the {len(tokens)} sentences, "
                f"got ({s}, {t}), which is none"
            )
    return [tokens[s][t] for s, t in issues]


def filter_by_token(
    token: str, issues: Sequence[tuple[int, int]], tokens: Sequence[Sequence[str]]
) -> list[tuple[int, int]]:
    """Return the issues of one word, upper and lower case alike.

    Parameters
    ----------
    token : str
        The word.
    issues, tokens
        As for :func:`lq_spark.core.tokens.common_label_issues`.

    Raises
    ------
    DataError
        If an issue is of no token.

    Examples
    --------
    >>> filter_by_token("may", [(0, 0), (0, 1)], [["in", "May"]])
    [(0, 1)]
    """
    words = flagged_words(issues, tokens)
    wanted = token.lower()
    return [issue for issue, word in zip(issues, words, strict=True) if word.lower() == wanted]


def merge_probs(pred_probs: ArrayLike, maps: Sequence[int]) -> NDArray[np.floating]:
    """Return the probabilities of merged classes.

    Parameters
    ----------
    pred_probs : array-like of float, shape (n, K)
        Predicted probabilities.
    maps : sequence of int, length K
        Class that each class becomes a part of; -1 drops it, and the probabilities of a row are
        then scaled to sum to 1.

    Returns
    -------
    ndarray of float, shape (n, max(maps) + 1)
        Of the same type. A class that nothing maps to has probability 0.

    Raises
    ------
    OptionError
        If maps is not K whole numbers of at least -1, or drops every class.
    DataError
        If pred_probs is no matrix of numbers, or nothing is left of a row.

    Examples
    --------
    >>> merge_probs([[0.25, 0.5, 0.25]], [0, 1, 0])
    array([[0.5, 0.5]])
    >>> merge_probs([[0.25, 0.5, 0.25]], [0, -1, 1])
    array([[0.5, 0.5]])
    """
    matrix = checked_pred_probs(pred_probs)
    targets = np.asarray(maps)
    n_classes = matrix.shape[1]
    if targets.shape != (n_classes,) or targets.dtype.kind not in "iu" or targets.min() < -1:
        raise OptionError(f"maps must be {n_classes} whole numbers of at least -1, got {maps!r}")
    if targets.max() < 0:
        raise OptionError(f"maps must keep at least one class, got {maps!r}")
    kept = np.flatnonzero(targets >= 0)
    kept = kept[np.argsort(targets[kept], kind="stable")]
    into, starts = np.unique(targets[kept], return_index=True)
    merged = np.zeros((len(matrix), targets.max() + 1), dtype=matrix.dtype)
    merged[:, into] = np.add.reduceat(matrix[:, kept], starts, axis=1)
    if len(kept) < n_classes:
        totals = merged.sum(axis=1, keepdims=True)
        empty = np.flatnonzero(~(totals > 0))
        if len(empty):
            raise DataError(
                f"pred_probs has nothing left to scale in {len(empty)} rows, "
                f"for instance row {empty[0]}: all its classes are dropped by maps"
            )
        merged /= totals
    return merged

"""Label quality of tokens and sentences, and which tokens are label issues.

A token is scored as a row of multi-class labels is; thresholds and counts are of all tokens.

Source: Wang, Mueller, "Detecting Label Errors in Token Classification Data" (2022),
arXiv:2210.03920.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core import label_issues
from lq_spark.core.multiclass.scores import METHODS, score_rows
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_class_names, checked_scores
from lq_spark.core.shared.printed import print_tables
from lq_spark.core.shared.segments import offsets_of, places
from lq_spark.core.shared.selection import lowest_first
from lq_spark.core.tokens.sentences import (
    checked_sentences,
    require_sentence_method,
    sentence_scores,
)
from lq_spark.core.tokens.text import flagged_words
from lq_spark.errors import DataError, require_number, require_one_of

if TYPE_CHECKING:
    import pandas as pd


def get_label_quality_scores(
    labels: Sequence[ArrayLike],
    pred_probs: Sequence[ArrayLike],
    *,
    tokens: Sequence[Sequence[str]] | None = None,
    token_score_method: str = "self_confidence",
    sentence_score_method: str = "min",
    sentence_score_kwargs: Mapping[str, Any] = {},
) -> tuple[Float64, list[pd.Series]]:
    """Return the label quality of each sentence and of its tokens: 1 clean, 0 suspect.

    Parameters
    ----------
    labels : sequence of S array-like of int, shape (T_s,)
        Given labels of the tokens of each sentence, each in 0..K-1.
    pred_probs : sequence of S array-like of float, shape (T_s, K)
        Out-of-sample predicted probabilities.
    tokens : sequence of S sequences of str, length T_s, optional
        The words: index of the token scores.
    token_score_method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
        As in :func:`lq_spark.core.multiclass.get_label_quality_scores`.
    sentence_score_method, sentence_score_kwargs
        As in :func:`lq_spark.core.tokens.sentences.require_sentence_method`.

    Returns
    -------
    ndarray of float64, shape (S,)
        The sentence scores, of :func:`lq_spark.core.tokens.sentences.sentence_scores`.
    list of S pandas.Series, length T_s
        The token scores.

    Raises
    ------
    OptionError
        If a method or an argument of it is unknown or out of range.
    DataError
        As in :func:`lq_spark.core.tokens.sentences.checked_sentences`.

    Notes
    -----
    Source: Wang and Mueller (2022), section 3.

    Examples
    --------
    >>> probs = [[[0.75, 0.25], [0.5, 0.5]], [[0.25, 0.75]]]
    >>> sentences, tokens = get_label_quality_scores([[0, 1], [0]], probs)
    >>> sentences
    array([0.5 , 0.25])
    >>> tokens[0].tolist()
    [0.75, 0.5]
    """
    import pandas as pd

    require_one_of("token_score_method", token_score_method, METHODS)
    temperature = require_sentence_method(sentence_score_method, sentence_score_kwargs)
    data = checked_sentences(labels, pred_probs, tokens)
    scores = score_rows(data.labels, data.pred_probs, token_score_method)
    words: Sequence[Any] = [None] * len(labels) if tokens is None else tokens
    per_sentence = np.split(scores, data.offsets[1:-1])
    return (
        sentence_scores(scores, data.offsets, sentence_score_method, temperature),
        [pd.Series(part, index=index) for part, index in zip(per_sentence, words, strict=True)],
    )


def find_label_issues(
    labels: Sequence[ArrayLike],
    pred_probs: Sequence[ArrayLike],
    *,
    return_indices_ranked_by: str = "self_confidence",
    low_memory: bool = False,
    **kwargs: Any,
) -> list[tuple[int, int]]:
    """Return (sentence, token in the sentence) of the tokens with a label issue, worst first.

    Parameters
    ----------
    labels, pred_probs
        As for :func:`get_label_quality_scores`.
    return_indices_ranked_by : str
        A token score method; tokens of equal score are in the order of the data.
    low_memory : bool
        Not used; there for calls written for cleanlab.
    **kwargs
        ``filter_by`` and the other options of
        :func:`lq_spark.core.label_issues.find_label_issues`.

    Raises
    ------
    OptionError
        If an option is unknown, out of range, or not for this rule.
    DataError
        As in :func:`lq_spark.core.tokens.sentences.checked_sentences`, or if all tokens have one
        label and the rule compares classes.

    Notes
    -----
    Source: Wang and Mueller (2022), section 2; the rules are those of multi-class labels.

    Examples
    --------
    >>> probs = [[[0.9, 0.1], [0.8, 0.2], [0.2, 0.8]], [[0.1, 0.9], [0.9, 0.1]]]
    >>> find_label_issues([[0, 0, 1], [1, 1]], probs)
    [(1, 1)]
    """
    require_one_of("return_indices_ranked_by", return_indices_ranked_by, METHODS)
    data = checked_sentences(labels, pred_probs)
    rows = label_issues.find_label_issues(
        data.labels, data.pred_probs, return_indices_ranked_by=return_indices_ranked_by, **kwargs
    )
    return places(np.asarray(rows, dtype=np.int64), data.offsets)


def issues_from_scores(
    sentence_scores: ArrayLike,
    *,
    token_scores: Sequence[ArrayLike] | None = None,
    threshold: float = 0.1,
) -> list[tuple[int, int]] | NDArray[np.int64]:
    """Return what scores below a threshold, lowest first; equal ones in the order of the data.

    Parameters
    ----------
    sentence_scores : array-like of float, shape (S,)
        Label quality of the sentences.
    token_scores : sequence of S array-like of float, optional
        Label quality of their tokens.
    threshold : float
        Scores below it are issues, those equal to it are not.

    Returns
    -------
    list of tuple of int, or ndarray of int64
        With token scores: (sentence, token in the sentence) of tokens; else sentences. All of
        them, where all are below the threshold.

    Raises
    ------
    OptionError
        If the threshold is not a number.
    DataError
        If scores are no numbers, or of different numbers of sentences.

    Examples
    --------
    >>> issues_from_scores([0.5, 0.08, 0.02])
    array([2, 1])
    >>> issues_from_scores([0.5, 0.02], token_scores=[[0.5, 0.75], [0.02, 0.5]])
    [(1, 0)]
    """
    require_number("threshold", threshold)
    per_sentence = checked_scores("sentence_scores", sentence_scores)
    if token_scores is None:
        return lowest_first(np.flatnonzero(per_sentence < threshold), per_sentence)
    if len(token_scores) != len(per_sentence):
        raise DataError(
            f"sentence_scores has {len(per_sentence)} sentences, "
            f"token_scores has {len(token_scores)}"
        )
    arrays = [np.asarray(scores, dtype=np.float64) for scores in token_scores]
    flat = np.concatenate([np.zeros(0), *arrays])
    low = lowest_first(np.flatnonzero(flat < threshold), flat)
    return places(low, offsets_of(len(array) for array in arrays))


def common_label_issues(
    issues: Sequence[tuple[int, int]],
    tokens: Sequence[Sequence[str]],
    *,
    labels: Sequence[ArrayLike] | None = None,
    pred_probs: Sequence[ArrayLike] | None = None,
    class_names: Sequence[str] | None = None,
    top: int = 10,
    exclude: Collection[tuple[int, int]] = (),
    verbose: bool = True,
) -> pd.DataFrame:
    """Return a table of the words that most often have a label issue.

    Parameters
    ----------
    issues : sequence of (sentence, token in the sentence)
        As from :func:`find_label_issues`.
    tokens : sequence of S sequences of str
        The words.
    labels, pred_probs : optional
        As for :func:`get_label_quality_scores`; with both of them a word is counted by given and
        predicted class.
    class_names : sequence of str, length K, optional
        Put into the table in place of class indices.
    exclude : collection of (given, predicted) pairs of class indices
        Issues that do not count, where classes are known.
    top : int
        How many words to print.
    verbose : bool
        Whether to print the table's rows of the words that have most issues.

    Returns
    -------
    pandas.DataFrame
        "token", "num_label_issues" and between them, with labels and pred_probs, "given_label",
        "predicted_label"; most issues first, equal ones in the order of the words' first issues,
        then of the classes.

    Raises
    ------
    OptionError
        If class_names has another length than K.
    DataError
        If an issue is of no token; else as in
        :func:`lq_spark.core.tokens.sentences.checked_sentences`.

    Examples
    --------
    >>> words = [["in", "May"], ["May"]]
    >>> common_label_issues([(0, 1), (1, 0), (0, 0)], words, verbose=False)
      token  num_label_issues
    0   May                 2
    1    in                 1
    """
    import pandas as pd

    words = flagged_words(issues, tokens)
    codes = {word: code for code, word in enumerate(dict.fromkeys(words))}
    vocabulary = np.array(list(codes), dtype=object)
    columns = [np.array([codes[word] for word in words], dtype=np.int64)]
    names = None
    if labels is not None and pred_probs is not None:
        data = checked_sentences(labels, pred_probs, tokens)
        rows = np.array([data.offsets[s] + t for s, t in issues], dtype=np.int64)
        columns += [data.labels[rows], data.pred_probs[rows].argmax(axis=1)]
        names = _class_names(class_names, data.pred_probs.shape[1])
    groups, counts = np.unique(np.column_stack(columns), axis=0, return_counts=True)
    excluded = {tuple(pair) for pair in exclude}
    kept = np.array([tuple(pair) not in excluded for pair in groups[:, 1:].tolist()], dtype=bool)
    order = np.flatnonzero(kept)[np.argsort(-counts[kept], kind="stable")]
    table: dict[str, Any] = {"token": vocabulary[groups[order, 0]]}
    if names is not None:
        table["given_label"], table["predicted_label"] = names[groups[order, 1:].T]
    found = pd.DataFrame({**table, "num_label_issues": counts[order]})
    if verbose and len(found):
        totals = found.groupby("token", sort=False)["num_label_issues"].sum()
        most = totals.sort_values(ascending=False, kind="stable").index[:top]
        print_tables({"Words with most label issues": found[found["token"].isin(most)]})
    return found


def _class_names(class_names: Sequence[str] | None, n_classes: int) -> NDArray[Any]:
    if class_names is None:
        return np.arange(n_classes)
    return checked_class_names(class_names, n_classes)

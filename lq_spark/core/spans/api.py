"""Label quality of spans of one kind: a token is in a span (1) or not (0).

Tokens of two classes, where the model says P(token in span) alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core import tokens
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def get_label_quality_scores(
    labels: Sequence[ArrayLike], pred_probs: Sequence[ArrayLike], **kwargs: Any
) -> tuple[Float64, list[pd.Series]]:
    """Return the label quality of each sentence and of its tokens: 1 clean, 0 suspect.

    Parameters
    ----------
    labels : sequence of S array-like of int, shape (T_s,)
        1 for the tokens of a span, 0 for the others.
    pred_probs : sequence of S array-like of float, shape (T_s,)
        Out-of-sample predicted probability that the token is in a span.
    **kwargs
        Options of :func:`lq_spark.core.tokens.get_label_quality_scores`.

    Returns
    -------
    ndarray of float64, shape (S,), and list of S pandas.Series
        As from that function.

    Raises
    ------
    OptionError, DataError
        As that function.

    Examples
    --------
    >>> sentences, tokens = get_label_quality_scores([[0, 1], [1]], [[0.25, 0.5], [0.125]])
    >>> sentences
    array([0.5  , 0.125])
    """
    return tokens.get_label_quality_scores(labels, two_classes(pred_probs), **kwargs)


def find_label_issues(
    labels: Sequence[ArrayLike], pred_probs: Sequence[ArrayLike], **kwargs: Any
) -> list[tuple[int, int]]:
    """Return (sentence, token in the sentence) of the tokens with a label issue, worst first.

    Parameters
    ----------
    labels, pred_probs
        As for :func:`get_label_quality_scores`.
    **kwargs
        Options of :func:`lq_spark.core.tokens.find_label_issues`.

    Raises
    ------
    OptionError, DataError
        As that function.

    Examples
    --------
    >>> find_label_issues([[0, 0, 1], [1, 1]], [[0.1, 0.2, 0.8], [0.9, 0.1]])
    [(1, 1)]
    """
    return tokens.find_label_issues(labels, two_classes(pred_probs), **kwargs)


def two_classes(pred_probs: Sequence[ArrayLike]) -> list[NDArray[np.floating]]:
    """Return P(not in span), P(in span) of each token: S arrays of shape (T_s, 2).

    Raises
    ------
    DataError
        If the probabilities of a sentence are not a 1-D array of numbers.

    Examples
    --------
    >>> two_classes([[0.25, 1.0]])
    [array([[0.75, 0.25],
           [0.  , 1.  ]])]
    """
    arrays = []
    for s, sentence in enumerate(pred_probs):
        inside = np.asarray(sentence)
        if inside.ndim != 1 or inside.dtype.kind not in "fiu":
            raise DataError(
                f"pred_probs of sentence {s} must be a 1-D array of P(token in span), "
                f"got shape {inside.shape} of {inside.dtype}"
            )
        # Where P(in span) exceeds 1, it is that value which is refused, not its complement.
        arrays.append(np.column_stack([np.maximum(1.0 - inside, 0.0), inside]))
    return arrays

"""Sentences as arrays: the values of all tokens and offsets; a sentence's score from its tokens'.

Source: Wang, Mueller, "Detecting Label Errors in Token Classification Data" (2022),
arXiv:2210.03920, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import FAULT_REASONS, RowFault, checked_pred_probs, row_faults
from lq_spark.core.shared.segments import minima, offsets_of, places, softmins
from lq_spark.errors import DataError, OptionError, closest, require_number, require_one_of

SENTENCE_METHODS: Final = ("min", "softmin")

DEFAULT_TEMPERATURE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Sentences:
    """The tokens of all sentences, sentence after sentence.

    Attributes
    ----------
    labels : ndarray of int64, shape (n,)
    pred_probs : ndarray of float, shape (n, K)
    offsets : ndarray of int64, shape (S + 1,)
        Sentence s has the tokens ``offsets[s]`` to ``offsets[s + 1] - 1``.
    """

    labels: NDArray[np.int64]
    pred_probs: NDArray[np.floating]
    offsets: NDArray[np.int64]


def require_sentence_method(method: str, kwargs: Mapping[str, Any]) -> float:
    """Return the temperature of a sentence score, 0.0 for "min".

    Parameters
    ----------
    method : {"min", "softmin"}
        The sentence score.
    kwargs : mapping
        Its further arguments: for "softmin" the temperature, a number from 0 (the minimum) to
        infinity (the mean), 0.05 if not given; none for "min".

    Raises
    ------
    OptionError
        If the method or an argument is unknown, or the temperature is no number of at least 0.

    Examples
    --------
    >>> require_sentence_method("softmin", {})
    0.05
    """
    require_one_of("sentence_score_method", method, SENTENCE_METHODS)
    allowed = ("temperature",) if method == "softmin" else ()
    unknown = [str(key) for key in kwargs if key not in allowed]
    if unknown:
        takes = "'temperature' alone" if allowed else "no argument"
        raise OptionError(
            f"sentence_score_kwargs for {method!r} takes {takes}, "
            f"got {unknown[0]!r}{closest(unknown[0], allowed)}"
        )
    temperature = kwargs.get("temperature", DEFAULT_TEMPERATURE if allowed else 0.0)
    return require_number("temperature", temperature, 0.0)


def sentence_scores(
    token_scores: NDArray[np.floating],
    offsets: NDArray[np.integer],
    method: str = "min",
    temperature: float = DEFAULT_TEMPERATURE,
) -> Float64:
    """Return the label quality of each sentence: 1 clean, 0 suspect.

    Parameters
    ----------
    token_scores : ndarray of float, shape (n,)
        Label quality of the tokens, sentence after sentence.
    offsets : ndarray of int, shape (S + 1,)
        As in :class:`Sentences`; the first need not be 0.
    method : {"min", "softmin"}
        "min": the lowest score of the sentence. "softmin": the mean of its scores s, weighted by
        ``softmax((1 - s) / temperature)``.
    temperature : float
        Of "softmin": 0 is the minimum, infinity the mean; between 0 and 1e-6 it is taken as 1e-6.

    Returns
    -------
    ndarray of float64, shape (S,)
        The score of a sentence does not depend on the others, to the bit. A sentence without
        tokens scores 1, where cleanlab raises.

    Notes
    -----
    Source: Wang and Mueller (2022), section 3.

    Examples
    --------
    >>> sentence_scores(np.array([0.5, 0.75, 0.25]), np.array([0, 2, 2, 3]))
    array([0.5 , 1.  , 0.25])
    """
    if method == "min" or temperature == 0:
        return minima(token_scores, offsets)
    return softmins(token_scores, offsets, temperature)


def checked_sentences(
    labels: Sequence[ArrayLike],
    pred_probs: Sequence[ArrayLike],
    tokens: Sequence[Sequence[str]] | None = None,
) -> Sentences:
    """Return nested lists as arrays.

    Parameters
    ----------
    labels : sequence of S array-like of int, shape (T_s,)
        Given labels of each sentence, each in 0..K-1.
    pred_probs : sequence of S array-like of float, shape (T_s, K)
        Out-of-sample predicted probabilities.
    tokens : sequence of S sequences of str, length T_s, optional
        Checked for their number alone.

    Raises
    ------
    DataError
        Naming the first bad sentence, if numbers of sentences, tokens or classes differ, there is
        no token at all, or a token cannot be scored (as in multi-class label quality).

    Examples
    --------
    >>> checked_sentences([[0], [1, 0]], [[[0.5, 0.5]], [[0.5, 0.5], [1.0, 0.0]]]).offsets
    array([0, 1, 3])
    """
    given = _per_sentence("labels", labels, 1, "biuf")
    probs = _per_sentence("pred_probs", pred_probs, 2, "fiu")
    lengths = [len(array) for array in given]
    _require_lengths("pred_probs", probs, lengths)
    if tokens is not None:
        _require_lengths("tokens", tokens, lengths)
    if not any(lengths):
        raise DataError(f"labels must have at least one token, got {len(lengths)} empty sentences")
    _require_same_classes(probs)
    # Without the empty ones: numpy takes an empty list for floats of shape (0,).
    flat = np.concatenate([array for array in given if len(array)])
    matrix = checked_pred_probs(np.concatenate([array for array in probs if len(array)]))
    offsets = offsets_of(lengths)
    with np.errstate(invalid="ignore"):
        whole = flat.astype(np.int64)
    bad = np.flatnonzero(whole != flat)
    if len(bad):
        raise _unfit(bad, offsets, f"label {flat[bad[0]]} is no whole number")
    faults = row_faults(whole, matrix)
    bad = np.flatnonzero(faults)
    if len(bad):
        reason = FAULT_REASONS[RowFault(faults[bad[0]])]
        raise _unfit(bad, offsets, f"{reason} (pred_probs has K = {matrix.shape[1]} classes)")
    return Sentences(whole, matrix, offsets)


def _per_sentence(
    name: str, nested: Sequence[ArrayLike], ndim: int, kinds: str
) -> list[NDArray[Any]]:
    arrays = []
    for s, sentence in enumerate(nested):
        try:
            array = np.asarray(sentence)
        except ValueError:  # rows of different lengths
            array = np.asarray(sentence, dtype=object)
        if array.shape != (0,) and (array.ndim != ndim or array.dtype.kind not in kinds):
            raise DataError(
                f"{name} of sentence {s} must be a {ndim}-D array of numbers, "
                f"got shape {array.shape} of {array.dtype}"
            )
        arrays.append(array)
    return arrays


def _require_lengths(name: str, nested: Sequence[Sized], lengths: Sequence[int]) -> None:
    if len(nested) != len(lengths):
        raise DataError(f"labels has {len(lengths)} sentences, {name} has {len(nested)}")
    for s, (sentence, length) in enumerate(zip(nested, lengths, strict=True)):
        if isinstance(sentence, str):
            raise DataError(f"{name} of sentence {s} must be a list of words, got {sentence!r}")
        if len(sentence) != length:
            raise DataError(f"sentence {s}: labels has {length} tokens, {name} has {len(sentence)}")


def _require_same_classes(probs: Sequence[NDArray[Any]]) -> None:
    filled = [(s, array.shape[1]) for s, array in enumerate(probs) if len(array)]
    first, n_classes = filled[0]
    for s, width in filled:
        if width != n_classes:
            raise DataError(
                f"pred_probs of sentence {s} has {width} classes, of sentence {first} {n_classes}"
            )


def _unfit(bad: NDArray[np.int64], offsets: NDArray[np.int64], reason: str) -> DataError:
    sentence, token = places(bad[:1], offsets)[0]
    return DataError(
        f"sentence {sentence}, token {token}: {reason}; {len(bad)} unusable tokens in all"
    )

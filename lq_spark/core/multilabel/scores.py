"""The label quality of cells and of rows with sets of labels, checked before: 1 clean, 0 suspect.

Source: Thyagarajan, Snorrason, Northcutt, Mueller, "Identifying Incorrect Annotations in
Multi-Label Classification Data" (2022), arXiv:2211.13895.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.multilabel.sets import Bits
from lq_spark.core.shared.blocks import Float64, float64_blocks, row_sums
from lq_spark.core.shared.segments import softmins
from lq_spark.errors import DataError, OptionError, closest, listed, require_number

DEFAULT_ALPHA: Final = 0.8

DEFAULT_AGGREGATOR: Final[Mapping[str, Any]] = {
    "method": "exponential_moving_average",
    "alpha": DEFAULT_ALPHA,
}

AGGREGATORS: Final = {"exponential_moving_average": "alpha", "softmin": "temperature"}
"""The ways to make one score of a row's K, and the one number that each takes."""

DEFAULT_TEMPERATURE: Final = 0.1

Aggregator = Callable[[Float64], Float64]
"""Class scores (n, K) -> row scores (n,)."""


def self_confidence(is_given: Bits, pred_probs: NDArray[np.floating]) -> Float64:
    """Return p of the classes that a row is given, 1 - p of the others: shapes (n, K)."""
    # 0 + p or 1 - p, both exact: several times as fast as choosing one of the two.
    given = is_given.astype(np.float64)
    confidence: Float64 = (2.0 * given - 1.0) * pred_probs.astype(np.float64, copy=False)
    confidence += 1.0 - given
    return confidence


def score_cells(
    is_given: Bits,
    pred_probs: NDArray[np.floating],
    method: str,
    thresholds: Float64 | None = None,
) -> Float64:
    """Return the label quality of each cell, shape (n, K).

    It is that of :func:`lq_spark.core.multiclass.scores.score_rows` in the cell's binary problem,
    whose thresholds are ``thresholds``, shape (K, 2): of the class as absent, as present.
    """
    scores = np.empty(pred_probs.shape, dtype=np.float64)
    for rows, block in float64_blocks(pred_probs):
        given = is_given[rows]
        if method == "self_confidence" and thresholds is None:  # the same, several times as fast
            scores[rows] = self_confidence(given, block)
            continue
        binary = np.stack([1.0 - block, block], axis=-1).reshape(-1, 2)
        of_cells = None if thresholds is None else np.tile(thresholds, (len(block), 1))
        labels = given.ravel().astype(np.int64)
        scores[rows] = score_rows(labels, binary, method, of_cells).reshape(block.shape)
    return scores


def moving_averages(scores: Float64, alpha: float | None = None) -> Float64:
    """Return the exponential moving average of each row's scores, from the highest to the lowest.

    Parameters
    ----------
    scores : ndarray of float64, shape (n, K)
        Label quality of each class.
    alpha : float, optional
        Weight of the lowest score, 0 to 1: 1 is the minimum, 0 the maximum. 2 / (K + 1) if None.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``e_1 = s_1, e_k = alpha s_k + (1 - alpha) e_(k-1)`` of the scores in descending order.

    Examples
    --------
    >>> moving_averages(np.array([[1.0, 0.5], [0.25, 0.75]]), alpha=0.8)
    array([0.6 , 0.35])
    """
    n_classes = scores.shape[1]
    weight = 2.0 / (n_classes + 1) if alpha is None else alpha
    # The average unrolled: the lowest score has weight alpha, each next one (1 - alpha) times it.
    weights = (1.0 - weight) ** np.arange(n_classes, dtype=np.float64)
    weights[:-1] *= weight
    averages = np.empty(len(scores), dtype=np.float64)
    for rows, block in float64_blocks(scores):
        block.sort(axis=1)
        block *= weights
        averages[rows] = row_sums(block)
    return averages


def aggregator_of(kwargs: Mapping[str, Any]) -> Aggregator:
    """Return the function that makes one score of a row's K.

    Parameters
    ----------
    kwargs : mapping
        ``{"method": "exponential_moving_average", "alpha": 0.8}`` (see :func:`moving_averages`),
        ``{"method": "softmin", "temperature": 0.1}`` (see
        :func:`lq_spark.core.shared.segments.softmins`), or as method a function of the class scores
        (n, K) and the further entries that gives n numbers; it is called with ``axis=1`` if it
        takes an axis and none is given. An empty mapping is the first.

    Raises
    ------
    OptionError
        If the method or an argument of it is unknown, or its number is out of range.

    Examples
    --------
    >>> aggregator_of({"method": "softmin", "temperature": 0})(np.array([[1.0, 0.5]]))
    array([0.5])
    >>> aggregator_of({"method": np.min})(np.array([[1.0, 0.5]]))
    array([0.5])
    """
    arguments = dict(kwargs or DEFAULT_AGGREGATOR)
    method = arguments.pop("method", None)
    if callable(method):
        return _checked_function(method, arguments)
    if method not in AGGREGATORS:
        hint = closest(str(method), AGGREGATORS)
        raise OptionError(
            f"aggregator_kwargs: method must be one of {listed(AGGREGATORS)} or a function, "
            f"got {method!r}{hint}"
        )
    name = AGGREGATORS[method]
    unknown = [key for key in arguments if key != name]
    if unknown:
        raise OptionError(
            f"aggregator_kwargs: {method!r} takes {name!r} alone, got {unknown[0]!r}"
            f"{closest(str(unknown[0]), [name])}"
        )
    number = arguments.get(name)
    if method == "exponential_moving_average":
        if number is not None:
            require_number(name, number, 0.0, 1.0)
        return lambda scores: moving_averages(scores, number)
    temperature = require_number(name, arguments.get(name, DEFAULT_TEMPERATURE), 0.0)
    return lambda scores: _softmins_of_rows(scores, temperature)


def _softmins_of_rows(scores: Float64, temperature: float) -> Float64:
    n_rows, n_classes = scores.shape
    flat = np.ascontiguousarray(scores).ravel()
    return softmins(flat, np.arange(n_rows + 1) * n_classes, temperature)


def _takes_axis(method: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(method).parameters.values()
    except ValueError:  # compiled, without a signature: as numpy's reductions
        return True
    return any(p.name == "axis" or p.kind is p.VAR_KEYWORD for p in parameters)


def _checked_function(method: Callable[..., Any], arguments: Mapping[str, Any]) -> Aggregator:
    if "axis" not in arguments and _takes_axis(method):
        arguments = {**arguments, "axis": 1}

    def run(scores: Float64) -> Float64:
        result = np.asarray(method(scores, **arguments), dtype=np.float64)
        if result.shape != (len(scores),):
            raise DataError(
                f"aggregator_kwargs: the function gave an array of shape {result.shape} for "
                f"{len(scores)} rows; one number a row is needed"
            )
        return result

    return run

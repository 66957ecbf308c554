"""Which share of the rows to leave out as label errors, and how far predictions spread.

Source: Zhou, Mueller, Kumar, Wang, Lei, "Detecting Errors in Numerical Data via any Regression
Model", DMLR (2024), arXiv:2305.16583: models are trained without the rows whose residuals are
largest, and the share that is left out is the one whose models predict all labels best.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import OptionError, require_number

COARSE: Final = (0.01, 0.05, 0.1, 0.15, 0.2)
"""The shares that are tried first."""

FINE: Final = 3
"""How many shares are tried on each side of the best of these."""


def checked_shares(option: str, shares: object) -> tuple[float, ...]:
    """Return the different shares to try, the lowest first.

    Raises
    ------
    OptionError
        If there are none, or one is no number between 0 and 1.

    Examples
    --------
    >>> checked_shares("coarse_search_range", [0.2, 0.05, 0.2])
    (0.05, 0.2)
    """
    if isinstance(shares, (str, bytes)) or not isinstance(shares, Iterable):
        raise OptionError(f"{option} must be a list of numbers, got {shares!r}")
    found = sorted({require_number(f"{option}: each", share) for share in shares})
    if not found:
        raise OptionError(f"{option} is empty; it must have at least one number")
    for share in found:
        if not 0.0 < share < 1.0:
            raise OptionError(f"{option}: each must be above 0 and below 1, got {share!r}")
    return tuple(found)


def fine_shares(coarse: Sequence[float], best: float, size: int) -> tuple[float, ...]:
    """Return the shares to try around the best one: so many between it and each of its neighbours.

    They are equally spaced. One at an end has one neighbour, a single one has none.

    Parameters
    ----------
    coarse : sequence of float
        Different ones, the lowest first.
    best : float
        One of them.
    size : int

    Examples
    --------
    >>> fine_shares([0.01, 0.05, 0.1], 0.05, size=3)
    (0.02, 0.03, 0.04, 0.0625, 0.075, 0.0875)
    >>> fine_shares([0.01, 0.05, 0.1], 0.1, size=1)
    (0.075,)
    """
    # As they are written: 0.03 is not to become 0.030000000000000002, of which a row more is left.
    points = [Fraction(repr(share)) for share in coarse]
    place = list(coarse).index(best)
    return tuple(
        float(low + (high - low) * Fraction(step, size + 1))
        for low, high in itertools.pairwise(points)
        if points[place] in (low, high)
        for step in range(1, size + 1)
    )


def best_share(r_squared: Mapping[float, float]) -> float:
    """Return the share whose models have the highest R²; of equal ones the first.

    >>> best_share({0.01: 0.7, 0.05: 0.9, 0.1: 0.9})
    0.05
    """
    return max(r_squared, key=r_squared.__getitem__)


def chosen_share(
    initial: float, coarse: Mapping[float, float], fine: Mapping[float, float]
) -> float:
    """Return the share of rows to leave out: 0 unless models without some predict better.

    Parameters
    ----------
    initial : float
        R² of models that were trained with all rows.
    coarse, fine : mapping of float to float
        R² of those that were trained without a share of them. Of equal ones a fine one is taken.

    Examples
    --------
    >>> chosen_share(0.5, {0.05: 0.8, 0.1: 0.6}, {0.02: 0.7, 0.06: 0.8})
    0.06
    >>> chosen_share(0.8, {0.05: 0.8}, {})
    0.0
    """
    share, highest = best_share(coarse), max(coarse.values())
    if fine and max(fine.values()) >= highest:
        share, highest = best_share(fine), max(fine.values())
    return share if highest > initial else 0.0


def epistemic_uncertainty(predictions: NDArray[np.floating]) -> Float64:
    """Return how far the predictions of each row spread, in the labels' unit, shape (n,).

    The population standard deviation.

    Parameters
    ----------
    predictions : ndarray of float64, shape (n, m)
        By m models that were trained with other rows each.

    Examples
    --------
    >>> epistemic_uncertainty(np.array([[1.0, 3.0], [2.0, 2.0]]))
    array([1., 0.])
    """
    spread: Float64 = np.std(np.ascontiguousarray(predictions), axis=1)
    return spread

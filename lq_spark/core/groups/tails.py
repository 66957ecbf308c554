"""How probable a t statistic is, and how probable the least of many are: p-values."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.selection import lowest

CORRECTIONS: Final = ("holm", "benjamini_hochberg")
"""What is kept below a level: the chance that any group is flagged wrongly, or the share of the
flagged ones that are expected to be."""

_NEARLY_NORMAL: Final = 1e5
"""From so many degrees of freedom on, a transformed t is normal, to seven digits at least."""

_MOST_TERMS: Final = 10_000
"""Of the continued fraction, which takes about the root of the degrees of freedom."""


def lower_tail(t: float, freedom: float) -> float:
    """Return the probability of at most t, of Student's distribution.

    Parameters
    ----------
    t : float
    freedom : float
        Degrees of freedom, above 0; need not be whole.

    Notes
    -----
    Source: NIST Digital Library of Mathematical Functions, 8.17.22, evaluated by Lentz's method;
    for many degrees of freedom Wallace, "Bounds on normal approximations to Student's and the
    chi-square distributions", Ann. Math. Statist. 30 (1959).

    Examples
    --------
    >>> round(lower_tail(-2.0, 10.0), 6), lower_tail(0.0, 3.0)
    (0.036694, 0.5)
    """
    squared = t * t / freedom
    if freedom > _NEARLY_NORMAL:
        z = math.sqrt(freedom * math.log1p(squared)) * (8 * freedom + 1) / (8 * freedom + 3)
        outer = math.erfc(z / math.sqrt(2.0)) / 2.0
    else:
        outer = _incomplete_beta(squared, freedom / 2.0) / 2.0
    return outer if t < 0 else 1.0 - outer


def adjusted(p_values: Float64, correction: str) -> Float64:
    """Return p-values that may be compared with one level, however many they are, shape (m,).

    Parameters
    ----------
    p_values : ndarray of float64, shape (m,)
    correction : {"holm", "benjamini_hochberg"}

    Notes
    -----
    Source: Holm, Scand. J. Statist. 6 (1979); Benjamini, Hochberg, J. R. Statist. Soc. B 57 (1995).

    Examples
    --------
    >>> adjusted(np.array([0.5, 0.01, 0.02]), "holm")
    array([0.5 , 0.03, 0.04])
    >>> adjusted(np.array([0.5, 0.01, 0.02]), "benjamini_hochberg")
    array([0.5 , 0.03, 0.03])
    """
    order = lowest(p_values)
    ordered, ranks = p_values[order], np.arange(len(order))
    if correction == "holm":
        steps = np.maximum.accumulate(ordered * (len(order) - ranks))
    else:
        upward = ordered * len(order) / (ranks + 1)
        steps = np.minimum.accumulate(upward[::-1])[::-1]
    found: NDArray[np.float64] = np.empty(len(order))
    found[order] = np.minimum(steps, 1.0)
    return found


def _incomplete_beta(squared: float, a: float) -> float:
    """Return the regularized incomplete beta function I_x(a, 1/2) at x = 1 / (1 + squared)."""
    if squared == 0.0:
        return 1.0
    x, rest, b = 1.0 / (1.0 + squared), squared / (1.0 + squared), 0.5
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        - a * math.log1p(squared) + b * math.log(rest)
    )  # fmt: skip
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(x, a, b) / a
    return 1.0 - front * _beta_fraction(rest, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function."""
    value = c = 1.0
    d = 0.0
    for term in range(1, _MOST_TERMS):
        m, is_odd = divmod(term, 2)
        if is_odd:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / (1.0 + numerator * d)
        c = 1.0 + numerator / c
        value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return 1.0 / value

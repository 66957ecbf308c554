"""Random numbers of a given sum, each between two bounds."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64

_ROUNDS: Final = 6
"""So many times the logarithm of n, numbers share their sums anew."""


def bounded_shares(rng: np.random.Generator, total: float, low: Float64, high: Float64) -> Float64:
    """Return random numbers of a sum, each between its bounds, evenly of all there are; shape (n,).

    They are a point of a simplex where only the low bounds, or only the high ones, can be reached.
    Else two and two of them, drawn at random, share their sum anew, a few times over (Gibbs
    sampling), which leaves a uniform distribution as it is.

    Parameters
    ----------
    rng : numpy.random.Generator
    total : float
        From the sum of ``low`` to that of ``high``.
    low, high : ndarray of float64, shape (n,)
    """
    n, room = len(low), high - low
    all_room = float(room.sum())
    if not all_room > 0.0:
        return low.copy()
    free = min(max(total - float(low.sum()), 0.0), all_room)
    if free <= room.min():
        return np.clip(low + rng.dirichlet(np.ones(n)) * free, low, high)
    if all_room - free <= room.min():
        return np.clip(high - rng.dirichlet(np.ones(n)) * (all_room - free), low, high)
    shares = low + room * (free / all_room)
    for _ in range(_ROUNDS * n.bit_length()):
        order = rng.permutation(n)
        one, other = order[: n // 2], order[n // 2 : n // 2 * 2]
        both = shares[one] + shares[other]
        least = np.maximum(low[one], both - high[other])
        most = np.maximum(np.minimum(high[one], both - low[other]), least)
        shares[one] = least + rng.random(len(one)) * (most - least)
        shares[other] = both - shares[one]
    return np.clip(shares, low, high)


def rounded_to_sum(values: Float64, total: int) -> NDArray[np.int64]:
    """Return whole numbers of a sum, each next to its value: of the largest remainders the higher.

    >>> rounded_to_sum(np.array([0.6, 1.7, 0.7]), 3)
    array([0, 2, 1])
    """
    whole = np.floor(values)
    up = int(total - whole.sum())
    order = np.argsort(whole - values, kind="stable")
    whole[order[:up]] += 1
    return whole.astype(np.int64)

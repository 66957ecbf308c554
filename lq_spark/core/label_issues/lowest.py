"""The lowest margins of each pair of classes, counted: states that merge, whatever the order.

A state has no more entries than rows are wanted in all, and says of each pair where its n-th lowest
margin lies. Margins that equal the n-th are counted, so nothing but the margin is needed of a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.label_issues.margins import LowMargins
from lq_spark.core.shared.blocks import Float64

_MIN_PENDING = 1 << 17
"""At least so many margins are sorted into a state at once."""


class CountedValues(NamedTuple):
    """Values of groups with their numbers, ordered by group and value: arrays of shape (n,).

    Attributes
    ----------
    group : ndarray of int64
    value : ndarray of float64
    n : ndarray of int64
        How often the group has the value.
    """

    group: NDArray[np.int64]
    value: Float64
    n: NDArray[np.int64]


class NthLowest(NamedTuple):
    """Where the n-th lowest value of each group lies: arrays of shape (number of groups,).

    Attributes
    ----------
    is_met : ndarray of bool
        Whether the group has n values; for the others there is no more to say.
    value : ndarray of float64
    n_below, n_equal : ndarray of int64
        How many values of the group are below the n-th, and how many are equal to it.
    """

    is_met: NDArray[np.bool_]
    value: Float64
    n_below: NDArray[np.int64]
    n_equal: NDArray[np.int64]


def counted_lowest(parts: Iterable[CountedValues], quotas: NDArray[np.int64]) -> CountedValues:
    """Return the values of all parts up to the ``quotas[g]``-th lowest of each group g.

    Examples
    --------
    >>> part = CountedValues(np.array([0, 0, 1]), np.array([0.5, 0.25, 0.5]), np.array([1, 2, 1]))
    >>> counted_lowest([part, part], np.array([3, 5]))[1:]
    (array([0.25, 0.5 ]), array([4, 2]))
    """
    group, value, count = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(value)  # of equal values each is as good as the others
    # Few groups fit 16 bits, which NumPy sorts in linear time.
    small = np.uint16 if len(quotas) <= np.iinfo(np.uint16).max else np.int64
    order = order[np.argsort(group[order].astype(small), kind="stable")]
    group, value, count = group[order], value[order], count[order]
    is_first = np.ones(len(group), dtype=bool)
    is_first[1:] = (group[1:] != group[:-1]) | (value[1:] != value[:-1])
    firsts = np.flatnonzero(is_first)
    group, value = group[firsts], value[firsts]
    count = np.add.reduceat(count, firsts) if len(firsts) else count
    wanted = _before(group, count, len(quotas)) < quotas[group]
    return CountedValues(group[wanted], value[wanted], count[wanted])


def nth_of_counted(lowest: CountedValues, quotas: NDArray[np.int64]) -> NthLowest:
    """Return where the n-th lowest values lie, of what :func:`counted_lowest` gave for them."""
    n_groups = len(quotas)
    last = np.flatnonzero(np.diff(lowest.group, append=-1))
    group = lowest.group[last]
    before = _before(lowest.group, lowest.n, n_groups)[last]
    value, n_below, n_equal = np.full(n_groups, -np.inf), *np.zeros((2, n_groups), dtype=np.int64)
    value[group], n_below[group], n_equal[group] = lowest.value[last], before, lowest.n[last]
    return NthLowest(n_below + n_equal >= quotas, value, n_below, n_equal)


def _before(group: NDArray[np.int64], count: NDArray[np.int64], n_groups: int) -> NDArray[np.int64]:
    """Return how many values of its own group are before each entry."""
    up_to = np.concatenate([[0], np.cumsum(count)])
    starts = np.searchsorted(group, np.arange(n_groups))
    before: NDArray[np.int64] = up_to[:-1] - up_to[starts[group]]
    return before


class LowestMargins:
    """The lowest margins of the rows that it was given: states that merge.

    Rows are looked at when they meet those before them, whose margins say how few of theirs count.

    Parameters
    ----------
    low : LowMargins
        The limits of margins that are looked at.
    quotas : ndarray of int64, shape (m,)
        How many margins are wanted of each pair.
    labels, pred_probs : ndarray
        Rows, shapes (n,) and (n, K).
    """

    def __init__(
        self,
        low: LowMargins,
        quotas: NDArray[np.int64],
        labels: NDArray[np.integer],
        pred_probs: NDArray[np.floating],
    ) -> None:
        self._low, self._quotas = low, quotas
        self._highest = low.limits
        self._rows = [(labels, pred_probs)]
        self._parts: list[CountedValues] = []
        self._n_entries = 0
        self._enough = max(_MIN_PENDING, int(quotas.sum()))

    def merge(self, other: LowestMargins) -> LowestMargins:
        """Return this state with what the other has seen."""
        self._look()
        self._rows = other._rows
        self._look()
        for part in other._parts:
            self._add(part)
        return self

    def result(self) -> CountedValues:
        """Return the lowest margins of each pair, up to its quota, counted."""
        self._look()
        return self._settled()

    def _look(self) -> None:
        rows, self._rows = self._rows, []
        for labels, pred_probs in rows:
            step = max(1, self._enough // max(pred_probs.shape[1], 1))
            for at in range(0, len(labels), step):
                found = self._low.find(labels[at : at + step], pred_probs[at : at + step])
                once = np.ones(len(found.pair), dtype=np.int64)
                self._add(CountedValues(found.pair, found.margin, once))

    def _add(self, part: CountedValues) -> None:
        self._parts.append(part)
        self._n_entries += len(part.group)
        if self._n_entries > 2 * self._enough:
            lowest = self._settled()
            self._parts, self._n_entries = [lowest], len(lowest.group)
            nth = nth_of_counted(lowest, self._quotas)
            limits = np.where(nth.is_met, nth.value, self._highest)
            self._low = replace(self._low, limits=limits)

    def _settled(self) -> CountedValues:
        nothing = CountedValues(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
        return counted_lowest([nothing, *self._parts], self._quotas)

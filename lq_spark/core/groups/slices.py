"""Which groups of rows have lower label quality than the rest: Welch's test on exact sums.

Label quality is taken in units of 2^-30, nine digits, so that its sums and those of its squares are
whole numbers: what is tested does not depend on how the rows are split, the rest of a group is all
rows less its own, without rounding, and equal qualities have no spread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.groups.sums import GroupSums, partial_group_sums
from lq_spark.core.groups.tails import CORRECTIONS, adjusted, lower_tail
from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.core.shared.checks import checked_scores
from lq_spark.core.shared.exact import SCALE_BITS
from lq_spark.errors import DataError, require_number, require_one_of, require_whole_number

ALPHA: Final = 0.05
"""Below which adjusted p-value a group is worse than the rest."""

MIN_ROWS: Final = 30
"""Groups of fewer rows are not tested: their means need not be nearly normal."""


@dataclass(frozen=True, slots=True)
class GroupTests:
    """Each tested group beside the rest of the rows, worst first: arrays of shape (G,).

    First the worse groups, then the others, those with the lowest difference first.

    Attributes
    ----------
    groups : ndarray
    counts : ndarray of int64
        Rows of the group.
    means, rest_means : ndarray of float64
        Mean label quality of the group and of all other rows: 1 clean, 0 suspect.
    differences : ndarray of float64
        The first less the second: how much worse, below 0, or better a group is.
    p_values : ndarray of float64
        How probable so low a difference is if the group is like the rest.
    adjusted_p_values : ndarray of float64
        Corrected for the number of groups.
    is_worse : ndarray of bool
    """

    groups: NDArray[Any]
    counts: NDArray[np.int64]
    means: Float64
    rest_means: Float64
    differences: Float64
    p_values: Float64
    adjusted_p_values: Float64
    is_worse: Mask


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of rows as whole numbers of any size, in units of 2^-30 and 2^-60."""

    count: int
    total: int
    squares: int

    def __sub__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.count - other.count, self.total - other.total, self.squares - other.squares
        )

    @property
    def mean(self) -> float:
        return self.total / (self.count << SCALE_BITS)

    @property
    def variance_of_mean(self) -> float:
        spread = self.count * self.squares - self.total**2
        return spread / ((self.count**2 * (self.count - 1)) << (2 * SCALE_BITS))


def find_worse_groups(
    groups: ArrayLike,
    quality: ArrayLike,
    *,
    alpha: float = ALPHA,
    correction: str = "holm",
    min_rows: int = MIN_ROWS,
) -> GroupTests:
    """Return which groups of rows have significantly lower label quality than the rest.

    Parameters
    ----------
    groups : array-like of int, bool or str, shape (n,)
        Group of each row: the values of any column.
    quality : array-like of float, shape (n,)
        Label quality, from 0 suspect to 1 clean.
    alpha : float
        Below which adjusted p-value a group is worse, from 0 to 1.
    correction : {"holm", "benjamini_hochberg"}
        What alpha bounds: the probability that any group is wrongly called worse, or the share of
        the groups called worse that are expected to be wrongly so.
    min_rows : int
        Groups of fewer rows are not tested, nor are those that leave a rest of fewer, at least 2;
        their rows still are in the rest of others.

    Returns
    -------
    GroupTests
        Of each tested group, worst first.

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If a group or a quality cannot be used, or lengths differ.

    Notes
    -----
    The test is Welch's t test, one-sided. Groups of equal qualities beside a rest of equal ones
    have the p-value 0 or 1.

    Source: Welch, "The generalization of 'Student's' problem when several different population
    variances are involved", Biometrika 34 (1947).

    Examples
    --------
    >>> quality = [0.9, 0.8, 0.95] * 20 + [0.5, 0.9] * 20
    >>> found = find_worse_groups(["web"] * 60 + ["scan"] * 40, quality)
    >>> found.groups, found.differences.round(3), found.is_worse
    (array(['scan', 'web'], dtype='<U4'), array([-0.183,  0.183]), array([ True, False]))
    """
    names, codes = _checked_groups(groups)
    values = checked_scores("quality", quality)
    if len(values) != len(codes):
        raise DataError(f"groups has {len(codes)} rows, quality has {len(values)}")
    bad = np.flatnonzero(~((values >= 0.0) & (values <= 1.0)))
    if len(bad):
        raise DataError(
            f"quality: not from 0 to 1: {len(bad)} rows, for instance row {bad[0]}: "
            f"{values[bad[0]]}"
        )
    state = partial_quality_sums(codes, values)
    found = finish_group_tests(state, alpha=alpha, correction=correction, min_rows=min_rows)
    return replace(found, groups=names[found.groups])


def partial_quality_sums(groups: NDArray[np.int64], quality: NDArray[np.floating]) -> GroupSums:
    """Return the state of a batch of rows: their groups and their quality in [0, 1], (m,) each.

    Three numbers a row are summed: its quality, and the upper and lower half of its square.
    """
    whole = np.rint(quality.astype(np.float64) * 2.0**SCALE_BITS).astype(np.int64)
    squares = whole * whole
    halves = squares >> SCALE_BITS, squares & ((1 << SCALE_BITS) - 1)
    return partial_group_sums(groups, np.array([whole, *halves]))


def finish_group_tests(
    state: GroupSums,
    *,
    alpha: float = ALPHA,
    correction: str = "holm",
    min_rows: int = MIN_ROWS,
    total: GroupSums | None = None,
) -> GroupTests:
    """Return which groups are worse than the rest, from the sums of all groups.

    Parameters
    ----------
    state : GroupSums
    alpha, correction, min_rows
        As for :func:`find_worse_groups`.
    total : GroupSums, optional
        Of one group, all rows: where groups overlap, or are not all there.

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If a group has too many rows to be summed.
    """
    level = require_number("alpha", alpha, 0.0, 1.0)
    require_one_of("correction", correction, CORRECTIONS)
    require_whole_number("min_rows", min_rows, 2)
    state.require_summable()
    each, whole = _each(state), _each(state if total is None else total)
    n_rows = sum(own.count for own in whole)
    tested = [i for i, own in enumerate(each) if min_rows <= own.count <= n_rows - min_rows]
    every = _Sums(n_rows, sum(own.total for own in whole), sum(own.squares for own in whole))
    pairs = [(each[i], every - each[i]) for i in tested]
    p_values = np.array([_p_value(own, rest) for own, rest in pairs], dtype=np.float64)
    corrected = adjusted(p_values, correction)
    found = GroupTests(
        state.groups[tested],
        state.counts[tested],
        np.array([own.mean for own, _ in pairs], dtype=np.float64),
        np.array([rest.mean for _, rest in pairs], dtype=np.float64),
        np.array([_difference(own, rest) for own, rest in pairs], dtype=np.float64),
        p_values,
        corrected,
        corrected < level,
    )
    return _ordered(found, np.lexsort((found.differences, ~found.is_worse)))


def _each(state: GroupSums) -> list[_Sums]:
    return [
        _Sums(count, total, (high << SCALE_BITS) + low)
        for count, total, high, low in zip(state.counts.tolist(), *state.sums.tolist(), strict=True)
    ]


def _difference(own: _Sums, rest: _Sums) -> float:
    """Return the difference of the means, correctly rounded."""
    difference = own.total * rest.count - rest.total * own.count
    return difference / ((own.count * rest.count) << SCALE_BITS)


def _p_value(own: _Sums, rest: _Sums) -> float:
    """Return how probable so low a mean, beside that of the rest, is by chance."""
    difference = _difference(own, rest)
    a, b = own.variance_of_mean, rest.variance_of_mean
    if a + b == 0.0:
        return 0.0 if difference < 0.0 else 1.0
    freedom = (a + b) ** 2 / (a**2 / (own.count - 1) + b**2 / (rest.count - 1))
    return lower_tail(difference / math.sqrt(a + b), freedom)


def _ordered(found: GroupTests, order: NDArray[np.intp]) -> GroupTests:
    """Return the tests in another order of groups."""
    return GroupTests(*(getattr(found, field.name)[order] for field in fields(found)))


def _checked_groups(groups: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the different groups in order, and which of them each row is in."""
    array = np.asarray(groups)
    if array.dtype.kind == "O" and all(isinstance(name, str) for name in array.flat):
        array = array.astype(str)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "biuU":
        raise DataError(
            "groups must be a non-empty 1-D array of whole numbers or texts, "
            f"got shape {array.shape} of {array.dtype}"
        )
    names, codes = np.unique(array, return_inverse=True)
    return names, codes.astype(np.int64)

"""Whether the order of the rows of a table is random, from the nearest neighbours of its rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lq_spark.core.noniid.permutations import EXACT_UP_TO, permutations
from lq_spark.core.noniid.rows import non_iid_scores
from lq_spark.core.noniid.statistic import finish_statistic, p_value, partial_index_distances
from lq_spark.core.shared.blocks import Float64, Mask
from lq_spark.core.shared.positions import checked_neighbors
from lq_spark.errors import require_number, require_whole_number


@dataclass(frozen=True, slots=True)
class NonIid:
    """Whether the order is random.

    Attributes
    ----------
    statistic : float
        How far neighbours' index distances are from those of any two rows, 0 to 1.
    p_value : float
        How probable that is in random order: near 0, the order is not random.
    is_issue : bool
        Whether it is less probable than the threshold.
    """

    statistic: float
    p_value: float
    is_issue: bool


def find_non_iid(
    neighbors: ArrayLike,
    *,
    num_permutations: int = 25,
    seed: int = 0,
    significance_threshold: float = 0.05,
    exact_up_to: int = EXACT_UP_TO,
) -> tuple[Mask, Float64, NonIid]:
    """Return whether rows near in the table are nearer to each other than by chance.

    Parameters
    ----------
    neighbors : array-like of int, shape (n, k)
        Positions of the nearest other rows of each row, in any order.
    num_permutations : int
        In how many random orders the table is looked at, at least 2.
    seed : int
        Of these orders.
    significance_threshold : float
        Below which p-value the order is not random, from 0 to 1.
    exact_up_to : int
        Up to how many rows the random orders are those that cleanlab draws; beyond, they are
        hashed (:mod:`lq_spark.core.noniid.permutations`), and the p-value is as good a one.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for one row if the order is not random: the first with the lowest score.
    ndarray of float64, shape (n,)
        1 where a row's neighbours are all over the table, 0 where they are in one place.
    NonIid

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If the neighbours are not those of n rows, a row is its own, or the statistic is the same in
        all random orders.

    Notes
    -----
    The check ``non_iid`` of cleanlab's Datalab. Source: Cummings, Snorrason, Mueller (2023),
    arXiv:2305.15696.

    Examples
    --------
    >>> n = np.arange(60)
    >>> flags, scores, found = find_non_iid(np.stack([(n + 1) % 60, (n + 2) % 60], axis=1))
    >>> found.is_issue, round(found.statistic, 3), flags.sum()
    (True, 0.901, np.int64(1))
    """
    require_whole_number("num_permutations", num_permutations, 2)
    require_whole_number("seed", seed, 0)
    require_whole_number("exact_up_to", exact_up_to, 0)
    limit = require_number("significance_threshold", significance_threshold, 0.0, 1.0)
    nearest = checked_neighbors(neighbors)
    n_rows = len(nearest)
    rows = np.arange(n_rows)
    statistic = finish_statistic(partial_index_distances(rows, nearest, n_rows))
    permuted = [
        finish_statistic(partial_index_distances(rows, nearest, n_rows, permutation))
        for permutation in permutations(n_rows, num_permutations, seed, exact_up_to)
    ]
    p = p_value(statistic, permuted)
    scores = non_iid_scores(rows, nearest, n_rows)
    flags = np.zeros(n_rows, dtype=bool)
    flags[scores.argmin()] = p < limit
    return flags, scores, NonIid(statistic, p, p < limit)

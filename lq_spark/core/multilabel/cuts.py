"""Up to which score the cells of a group are label issues: cuts, found by counting.

The score is the one the rule orders by. A cut lies in one bucket of the counted scores; only the
cells of that bucket are then looked at one by one. No rule flags a cell that scores 0.5 or more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multilabel.cells import (
    AGREES,
    CellCounts,
    cell_kinds,
    is_confident_issue,
    low_cells,
    score_buckets,
)
from lq_spark.core.multilabel.rules import cell_order
from lq_spark.core.multilabel.scores import score_cells
from lq_spark.core.multilabel.sets import Bits
from lq_spark.core.shared.blocks import Float64, float64_blocks

_MAX_COUNTS = 1 << 17
_MIN_BUCKETS, _MAX_BUCKETS = 4, 1024


def bucket_number(n_classes: int) -> int:
    """Return into how many buckets each group is counted: more leave fewer cells to look at."""
    return max(_MIN_BUCKETS, min(_MAX_BUCKETS, _MAX_COUNTS // (2 * n_classes)))


@dataclass(frozen=True, slots=True)
class CutSearch:
    """Where the cuts of a rule are to be found.

    Attributes
    ----------
    by_bit : bool
        Whether the groups are 2K, of a class and a given bit, or K, of a class.
    values : ndarray of float64, shape (number of groups,)
        Cuts that are known already: -inf where no cell is an issue, inf where all are that do not
        agree.
    buckets : ndarray of int64, shape (number of groups,)
        The bucket that holds the cut, -1 where it is known.
    places : ndarray of int64, shape (number of groups,)
        The cut is the value of that bucket's n-th cell, from 1; 0 where it is known.
    n_buckets : int
    most_cells : int
        In a bucket that holds a cut.
    order : str
        The score that is cut: :func:`lq_spark.core.multilabel.rules.cell_order`.
    """

    by_bit: bool
    values: Float64
    buckets: NDArray[np.int64]
    places: NDArray[np.int64]
    n_buckets: int
    most_cells: int
    order: str = "self_confidence"


def search_cuts(counts: CellCounts, rule: Rule, quotas: NDArray[np.int64]) -> CutSearch:
    """Return where the cuts of a rule that prunes, or of a low_* rule, are to be found.

    Parameters
    ----------
    counts : CellCounts
        With buckets of the rule's order.
    rule : Rule
    quotas : ndarray of int, shape (K, 2)
        How many cells of each group to prune; not looked at by a low_* rule.
    """
    n_buckets = counts.buckets.shape[-1]
    if rule.prunes:
        wanted, per_bucket = quotas.ravel(), counts.buckets.reshape(-1, n_buckets)
        # What agrees lies above all that does not, and is never flagged.
        takes_all = wanted >= counts.doubtful.ravel()
    else:
        wanted, per_bucket = counts.confident_issues.sum(axis=1), counts.buckets.sum(axis=1)
        takes_all = np.zeros(len(wanted), dtype=bool)
    up_to = per_bucket.cumsum(axis=1)
    groups = np.arange(len(wanted))
    bucket = (up_to >= wanted[:, np.newaxis]).argmax(axis=1)
    cells = per_bucket[groups, bucket]
    is_known = (wanted == 0) | takes_all
    return CutSearch(
        rule.prunes,
        np.where(takes_all & (wanted > 0), np.inf, -np.inf),
        np.where(is_known, -1, bucket),
        np.where(is_known, 0, wanted - up_to[groups, bucket] + cells),
        n_buckets,
        int(cells[~is_known].max(initial=0)),
        cell_order(rule),
    )


@dataclass(frozen=True, slots=True)
class CellCuts:
    """Up to which score the cells of each group are issues.

    Attributes
    ----------
    by_bit : bool
    order : str
        As in :class:`CutSearch`.
    values : ndarray of float64, shape (number of groups,)
    has_key : ndarray of bool, shape (number of groups,)
        Whether of the cells of the very value only some are issues, told apart by their rows.
    """

    by_bit: bool
    values: Float64
    has_key: NDArray[np.bool_]
    order: str = "self_confidence"


class Cells(NamedTuple):
    """Some cells of a batch: arrays of shape (m,), ordered by row, then column.

    Attributes
    ----------
    row, column : ndarray of int64
    group : ndarray of int64
        That of the cell's cut.
    score : ndarray of float64
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    group: NDArray[np.int64]
    score: Float64

    def where(self, chosen: NDArray[np.bool_]) -> Cells:
        """Return those of the cells that are chosen, shape (m,)."""
        return Cells(self.row[chosen], self.column[chosen], self.group[chosen], self.score[chosen])


def searched_cells(is_given: Bits, pred_probs: NDArray[np.floating], search: CutSearch) -> Cells:
    """Return the cells in the buckets that hold cuts: shapes (n, K)."""

    def choose(cells: Cells, given: Bits, block: Float64) -> NDArray[np.bool_]:
        inside = score_buckets(cells.score, search.n_buckets)
        return np.asarray(inside == search.buckets[cells.group])

    return _low_cells(is_given, pred_probs, search, choose)


def cells_up_to(is_given: Bits, pred_probs: NDArray[np.floating], cuts: CellCuts) -> Cells:
    """Return the cells up to the cuts, of a rule that prunes only those that do not agree."""

    def choose(cells: Cells, given: Bits, block: Float64) -> NDArray[np.bool_]:
        chosen = cells.score <= cuts.values[cells.group]
        if cuts.by_bit:
            kinds = cell_kinds(given, block, None)
            chosen &= (kinds[cells.row, cells.column] & AGREES) == 0
        return chosen

    return _low_cells(is_given, pred_probs, cuts, choose)


def _low_cells(
    is_given: Bits,
    pred_probs: NDArray[np.floating],
    of: CutSearch | CellCuts,
    choose: Callable[[Cells, Bits, Float64], NDArray[np.bool_]],
) -> Cells:
    nothing = np.zeros(0, dtype=np.int64)
    parts = [Cells(nothing, nothing, nothing, np.zeros(0))]
    for rows, block in float64_blocks(pred_probs):
        given = is_given[rows]
        row, group, score = low_cells(given, score_cells(given, block, of.order))
        cells = Cells(row, group // 2, group if of.by_bit else group // 2, score)
        chosen = cells.where(choose(cells, given, block))
        parts.append(chosen._replace(row=chosen.row + rows.start))
    return Cells(*map(np.concatenate, zip(*parts, strict=True)))


def judged_cells(
    is_given: Bits, pred_probs: NDArray[np.floating], thresholds: Float64 | None
) -> Bits:
    """Return which cells are confident issues, shape (n, K); without thresholds, do not agree."""
    issues = np.empty(is_given.shape, dtype=bool)
    for rows, block in float64_blocks(pred_probs):
        kinds = cell_kinds(is_given[rows], block, thresholds)
        issues[rows] = is_confident_issue(kinds) if thresholds is not None else kinds & AGREES == 0
    return issues

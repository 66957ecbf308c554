"""The rules of confident learning on cells: how many of each group to prune, and which.

Within a group the least likely cells are those of the lowest self-confidence s, and the margin
s - (1 - s) that pruning by noise rate orders by has the same order. So each rule of pruning is a
number of cells of each group, and "both" the smaller number of the two.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.joint import sparse
from lq_spark.core.label_issues.quotas import numbers_to_remove, prune_quotas, require_quota_options
from lq_spark.core.label_issues.rules import PRUNING, lowest, require_filter
from lq_spark.core.multilabel.cells import AGREES, cell_kinds, is_confident_issue
from lq_spark.core.multilabel.scores import score_cells
from lq_spark.core.multilabel.sets import Bits
from lq_spark.core.shared.blocks import Float64, float64_blocks
from lq_spark.errors import listed

LOW_SCORES = ("low_self_confidence", "low_normalized_margin")
"""Rules that order the cells of a class whatever their bit, and the rows of a table: cells by their
score, which of two classes is the same but for rounding and so for ties; rows by self-confidence,
both rules."""


@dataclass(frozen=True)
class CellRule:
    """What makes a cell a label issue: see :func:`lq_spark.core.multilabel.find_label_issues`.

    Raises
    ------
    OptionError
        If an option is unknown, out of range, or not for this rule.
    """

    filter_by: str = "prune_by_noise_rate"
    frac_noise: float = 1.0
    num_to_remove_per_class: int | Sequence[int] | None = None
    min_examples_per_class: int = 1

    def __post_init__(self) -> None:
        numbers = self.num_to_remove_per_class
        require_filter(self.filter_by, "highest_of_all", self.frac_noise, numbers)
        require_quota_options(self.frac_noise, self.min_examples_per_class)

    @property
    def prunes(self) -> bool:
        """Return whether the joint says how many cells are flagged."""
        return self.filter_by in PRUNING

    @property
    def is_low_score(self) -> bool:
        """Return whether as many are flagged as confident learning flags."""
        return self.filter_by in LOW_SCORES

    @property
    def order(self) -> str:
        """Return the score of a cell that the rule orders by."""
        by_margin = self.filter_by == "low_normalized_margin"
        return "normalized_margin" if by_margin else "self_confidence"

    def quotas(
        self, joints: NDArray[np.integer], class_counts: NDArray[np.integer]
    ) -> NDArray[np.int64]:
        """Return how many cells of each group to prune, shape (K, 2).

        Parameters
        ----------
        joints : ndarray, shape (K, 2, 2)
            Counts (given bit, true bit), as a rule calibrated.
        class_counts : ndarray of int, shape (K, 2)
            Rows of each group.

        Raises
        ------
        OptionError
            If the numbers to remove are not K, or one exceeds the rows given its class.
        """
        enough = class_counts > max(self.min_examples_per_class, 1)  # the only one is kept
        if self.num_to_remove_per_class is not None:
            wanted = numbers_to_remove(self.num_to_remove_per_class, class_counts[:, 1])
            return np.where(enough, np.stack([np.zeros_like(wanted), wanted], axis=-1), 0)
        quotas = np.zeros(class_counts.shape, dtype=np.int64)
        for k, (joint, counts) in enumerate(zip(joints, class_counts, strict=True)):
            found = prune_quotas(
                sparse(joint),
                counts,
                min_examples_per_class=self.min_examples_per_class,
                frac_noise=self.frac_noise,
            )
            by_noise_rate = np.zeros(2, dtype=np.int64)
            by_noise_rate[found.given] = found.per_pair
            numbers = {"prune_by_class": found.per_class, "prune_by_noise_rate": by_noise_rate}
            both = np.minimum(found.per_class, by_noise_rate)
            quotas[k] = numbers.get(self.filter_by, both)
        return quotas

    def warn_of_small_classes(
        self, class_counts: NDArray[np.integer], classes: Sequence[str] | None, *, stacklevel: int
    ) -> None:
        """Warn of classes that are given to too few rows to prune any of them."""
        given = class_counts[:, 1]
        small = np.flatnonzero((given > 0) & (given <= max(self.min_examples_per_class, 1)))
        if self.prunes and len(small):
            names = [k if classes is None else classes[k] for k in small.tolist()]
            warnings.warn(
                f"classes {listed(names)} are given to at most {self.min_examples_per_class} rows: "
                "none of them is pruned",
                UserWarning,
                stacklevel=stacklevel,
            )


def flagged_cells(
    is_given: Bits,
    pred_probs: NDArray[np.floating],
    thresholds: Float64,
    rule: CellRule,
    quotas: NDArray[np.int64],
) -> Bits:
    """Return which cells are label issues, shape (n, K); of equal ones the first rows are taken.

    Parameters
    ----------
    is_given, pred_probs : ndarray, shape (n, K)
        All rows, checked before.
    thresholds : ndarray of float64, shape (K, 2)
        Confident thresholds.
    rule : CellRule
    quotas : ndarray of int, shape (K, 2)
        :meth:`CellRule.quotas`; not looked at by a rule that does not prune.
    """
    kinds = np.empty(is_given.shape, dtype=np.uint8)
    for rows, block in float64_blocks(pred_probs):
        kinds[rows] = cell_kinds(is_given[rows], block, thresholds)
    doubtful: Bits = (kinds & AGREES) == 0
    if rule.filter_by == "predicted_neq_given":
        return doubtful
    if rule.filter_by == "confident_learning":
        return is_confident_issue(kinds)
    mask = np.zeros(is_given.shape, dtype=bool)
    scores = score_cells(is_given, pred_probs, rule.order)
    if rule.is_low_score:
        for k, n in enumerate(np.count_nonzero(is_confident_issue(kinds), axis=0)):
            mask[lowest(scores[:, k], n), k] = True
        return mask
    for k, bit in zip(*np.nonzero(quotas), strict=True):
        cells = np.flatnonzero(is_given[:, k] == bit)
        mask[cells[lowest(scores[cells, k], quotas[k, bit])], k] = True
    return np.asarray(mask & doubtful)

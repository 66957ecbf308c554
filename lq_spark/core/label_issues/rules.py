"""The rules of confident learning: which rows are label issues, by their evidence.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.confident.joint import COLLISION_RULES, RowFacts, SparseMatrix
from lq_spark.core.label_issues.margins import ClassPairs, pair_margins
from lq_spark.core.label_issues.quotas import Quotas, are_enough, prune_quotas
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.shared.blocks import Mask
from lq_spark.core.shared.checks import warn_of_unused
from lq_spark.core.shared.selection import lowest
from lq_spark.errors import DataError, OptionError, listed, require_one_of


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the rules judge by: the rows, what is known of each, and how many are to be pruned."""

    labels: NDArray[np.int64]
    pred_probs: NDArray[np.floating]
    facts: RowFacts
    quotas: Quotas


def _prune_by_class(evidence: Evidence) -> Mask:
    mask = np.zeros(len(evidence.labels), dtype=bool)
    for k in np.flatnonzero(evidence.quotas.per_class):
        rows = np.flatnonzero(evidence.labels == k)
        mask[rows[lowest(evidence.pred_probs[rows, k], evidence.quotas.per_class[k])]] = True
    return mask & ~evidence.facts.agrees


def _prune_by_noise_rate(evidence: Evidence) -> Mask:
    mask = np.zeros(len(evidence.labels), dtype=bool)
    quotas = evidence.quotas
    for k in np.unique(quotas.given):
        rows = np.flatnonzero(evidence.labels == k)
        chosen = quotas.given == k
        n_classes = evidence.pred_probs.shape[1]
        pairs = ClassPairs.ordered(n_classes, quotas.given[chosen], quotas.true[chosen])
        found = pair_margins(evidence.labels[rows], evidence.pred_probs[rows], pairs)
        margins = found.margin.reshape(len(rows), -1).T
        for margin, n in zip(margins, quotas.per_pair[chosen], strict=True):
            mask[rows[lowest(margin, n)]] = True
    return mask & ~evidence.facts.agrees


def _both(evidence: Evidence) -> Mask:
    return _prune_by_class(evidence) & _prune_by_noise_rate(evidence)


def _confident_learning(evidence: Evidence) -> Mask:
    return evidence.facts.is_confident_issue(evidence.labels)


def _predicted_neq_given(evidence: Evidence) -> Mask:
    return ~evidence.facts.agrees


def _low_score(method: str) -> Callable[[Evidence], Mask]:
    def rule(evidence: Evidence) -> Mask:
        mask = np.zeros(len(evidence.labels), dtype=bool)
        n = np.count_nonzero(_confident_learning(evidence))
        mask[lowest(score_rows(evidence.labels, evidence.pred_probs, method), n)] = True
        return mask

    return rule


LOW_SCORES: Mapping[str, str] = {
    "low_normalized_margin": "normalized_margin",
    "low_self_confidence": "self_confidence",
}
"""The rules that flag the lowest scores, and the score of each."""

FILTERS: Mapping[str, Callable[[Evidence], Mask]] = {
    "prune_by_noise_rate": _prune_by_noise_rate,
    "prune_by_class": _prune_by_class,
    "both": _both,
    "confident_learning": _confident_learning,
    "predicted_neq_given": _predicted_neq_given,
    **{name: _low_score(method) for name, method in LOW_SCORES.items()},
}
"""The rules: what makes a row a label issue."""

PRUNING = ("prune_by_noise_rate", "prune_by_class", "both")

BY_ROW = tuple(name for name in FILTERS if name not in PRUNING and name not in LOW_SCORES)
"""Those that judge each row by itself, and by what was fitted."""

COMPARING = ("predicted_neq_given", *LOW_SCORES)
"""Rules that need labels of two classes; the others find no issue where all rows have one."""


@dataclass(frozen=True)
class Rule:
    """What makes a label an issue: see :func:`lq_spark.core.label_issues.find_label_issues`.

    Of rows with sets of labels it is applied to each class by itself, see
    :mod:`lq_spark.core.multilabel.rules`.

    Raises
    ------
    OptionError
        If an option is unknown, out of range, or not for this rule.
    """

    filter_by: str = "prune_by_noise_rate"
    frac_noise: float = 1.0
    num_to_remove_per_class: int | Sequence[int] | None = None
    min_examples_per_class: int = 1
    collision_rule: str = "highest_of_all"

    def __post_init__(self) -> None:
        require_one_of("filter_by", self.filter_by, FILTERS)
        require_one_of("collision_rule", self.collision_rule, COLLISION_RULES)
        numbers = self.num_to_remove_per_class
        if not self.prunes and (self.frac_noise != 1.0 or numbers is not None):
            raise OptionError(
                f"frac_noise and num_to_remove_per_class go with {list(PRUNING)}, "
                f"not {self.filter_by!r}"
            )
        if not 0.0 <= self.frac_noise <= 1.0:
            raise OptionError(f"frac_noise must be between 0 and 1, got {self.frac_noise}")
        if self.min_examples_per_class < 0:
            raise OptionError(
                f"min_examples_per_class must be at least 0, got {self.min_examples_per_class}"
            )

    @classmethod
    def of_cleanlab(
        cls,
        filter_by: str,
        frac_noise: float,
        num_to_remove_per_class: int | Sequence[int] | None,
        min_examples_per_class: int,
        confident_joint: ArrayLike | None,
        collision_rule: str = "highest_of_all",
    ) -> Rule:
        """Return the rule of a call of a function that cleanlab also has.

        As there, frac_noise and confident_joint may be given to a rule that does not look at them;
        here a UserWarning says so.
        """
        if filter_by in FILTERS and filter_by not in PRUNING:
            for name, is_given in (
                ("frac_noise", frac_noise != 1.0),
                ("confident_joint", confident_joint is not None),
            ):
                if is_given:
                    why = f"it goes with {list(PRUNING)}, not {filter_by!r}"
                    warn_of_unused(name, why, stacklevel=3)
            frac_noise = 1.0
        return cls(
            filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, collision_rule
        )

    @property
    def prunes(self) -> bool:
        """Return whether the joint says how many labels are issues."""
        return self.filter_by in PRUNING

    @property
    def prunes_pairs(self) -> bool:
        """Return whether the margins over pairs of classes decide."""
        return self.filter_by in ("prune_by_noise_rate", "both")

    @property
    def prunes_classes(self) -> bool:
        """Return whether the self-confidence within each class decides."""
        return self.filter_by in ("prune_by_class", "both")

    @property
    def is_low_score(self) -> bool:
        """Return whether as many labels are issues as are confident issues: the lowest scores."""
        return self.filter_by in LOW_SCORES

    @property
    def order_by(self) -> str | None:
        """Return the score that rows are ordered by, if one is."""
        if self.is_low_score:
            return LOW_SCORES[self.filter_by]
        return "self_confidence" if self.prunes_classes else None

    @property
    def needs_cuts(self) -> bool:
        """Return whether a row is judged by the others, not by itself and the thresholds alone."""
        return self.filter_by not in BY_ROW

    def quotas(self, joint: SparseMatrix, class_counts: NDArray[np.integer]) -> Quotas:
        """Return how many rows to prune: see :func:`prune_quotas`."""
        return prune_quotas(
            joint,
            class_counts,
            min_examples_per_class=self.min_examples_per_class,
            frac_noise=self.frac_noise,
            num_to_remove_per_class=self.num_to_remove_per_class,
        )

    def warn_of_small_classes(
        self,
        class_counts: NDArray[np.integer],
        classes: Sequence[str] | None = None,
        *,
        stacklevel: int,
    ) -> None:
        """Warn of classes that are given to too few rows, shape (K,), to prune any of them."""
        too_few = ~are_enough(class_counts, self.min_examples_per_class)
        small = np.flatnonzero((class_counts > 0) & too_few)
        if self.prunes and len(small):
            names = [k if classes is None else classes[k] for k in small.tolist()]
            warnings.warn(
                f"classes {listed(names)} are given to at most {self.min_examples_per_class} rows: "
                "none of them is pruned",
                UserWarning,
                stacklevel=stacklevel,
            )


def require_two_classes(filter_by: str, class_counts: ArrayLike) -> None:
    """Raise DataError if all rows have one label and the rule compares classes."""
    present = np.flatnonzero(class_counts)
    if filter_by in COMPARING and len(present) < 2:
        raise DataError(
            f"filter_by {filter_by!r} needs labels of at least 2 classes, "
            f"all rows are of class {present[0]}"
        )

"""The rules of confident learning: which rows are label issues, by their evidence.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.confident.joint import COLLISION_RULES, RowFacts
from lq_spark.core.label_issues.margins import ClassPairs, pair_margins
from lq_spark.core.label_issues.quotas import Quotas
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.shared.checks import warn_of_unused
from lq_spark.errors import DataError, OptionError, require_one_of

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the rules judge by: the rows, what is known of each, and how many are to be pruned."""

    labels: NDArray[np.int64]
    pred_probs: NDArray[np.floating]
    facts: RowFacts
    quotas: Quotas


def lowest(values: NDArray[np.floating], n: np.integer | int) -> NDArray[np.int64]:
    """Return the positions of the n lowest values; of equal ones, the first."""
    return np.argsort(values, kind="stable")[:n]


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


FILTERS: Mapping[str, Callable[[Evidence], Mask]] = {
    "prune_by_noise_rate": _prune_by_noise_rate,
    "prune_by_class": _prune_by_class,
    "both": _both,
    "confident_learning": _confident_learning,
    "predicted_neq_given": _predicted_neq_given,
    "low_normalized_margin": _low_score("normalized_margin"),
    "low_self_confidence": _low_score("self_confidence"),
}
"""The rules: what makes a row a label issue."""

PRUNING = ("prune_by_noise_rate", "prune_by_class", "both")

COMPARING = ("predicted_neq_given", "low_normalized_margin", "low_self_confidence")
"""Rules that need labels of two classes; the others find no issue where all rows have one."""


def require_filter(
    filter_by: str, collision_rule: str, frac_noise: float, numbers: int | Sequence[int] | None
) -> None:
    """Raise OptionError unless the rules are known and the numbers go with them."""
    require_one_of("filter_by", filter_by, FILTERS)
    require_one_of("collision_rule", collision_rule, COLLISION_RULES)
    if filter_by not in PRUNING and (frac_noise != 1.0 or numbers is not None):
        raise OptionError(
            f"frac_noise and num_to_remove_per_class go with {list(PRUNING)}, not {filter_by!r}"
        )


def usable_frac_noise(filter_by: str, frac_noise: float, *, stacklevel: int) -> float:
    """Return frac_noise, or 1 with a warning where the rule does not look at it, as in cleanlab."""
    if filter_by in PRUNING or filter_by not in FILTERS or frac_noise == 1.0:
        return frac_noise
    why = f"it goes with {list(PRUNING)}, not {filter_by!r}"
    warn_of_unused("frac_noise", why, stacklevel=stacklevel + 1)
    return 1.0


def warn_of_unused_joint(
    filter_by: str, confident_joint: ArrayLike | None, *, stacklevel: int
) -> None:
    """Warn of a confident_joint that the rule does not look at."""
    if confident_joint is not None and filter_by not in PRUNING:
        why = f"it goes with {list(PRUNING)}, not {filter_by!r}"
        warn_of_unused("confident_joint", why, stacklevel=stacklevel + 1)


def warn_of_small_classes(quotas: Quotas, min_examples_per_class: int, *, stacklevel: int) -> None:
    """Warn of the classes that are too small to prune."""
    if len(quotas.small_classes):
        warnings.warn(
            f"classes {quotas.small_classes.tolist()} have at most "
            f"{min_examples_per_class} rows: none of them is pruned",
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

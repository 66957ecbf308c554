"""Class thresholds: partial → merge → finish on exact sums, and their frozen, saved form.

The sums of the self-confidence of each class have no order of addition, so the thresholds of a
table do not depend on how it is split.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.1, equation 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.constants import ABSENT_CLASS_THRESHOLD, CONFIDENT_THRESHOLDS_LOWER_BOUND
from lq_spark.core.shared.display import N_SHOWN, SmallTable, names_at
from lq_spark.core.shared.exact import MAX_TERMS, exact_mean, scaled_halves
from lq_spark.core.shared.saved import Saved
from lq_spark.core.shared.selection import lowest
from lq_spark.errors import DataError

_EXACT_BINCOUNT_ROWS = 1 << 21
"""bincount adds in float64: exact as long as a sum of 30-bit integers stays below 2^53."""


@dataclass(frozen=True, slots=True)
class ClassSums:
    """Per given class: the number of rows and the exact sum of their self-confidence.

    Attributes
    ----------
    counts, high, low : ndarray of int64, shape (K,)
        Sums of the halves of :mod:`lq_spark.core.shared.exact`.
    """

    counts: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]


def partial_class_sums(labels: NDArray[np.integer], pred_probs: NDArray[np.floating]) -> ClassSums:
    """Return the state of a batch: labels (n,) in 0..K-1, pred_probs (n, K), checked before."""
    confidence = pred_probs[np.arange(len(labels)), labels]
    return confidence_sums(labels, confidence, pred_probs.shape[1])


def confidence_sums(
    labels: NDArray[np.integer], confidence: NDArray[np.floating], n_classes: int
) -> ClassSums:
    """Return the state of rows of labels (n,) in 0..K-1 with this self-confidence (n,)."""
    state = ClassSums(*(np.zeros(n_classes, dtype=np.int64) for _ in range(3)))
    for start in range(0, len(labels), _EXACT_BINCOUNT_ROWS):
        rows = slice(start, start + _EXACT_BINCOUNT_ROWS)
        given = labels[rows]
        halves = [
            np.bincount(given, weights=half, minlength=n_classes).astype(np.int64)
            for half in scaled_halves(confidence[rows])
        ]
        batch = ClassSums(np.bincount(given, minlength=n_classes).astype(np.int64), *halves)
        state = merge_class_sums(state, batch)
    return state


def merge_class_sums(a: ClassSums, b: ClassSums) -> ClassSums:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return ClassSums(a.counts + b.counts, a.high + b.high, a.low + b.low)


def unmerge_class_sums(a: ClassSums, b: ClassSums) -> ClassSums:
    """Return the state of the rows of ``a`` without those of ``b``, which are among them."""
    return ClassSums(a.counts - b.counts, a.high - b.high, a.low - b.low)


def finish_thresholds(state: ClassSums) -> NDArray[np.float64]:
    """Return the confident threshold of each class, shape (K,): the correctly rounded mean.

    Raises
    ------
    DataError
        If a class has more rows than the integer sums can hold (2^32).
    """
    if state.counts.max(initial=0) > MAX_TERMS:
        raise DataError(f"a class has {state.counts.max()} rows, at most {MAX_TERMS} can be summed")
    thresholds = np.full(len(state.counts), ABSENT_CLASS_THRESHOLD)
    for k in np.flatnonzero(state.counts):
        mean = exact_mean(state.high[k], state.low[k], state.counts[k])
        thresholds[k] = max(mean, CONFIDENT_THRESHOLDS_LOWER_BOUND)
    return thresholds


@dataclass(frozen=True, slots=True, repr=False)
class Thresholds(Saved):
    """The confident threshold of each class, and the data set that it was computed from.

    Attributes
    ----------
    values : tuple of float, length K
        Confident thresholds; 2.0 for a class that never occurred.
    class_counts : tuple of int, length K
        Rows of each given class.
    classes : tuple of str, length K, or None
        Class names in the order of the probabilities, where labels are names.

    Examples
    --------
    >>> fitted = Thresholds(values=(0.75, 0.5), class_counts=(30, 10))
    >>> fitted.n_rows, fitted.n_classes
    (40, 2)
    >>> Thresholds.from_json(fitted.to_json()) == fitted
    True
    """

    NOUN: ClassVar[str] = "thresholds"
    FORMAT_VERSION: ClassVar[int] = 1

    values: tuple[float, ...]
    class_counts: tuple[int, ...]
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not all(0.0 <= value <= ABSENT_CLASS_THRESHOLD for value in self.values):
            raise DataError(
                f"thresholds must lie in 0..1, or be 2 for an absent class: {self.values}"
            )
        lengths = {len(self.values), len(self.class_counts), len(self.classes or self.values)}
        if len(lengths) > 1:
            raise DataError(f"thresholds, class counts and classes differ in length: {lengths}")

    @property
    def n_classes(self) -> int:
        """Return K."""
        return len(self.values)

    @property
    def n_rows(self) -> int:
        """Return how many rows the thresholds were computed from."""
        return sum(self.class_counts)

    def as_array(self) -> NDArray[np.float64]:
        """Return the thresholds as an array, shape (K,)."""
        return np.array(self.values, dtype=np.float64)

    def _facts(self) -> dict[str, Any]:
        there = [v for v, n in zip(self.values, self.class_counts, strict=True) if n]
        return {
            "classes": self.n_classes,
            "rows": self.n_rows,
            "thresholds": f"{min(there):.4g} to {max(there):.4g}" if there else None,
            "absent": self.class_counts.count(0) or None,
        }

    def _tables(self) -> list[SmallTable]:
        return [self._lowest("rows")]

    def _lowest(self, noun: str) -> SmallTable:
        """Return the classes with the lowest thresholds; their rows are called ``noun``."""
        there = np.flatnonzero(self.class_counts)
        places = there[lowest(self.as_array()[there], N_SHOWN)]
        columns = {
            "class": names_at(self.classes, places),
            noun: [self.class_counts[k] for k in places],
            "threshold": [self.values[k] for k in places],
        }
        return SmallTable("lowest thresholds", columns, {"threshold": 1.0})

    def _content(self) -> dict[str, Any]:
        return {
            "n_rows": self.n_rows,
            "classes": self.classes,
            "class_counts": self.class_counts,
            "thresholds": self.values,
        }

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> Thresholds:
        cls._require_keys(content, {"thresholds", "class_counts", "classes"})
        named = content["classes"] is not None
        return cls(
            values=cls._checked_list(content, "thresholds", (int, float)),
            class_counts=cls._checked_list(content, "class_counts", (int,)),
            classes=cls._checked_list(content, "classes", (str,)) if named else None,
        )

"""The class thresholds of a data set, frozen: saved, and applied to rows seen later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.constants import ABSENT_CLASS_THRESHOLD
from lq_spark.core.shared.display import SmallTable, lowest, names_at
from lq_spark.core.shared.saved import Saved
from lq_spark.errors import DataError


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
        places = there[lowest(self.as_array()[there])]
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

"""How many rows each class of a table has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lq_spark.core.imbalance.classes import THRESHOLD, finish_imbalance
from lq_spark.core.shared.display import N_SHOWN, Displayed, SmallTable, names_at
from lq_spark.errors import require_number
from lq_spark.tasks.shared.class_counts import checked_labels, class_counts
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, repr=False)
class ImbalanceHealth(Displayed):
    """How many rows each class of a table has.

    Attributes
    ----------
    n_rows : int
    class_rows : tuple of int, length K
    rarest : int or None
        The class with the fewest rows among those that occur, of equal ones the first; None without
        rows.
    score : float or None
        Its share of all rows: 0 rare.
    n_issues : int
        Its rows, if it is too rare; else 0.
    absent : tuple of int
        The classes without a row.
    classes : tuple of str, or None
        Their names.
    """

    n_rows: int
    class_rows: tuple[int, ...]
    rarest: int | None
    score: float | None
    n_issues: int
    absent: tuple[int, ...]
    classes: tuple[str, ...] | None = None

    @property
    def rarest_class(self) -> str | None:
        """Return the name of the rarest class, its index where classes have none."""
        return None if self.rarest is None else names_at(self.classes, [self.rarest])[0]

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": len(self.class_rows),
            "rows": self.n_rows,
            "imbalance issues": self.n_issues,
            "share of the rarest class": self.score,
        }

    def _tables(self) -> list[SmallTable]:
        order = sorted(range(len(self.class_rows)), key=lambda k: (self.class_rows[k], k))[:N_SHOWN]
        rows = [self.class_rows[k] for k in order]
        columns: dict[str, list[Any]] = {
            "class": names_at(self.classes, order),
            "rows": rows,
            "share": [n / self.n_rows if self.n_rows else None for n in rows],
        }
        return [SmallTable("rarest classes", columns, {"share": None})]


def summarize(
    df: DataFrame,
    *,
    label: str = "label",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    threshold: float = THRESHOLD,
) -> ImbalanceHealth:
    """Return how many rows each class has, and whether the rarest has too few.

    Parameters
    ----------
    df, label, classes, n_classes, threshold
        As for :func:`lq_spark.imbalance.find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`lq_spark.imbalance.find_issues`.
    """
    refuse_stream(df, "imbalance.summarize")
    require_number("threshold", threshold, 0.0, 1.0)
    labels = checked_labels(df, label, classes, n_classes)
    return imbalance_health(class_counts(df, labels, fail=True), threshold, labels.classes)


def imbalance_health(
    counts: NDArray[np.int64], threshold: float, classes: tuple[str, ...] | None
) -> ImbalanceHealth:
    """Return it from the rows of each class, shape (K,)."""
    n_rows, of_classes = int(counts.sum()), tuple(counts.tolist())
    if not n_rows:
        return ImbalanceHealth(0, of_classes, None, None, 0, tuple(range(len(counts))), classes)
    found = finish_imbalance(counts, threshold)
    n_issues = of_classes[found.rarest] if found.is_issue else 0
    return ImbalanceHealth(
        n_rows, of_classes, found.rarest, found.score, n_issues, found.absent, classes
    )

"""The metrics of each class: its scores, its label issues, its threshold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """A given class: its rows, their mean label quality, and how many are predicted otherwise.

    ``mean`` is None of a class without rows; ``n_issues`` are its label issues, None where they
    were not sought.
    """

    name: str
    n_rows: int
    mean: float | None
    n_disagreeing: int
    n_issues: int | None

    @property
    def issue_rate(self) -> float | None:
        """Return the share of its rows that are label issues; None without rows."""
        return None if self.n_issues is None or not self.n_rows else self.n_issues / self.n_rows


def count_issues(classes: Iterable[ClassQuality]) -> int:
    """Return how many label issues were found."""
    return sum(quality.n_issues or 0 for quality in classes)


def issue_metrics(
    sought: bool, classes: Sequence[ClassQuality], noise: NoiseModel | None
) -> Iterator[tuple[str, str | None, float | None]]:
    """Yield the metrics of label issues, of classes and of all; nothing where not sought."""
    if not sought:
        return
    for quality in classes:
        yield "class_label_issues", quality.name, quality.n_issues
        yield "class_issue_rate", quality.name, quality.issue_rate
    n_issues, n_rows = count_issues(classes), sum(quality.n_rows for quality in classes)
    yield "label_issues", None, n_issues
    yield "issue_rate", None, n_issues / n_rows if n_rows else None
    yield "label_health_score", None, None if noise is None else noise.health_score


def threshold_metrics(
    thresholds: Thresholds | None,
) -> Iterator[tuple[str, str | None, float | None]]:
    """Yield the threshold of each class; a class without rows has none."""
    if thresholds is not None:
        names = thresholds.classes or range(thresholds.n_classes)
        for name, value, count in zip(
            names, thresholds.values, thresholds.class_counts, strict=True
        ):
            yield "class_threshold", str(name), value if count else None

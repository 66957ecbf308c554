"""What a run over label sets did, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.inputs import column
from lq_spark.job.lowest import in_short
from lq_spark.job.report import aligned
from lq_spark.job.task_run import Metric
from lq_spark.tasks.multilabel.flags import Judgement, Request
from lq_spark.tasks.multilabel.issues import SUGGESTED_LABELS
from lq_spark.tasks.shared.table import LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

N_CLASSES = 20


@dataclass(frozen=True, slots=True)
class ScoredSets:
    """The scores and issues of label sets in short.

    Attributes
    ----------
    n_rows, n_issue_rows : int
        All rows; those with a label issue.
    mean : float or None
        Mean label quality; None without rows.
    names : list of str, length K
    class_counts : ndarray of int64, shape (K, 2)
        Rows not given each class, rows given it.
    issues : ndarray of int64, shape (K, 2)
        Rows that lack each class, rows given it wrongly.
    thresholds : ndarray of float64, shape (K, 2)
    worst : list of tuple
        (id, given labels, suggested labels, label quality) of the lowest, ties by id.
    """

    n_rows: int
    n_issue_rows: int
    mean: float | None
    names: list[str]
    class_counts: NDArray[np.int64]
    issues: NDArray[np.int64]
    thresholds: Float64
    worst: list[tuple[Any, ...]]

    def metrics(self) -> Iterator[Metric]:
        """Yield (metric, class or None, value)."""
        rate = self.n_issue_rows / self.n_rows if self.n_rows else None
        missing, wrong = self.issues.sum(axis=0).tolist()
        yield "classes", None, len(self.names)
        yield "mean_label_quality", None, self.mean
        yield "label_issues", None, self.n_issue_rows
        yield "issue_rate", None, rate
        yield "label_health_score", None, None if rate is None else 1.0 - rate
        yield "wrong_labels", None, wrong
        yield "missing_labels", None, missing
        for k, name in enumerate(self.names):
            n_given, (missing, wrong) = int(self.class_counts[k, 1]), self.issues[k].tolist()
            yield "class_rows", name, n_given
            yield "class_label_issues", name, wrong
            yield "class_issue_rate", name, wrong / n_given if n_given else None
            yield "class_missing_labels", name, missing
            yield "class_threshold", name, float(self.thresholds[k, 1]) if n_given else None

    def lines(self, config: Any) -> Sequence[str]:
        """Return totals, classes with most issues, and the lowest rows."""
        if not self.n_rows:
            return []
        missing, wrong = self.issues.sum(axis=0).tolist()
        lines = [
            "",
            f"mean label quality {self.mean:.4f}, method {config.method}, {config.aggregator}",
            f"label issues in {self.n_issue_rows:,} of {self.n_rows:,} rows, "
            f"{self.n_issue_rows / self.n_rows:.2%}, by {config.filter_by}: "
            f"{wrong:,} labels given wrongly, {missing:,} missing",
            "",
            "classes with most label issues:",
        ]
        order = np.argsort(-self.issues.sum(axis=1), kind="stable")[:N_CLASSES]
        rows = [
            (self.names[k], *(f"{n:,}" for n in (self.class_counts[k, 1], *self.issues[k, ::-1])))
            for k in order
        ]
        lines += aligned(("class", "rows given it", "wrongly", "missing in"), rows)
        worst = [
            (key, ", ".join(map(str, given)), ", ".join(map(str, suggested)), f"{quality:.6f}")
            for key, given, suggested, quality in self.worst
        ]
        lines += ["", "lowest label quality (1 clean, 0 suspect):"]
        return [*lines, *aligned((config.id, "given", "suggested", "quality"), worst)]


def summarize_sets(
    tables: Mapping[str, DataFrame], request: Request, judgement: Judgement, labels: str
) -> ScoredSets:
    """Return the tables of a run, as they were written, in short."""
    output, table, counts = tables["output"], request.table, judgement.counts
    shown = column(request.id), column(labels), SUGGESTED_LABELS, LABEL_QUALITY
    found = in_short(output, request.id, *shown)
    names = [str(name) for name in table.classes or range(table.n_classes)]
    in_order = table.classes if table.label_type.typeName() == "string" else range(len(names))
    place = {label: k for k, label in enumerate(in_order or ())}
    issues = np.zeros((len(names), 2), dtype=np.int64)
    by_class = tables["issue_output"].groupBy("class", "in_given_label").count()
    for label, in_given, count in by_class.collect():  # at most 2K rows
        issues[place[label], int(in_given)] = count
    return ScoredSets(
        found.n_rows,
        found.n_issues,
        found.mean,
        names,
        np.zeros((len(names), 2), dtype=np.int64) if counts is None else counts.class_counts,
        issues,
        np.zeros((len(names), 2)) if judgement.thresholds is None else judgement.thresholds,
        found.worst,
    )

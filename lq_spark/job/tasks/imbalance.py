"""The job of class imbalance: how many rows each class has, and whether one has too few.

Passes over the source beside its keys: one that counts the labels, and one for the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from lq_spark.core.imbalance.classes import THRESHOLD
from lq_spark.job.config import JobConfig, Name
from lq_spark.job.summary import Metric, Summary
from lq_spark.job.task import Task
from lq_spark.job.tasks.options import Id
from lq_spark.report.parts import Part, Table, count, share

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.reductions import Reduced, Scratch
    from lq_spark.tasks.imbalance import ImbalanceHealth

_N_SHOWN = 10


class ImbalanceConfig(JobConfig):
    """A run over rows with a class each."""

    task: Literal["imbalance"] = Field("imbalance", description="what is looked for")
    id: Id = "id"
    label: Name = Field("label", description="column of the given labels")
    classes: list[Name] | None = Field(None, description="class names; for string labels")
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else highest label)"
    )
    threshold: float = Field(
        THRESHOLD,
        ge=0,
        le=1,
        description="a class is too rare below this part of 1 / K",
    )

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "rarest_class_share": "Share of the rows that the rarest class has.",
        "absent_classes": "Classes without a row.",
        "imbalance_issues": "Rows of the rarest class, if it is too rare.",
        "issue_rate": "Share of the rows that are issues.",
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = {
        "class_rows": "Rows given the class.",
        "class_share": "Share of the rows given the class.",
    }
    class_counts: ClassVar[str | None] = "class_rows"

    @property
    def class_names(self) -> list[str] | None:
        """Return what metrics of each class call the classes, where the configuration says it."""
        if self.classes is not None:
            return list(self.classes)
        return None if self.n_classes is None else [str(k) for k in range(self.n_classes)]


@dataclass(frozen=True, slots=True)
class ClassRows(Summary):
    """The rows of each class in short."""

    health: ImbalanceHealth

    @property
    def _by_class(self) -> Iterator[tuple[str, int]]:
        from lq_spark.core.shared.display import names_at

        rows = self.health.class_rows
        yield from zip(names_at(self.health.classes, range(len(rows))), rows, strict=True)

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of the table, and of each class."""
        health, n_rows = self.health, self.health.n_rows
        yield "rarest_class_share", None, health.score
        yield "absent_classes", None, len(health.absent) if n_rows else None
        yield "imbalance_issues", None, health.n_issues
        yield "issue_rate", None, health.n_issues / n_rows if n_rows else None
        for name, n in self._by_class:
            yield "class_rows", name, n
            yield "class_share", name, n / n_rows if n_rows else None

    def parts(self, config: ImbalanceConfig) -> list[Part]:
        """Return the rarest class, and the rows of a few."""
        health = self.health
        verdict = "too rare" if health.n_issues else "not too rare"
        limit = config.threshold / len(health.class_rows)
        rarest = sorted(self._by_class, key=lambda of: of[1])
        rows = [(name, count(n), share(n / health.n_rows)) for name, n in rarest[:_N_SHOWN]]
        lines = [
            "",
            f"rarest class {health.rarest_class}, {health.score:.4%} of {health.n_rows:,} rows: "
            f"{verdict} (below {limit:.4%} is)",
        ]
        if health.absent:
            lines.append(f"classes without a row: {len(health.absent):,}")
        title = "classes of fewest rows"
        return [*lines, Table(title, ("class", "rows", "share"), rows, {"share": None})]


class ImbalanceTask(Task[ImbalanceConfig]):
    """Rows with a class each."""

    config_type = ImbalanceConfig
    passes = "one that counts the labels, and one for the output"
    score_column = "class_imbalance_score"
    flag_column = "is_class_imbalance_issue"
    comments: ClassVar[Mapping[str, str]] = {
        "class_imbalance_score": "Share of the rarest class for its rows, 1 for others: 0 rare",
        "is_class_imbalance_issue": "Whether the row's class is too rare",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.imbalance.counts import IS_ISSUE, SCORE
        from lq_spark.tasks.shared.class_counts import checked_labels

        config = self.config
        self.labels = checked_labels(self.source, config.label, config.classes, config.n_classes)
        self.classes, self.n_classes = self.labels.classes, self.labels.n_classes or 0
        self.require_new(IS_ISSUE, SCORE)
        self.counts = np.zeros(self.n_classes, dtype=np.int64)

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes."""
        return super().classes_text if self.n_classes else "as many as the labels say"

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they have no class, or null."""
        from lq_spark.tasks import imbalance

        config = self.config
        return imbalance.validate(
            rows,
            id=config.id,
            label=config.label,
            classes=config.classes,
            n_classes=config.n_classes,
        )

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        from lq_spark.tasks.imbalance.counts import with_imbalance

        return {"output": self._output(with_imbalance(self.none, self.labels, None))}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with their scores and flags."""
        from lq_spark.core.imbalance.classes import finish_imbalance
        from lq_spark.tasks.imbalance.counts import with_imbalance
        from lq_spark.tasks.shared.class_counts import class_counts

        self.counts = class_counts(rows, self.labels, fail=False)
        there = self.counts.any()
        found = finish_imbalance(self.counts, self.config.threshold) if there else None
        yield "output", self._output(with_imbalance(rows, self.labels, found))

    def _output(self, found: DataFrame) -> DataFrame:
        from lq_spark.tasks.imbalance.counts import IS_ISSUE, SCORE

        config = self.config
        return self.select(found, config.label, *config.keep_columns, IS_ISSUE, SCORE)

    def summarize(self, tables: Mapping[str, Reduced]) -> ClassRows:
        """Return the output in short."""
        from lq_spark.tasks.imbalance.health import imbalance_health

        return ClassRows(imbalance_health(self.counts, self.config.threshold, self.labels.classes))


TASK = ImbalanceTask

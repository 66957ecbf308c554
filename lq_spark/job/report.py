"""What a run did, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.exact import SCALE_BITS, exact_mean
from lq_spark.core.fitted import Thresholds
from lq_spark.engine.inputs import column
from lq_spark.engine.sums import scaled_halves
from lq_spark.tasks.labelled import LABEL_QUALITY, PREDICTED_LABEL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.job.config import ScoreConfig

N_WORST_ROWS = 10
N_WORST_CLASSES = 20


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """A given class: its rows, their mean label quality, and how many are predicted otherwise."""

    name: str
    n_rows: int
    mean: float
    n_disagreeing: int


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """The scores of a table in short.

    Attributes
    ----------
    classes : list of ClassQuality
        In the order of the classes.
    mean : float or None
        Mean label quality of all rows; None without rows.
    worst : list of tuple
        (id, label, predicted label, label quality) of the lowest scores, ties by id.
    """

    n_rows: int
    mean: float | None
    classes: list[ClassQuality]
    worst: list[tuple[object, ...]]


def summarize_scores(
    scores: DataFrame, id: str, label: str, classes: Sequence[str] | None
) -> ScoredRows | None:
    """Return the scores in short; None if a row has no score."""
    quality = column(LABEL_QUALITY)
    high, low = scaled_halves(quality, SCALE_BITS)
    # Labels of rows without a score may be anything, so they make one group.
    groups = (
        scores.groupBy(
            quality.isNull().alias("unfit"),
            F.when(quality.isNotNull(), column(label)).alias("name"),
        )
        .agg(
            F.count(F.lit(1)).alias("n"),
            F.sum(high).alias("high"),
            F.sum(low).alias("low"),
            F.count_if(column(label) != column(PREDICTED_LABEL)).alias("otherwise"),
        )
        .collect()
    )
    if any(group["unfit"] for group in groups):
        return None
    groups.sort(key=lambda group: group["name"])
    n_rows = sum(group["n"] for group in groups)
    high_sum, low_sum = (sum(group[half] for group in groups) for half in ("high", "low"))
    worst = scores.select(column(id), column(label), PREDICTED_LABEL, LABEL_QUALITY)
    return ScoredRows(
        n_rows,
        exact_mean(high_sum, low_sum, n_rows) if n_rows else None,
        [
            ClassQuality(
                classes[g["name"]] if classes and isinstance(g["name"], int) else str(g["name"]),
                g["n"],
                exact_mean(g["high"], g["low"], g["n"]),
                g["otherwise"],
            )
            for g in groups
        ],
        [tuple(row) for row in worst.orderBy(quality, column(id)).limit(N_WORST_ROWS).collect()],
    )


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    Attributes
    ----------
    quarantined : dict
        Number of rows for each reason why they could not be scored.
    seconds : dict
        Wall-clock time for each phase.
    """

    run_id: str
    started_at: datetime
    n_rows: int
    quarantined: dict[str, int]
    n_classes: int
    scored: ScoredRows
    thresholds: Thresholds | None
    seconds: dict[str, float]

    def metrics(self) -> Iterator[tuple[str, str | None, float]]:
        """Yield (metric, class or reason or phase or None, value)."""
        yield "rows", None, self.n_rows
        yield "rows_scored", None, self.scored.n_rows
        yield "rows_quarantined", None, sum(self.quarantined.values())
        for reason, count in self.quarantined.items():
            yield "rows_quarantined", reason, count
        if self.n_rows:
            yield "classes", None, self.n_classes
        if self.scored.mean is not None:
            yield "mean_label_quality", None, self.scored.mean
        for quality in self.scored.classes:
            yield "class_rows", quality.name, quality.n_rows
            yield "class_mean_label_quality", quality.name, quality.mean
            yield "class_rows_predicted_otherwise", quality.name, quality.n_disagreeing
        if self.thresholds is not None:
            names = self.thresholds.classes or range(self.thresholds.n_classes)
            for name, value in zip(names, self.thresholds.values, strict=True):
                yield "class_threshold", str(name), value
        for phase, seconds in self.seconds.items():
            yield "seconds", phase, seconds

    def text(self, config: ScoreConfig) -> str:
        """Return the summary that the job prints."""
        adjusted = ", adjusted by class thresholds" if config.adjust_pred_probs else ""
        lines = [
            f"{self.scored.n_rows:,} of {self.n_rows:,} rows scored, {self.n_classes:,} classes, "
            f"method {config.method}{adjusted}",
            f"scores      {config.output}",
            f"metrics     {config.metrics_path} (run {self.run_id})",
        ]
        if config.on_invalid == "quarantine":
            counts = "; ".join(f"{reason}: {n:,}" for reason, n in self.quarantined.items())
            lines.append(
                f"quarantine  {config.quarantine_path} ({sum(self.quarantined.values()):,} rows"
                f"{': ' + counts if counts else ''})"
            )
        if config.save_thresholds:
            lines.append(f"thresholds  {config.save_thresholds}")
        spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        lines += [f"time        {spent}"]
        if self.scored.mean is None:
            return "\n".join(lines)

        # Adjusted self-confidence has the same mean in every class but for rounding.
        worst_first = sorted(
            self.scored.classes, key=lambda q: (round(q.mean, 6), -q.n_disagreeing / q.n_rows)
        )
        shown = worst_first[:N_WORST_CLASSES]
        same = (
            " (adjusted self-confidence has the same mean in every class)"
            if config.adjust_pred_probs and config.method == "self_confidence"
            else ""
        )
        cut = (
            f", the lowest {len(shown)} of {len(worst_first):,}"
            if len(shown) < len(worst_first)
            else ""
        )
        lines += ["", f"mean label quality {self.scored.mean:.4f}; by given class{cut}{same}:"]
        lines += _aligned(
            ("class", "rows", "mean", "predicted otherwise"),
            [(q.name, f"{q.n_rows:,}", f"{q.mean:.4f}", f"{q.n_disagreeing:,}") for q in shown],
        )
        lines += ["", "lowest label quality (1 clean, 0 suspect):"]
        lines += _aligned(
            (config.id, "given", "predicted", "quality"),
            [(*row[:3], f"{row[3]:.6f}") for row in self.scored.worst],
        )
        return "\n".join(lines)


def _aligned(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, columns)) for columns in zip(*cells, strict=True)]
    return [
        "  " + "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))
        for row in cells
    ]

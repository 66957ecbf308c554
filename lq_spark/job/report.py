"""What a run did, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.health.tables import class_overlaps
from lq_spark.core.shared.exact import SCALE_BITS, exact_mean
from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.sums import scaled_halves
from lq_spark.job.class_metrics import (
    ClassQuality,
    count_issues,
    issue_metrics,
    threshold_metrics,
)
from lq_spark.tasks.multiclass.flags import IS_LABEL_ISSUE
from lq_spark.tasks.shared.batches import REASONS
from lq_spark.tasks.shared.labels import class_name, comparable
from lq_spark.tasks.shared.table import LABEL_QUALITY, PREDICTED_LABEL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.job.config import ScoreConfig

N_WORST_ROWS = 10
N_WORST_CLASSES = 20
N_OVERLAPS = 5


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
    scores: DataFrame,
    id: str,
    label: str,
    classes: Sequence[str] | None,
    n_classes: int | None,
) -> ScoredRows | None:
    """Return the scores in short; None if a row has no score.

    Where K is known, classes without rows are told of too.
    """
    quality = column(LABEL_QUALITY)
    sought = IS_LABEL_ISSUE in scores.columns
    is_issue = F.col(IS_LABEL_ISSUE) if sought else F.lit(None).cast("boolean")
    high, low = scaled_halves(quality, SCALE_BITS)
    kind = column_type(scores, label)
    given = comparable(column(label), kind, classes)
    predicted = comparable(column(PREDICTED_LABEL), kind, classes)
    # Labels of rows without a score may be anything, so they make one group.
    groups = (
        scores.groupBy(
            quality.isNull().alias("unfit"), F.when(quality.isNotNull(), given).alias("name")
        )
        .agg(
            F.count(F.lit(1)).alias("n"),
            F.sum(high).alias("high"),
            F.sum(low).alias("low"),
            F.count_if(quality.isNotNull() & (given != predicted)).alias("otherwise"),
            F.count_if(is_issue).alias("issues"),
        )
        .collect()
    )
    if any(group["unfit"] for group in groups):
        return None
    groups.sort(key=lambda group: group["name"])
    found = {
        quality.name: quality
        for quality in (
            ClassQuality(
                class_name(g["name"], classes),
                g["n"],
                exact_mean(g["high"], g["low"], g["n"]),
                g["otherwise"],
                g["issues"] if sought else None,
            )
            for g in groups
        )
    }
    names = list(found) if n_classes is None else list(map(str, classes or range(n_classes)))
    without = (0, None, 0, 0 if sought else None)
    n_rows = sum(group["n"] for group in groups)
    high_sum, low_sum = (sum(group[half] for group in groups) for half in ("high", "low"))
    worst = scores.select(column(id), column(label), PREDICTED_LABEL, LABEL_QUALITY)
    return ScoredRows(
        n_rows,
        exact_mean(high_sum, low_sum, n_rows) if n_rows else None,
        [found.get(name) or ClassQuality(name, *without) for name in names],
        [tuple(row) for row in worst.orderBy(quality, column(id)).limit(N_WORST_ROWS).collect()],
    )


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    Attributes
    ----------
    quarantined : dict
        Number of rows for each reason why they could not be scored.
    noise : NoiseModel or None
        What the rows say of the label noise, where issues were sought.
    n_classes : int or None
        K; None where only rows could say it, and there is none.
    seconds : dict
        Wall-clock time for each phase.
    sought : bool
        Whether label issues were sought.
    """

    run_id: str
    n_rows: int
    quarantined: dict[str, int]
    n_classes: int | None
    scored: ScoredRows
    thresholds: Thresholds | None
    noise: NoiseModel | None
    seconds: dict[str, float]
    sought: bool

    def metrics(self) -> Iterator[tuple[str, str | None, float | None]]:
        """Yield (metric, class or reason or phase or None, value)."""
        yield "rows", None, self.n_rows
        yield "rows_scored", None, self.scored.n_rows
        yield "rows_quarantined", None, sum(self.quarantined.values())
        for reason in dict.fromkeys([*REASONS, *self.quarantined]):
            yield "rows_quarantined", reason, self.quarantined.get(reason, 0)
        yield "classes", None, self.n_classes
        yield "mean_label_quality", None, self.scored.mean
        for quality in self.scored.classes:
            yield "class_rows", quality.name, quality.n_rows
            yield "class_mean_label_quality", quality.name, quality.mean
            yield "class_rows_predicted_otherwise", quality.name, quality.n_disagreeing
        yield from issue_metrics(self.sought, self.scored.classes, self.noise)
        yield from threshold_metrics(self.thresholds)
        for phase, seconds in self.seconds.items():
            yield "seconds", phase, seconds

    @property
    def n_issues(self) -> int:
        """Return how many label issues were found."""
        return count_issues(self.scored.classes)

    def text(self, config: ScoreConfig) -> str:
        """Return the summary that the job prints."""
        adjusted = ", adjusted by class thresholds" if config.adjust_pred_probs else ""
        lines = [
            f"{self.scored.n_rows:,} of {self.n_rows:,} rows scored, "
            + (f"{self.n_classes:,} classes, " if self.n_classes else "")
            + f"method {config.method}{adjusted}",
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
        if config.save_fitted:
            lines.append(f"fitted      {config.save_fitted}")
        if self.noise is not None:
            lines += [
                f"health      {config.class_health_path}, {config.class_overlaps_path}",
                f"issues      {self.n_issues:,} labels, {self.n_issues / self.scored.n_rows:.2%}, "
                f"by {config.filter_by}; label health {self.noise.health_score:.4f}",
            ]
        spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        lines += [f"time        {spent}"]
        if self.scored.mean is None:
            return "\n".join(lines)

        # Adjusted self-confidence has the same mean in every class but for rounding.
        worst_first = sorted(
            (q for q in self.scored.classes if q.n_rows),
            key=lambda q: (round(q.mean or 0.0, 6), -q.n_disagreeing / q.n_rows),
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
        header = ["class", "rows", "mean", "predicted otherwise"]
        cells = [[q.name, f"{q.n_rows:,}", f"{q.mean:.4f}", f"{q.n_disagreeing:,}"] for q in shown]
        if self.noise is not None:
            header.append("issues")
            cells = [[*row, f"{q.n_issues:,}"] for row, q in zip(cells, shown, strict=True)]
        lines += aligned(header, cells)
        if self.noise is not None:
            lines += overlaps_text(self.noise)
        lines += ["", "lowest label quality (1 clean, 0 suspect):"]
        lines += aligned(
            (config.id, "given", "predicted", "quality"),
            [(*row[:3], f"{row[3]:.6f}") for row in self.scored.worst],
        )
        return "\n".join(lines)


def overlaps_text(noise: NoiseModel) -> list[str]:
    """Return which labels are most often given for which other class, as lines."""
    found = class_overlaps(noise.joint, noise.n_rows, asymmetric=True)
    names = noise.classes or range(noise.n_classes)
    shown = [
        (names[given], names[true], f"{n:,}")
        for given, true, n in zip(
            found.class_a[:N_OVERLAPS],
            found.class_b[:N_OVERLAPS],
            found.num_overlapping[:N_OVERLAPS],
            strict=True,
        )
        if n
    ]
    if not shown:
        return []
    title = "labels most often given for another class, estimated:"
    return ["", title, *aligned(("given", "true", "rows"), shown)]


def aligned(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a small table as lines, columns aligned to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, columns)) for columns in zip(*cells, strict=True)]
    return [
        "  " + "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))
        for row in cells
    ]

"""What a run over images did, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.engine.inputs import column
from lq_spark.job.class_metrics import threshold_metrics
from lq_spark.job.conditions import PAIR
from lq_spark.job.lowest import in_short
from lq_spark.job.report import aligned
from lq_spark.job.task_run import Metric
from lq_spark.tasks.segmentation.batches import NUM_PIXEL_ISSUES
from lq_spark.tasks.segmentation.health import SegmentationHealth
from lq_spark.tasks.shared.table import LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

N_CLASSES = 20
N_PAIRS = 5


@dataclass(frozen=True, slots=True)
class ScoredImages:
    """The scores of images in short.

    Attributes
    ----------
    n_rows, n_with_issues : int
        Images, and those of them with a label issue.
    mean : float or None
        Mean label quality; None without images.
    worst : list of tuple
        (id, label quality, pixels with issues) of the lowest, ties by id.
    health : SegmentationHealth
    thresholds : Thresholds
        With the names of the classes, where they have names.
    """

    n_rows: int
    n_with_issues: int
    mean: float | None
    worst: list[tuple[Any, ...]]
    health: SegmentationHealth
    thresholds: Thresholds

    def metrics(self) -> Iterator[Metric]:
        """Yield (metric, class or pair of classes or None, value)."""
        n_pixels, n_issues = self.health.n_pixels, self.health.n_pixel_issues
        yield "classes", None, self.thresholds.n_classes
        yield "mean_label_quality", None, self.mean
        yield "images_with_issues", None, self.n_with_issues
        yield "pixels_scored", None, n_pixels
        yield "label_issues", None, n_issues
        yield "issue_rate", None, n_issues / n_pixels if n_pixels else None
        for name, pixels, issues, share, _ in self.health.classes.itertuples(index=False):
            yield "class_pixels", str(name), pixels
            yield "class_label_issues", str(name), issues
            yield "class_issue_rate", str(name), share if pixels else None
        for given, predicted, count in self.health.common_issues.itertuples(index=False):
            yield "pair_label_issues", f"{given}{PAIR}{predicted}", count
        yield from threshold_metrics(self.thresholds)

    def lines(self, config: Any) -> Sequence[str]:
        """Return totals, classes and pairs with most issues, and the lowest images."""
        if not self.n_rows:
            return []
        health = self.health
        share = health.n_pixel_issues / max(health.n_pixels, 1)  # all pixels may be ignored
        lines = [
            "",
            f"mean label quality {self.mean:.4f}, method {config.method}",
            f"label issues at {health.n_pixel_issues:,} of {health.n_pixels:,} pixels "
            f"({share:.2%}), in {self.n_with_issues:,} images",
            "",
            "classes by their share of issues:",
        ]
        rows = [
            (name, f"{pixels:,}", f"{issues:,}", f"{rate:.2%}")
            for name, pixels, issues, rate, _ in health.classes.itertuples(index=False)
        ]
        lines += aligned(("class", "pixels", "issues", "share"), rows[:N_CLASSES])
        pairs = [
            (given, predicted, f"{count:,}")
            for given, predicted, count in health.common_issues.itertuples(index=False)
        ]
        if pairs:
            lines += ["", "commonest issues:"]
            lines += aligned(("given", "predicted", "pixels"), pairs[:N_PAIRS])
        worst = [(key, f"{quality:.6f}", f"{count:,}") for key, quality, count in self.worst]
        lines += ["", "lowest label quality (1 clean, 0 suspect):"]
        return [*lines, *aligned((config.id, "quality", "issue pixels"), worst)]


def summarize_images(
    scores: DataFrame, id: str, health: SegmentationHealth, thresholds: Thresholds
) -> ScoredImages:
    """Return the scores of images, as they were written, in short."""
    found = in_short(scores, id, column(id), LABEL_QUALITY, NUM_PIXEL_ISSUES)
    return ScoredImages(*found, health, thresholds)

"""The job of semantic segmentation: images with a label and K probabilities a pixel.

One pass over the images beside their keys, for their facts, which are written down and are small
beside the images. Issues, scores and counts come from the facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from lq_spark.core.confident.joint import counted_pairs
from lq_spark.core.confident.thresholds import ClassSums, Thresholds
from lq_spark.core.segmentation.api import DEFAULT_TEMPERATURE, IMAGE_METHODS, require_temperature
from lq_spark.core.segmentation.issues import SegmentationModel, pixel_thresholds
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.errors import InvalidRowsError, require_one_of
from lq_spark.job.conditions import PAIR
from lq_spark.job.config import Name
from lq_spark.job.summary import (
    N_WORST_CLASSES,
    Metric,
    Summary,
    lowest_table,
    threshold_metrics,
)
from lq_spark.job.task import BATCH_BYTES, READER_BATCHES, Fitted
from lq_spark.job.tasks.options import (
    CLASS_ISSUE_METRICS,
    THRESHOLD_METRIC,
    ClassesConfig,
    FlaggedTask,
)
from lq_spark.report.parts import Part, Section, Table, count, share

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.readings import Input
    from lq_spark.engine.reductions import Reduced, Scratch
    from lq_spark.tasks.segmentation.health import SegmentationHealth

N_PAIRS = 5


class SegmentationConfig(ClassesConfig):
    """A run over images."""

    task: Literal["segmentation"] = Field("segmentation", description="what the labels are")
    id: Name = Field("id", description="column that tells the images apart")
    label_mask: Name = Field(
        "label_mask",
        description="column of the given classes, (H, W): nested arrays; or binary, beside columns "
        "of its name with _shape (array<int>) and _dtype (numpy's name) added",
    )
    pred_probs: Name = Field(
        "pred_probs", description="column of the predicted probabilities, (K, H, W), likewise"
    )
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities, for metrics and summary"
    )
    downsample: int | None = Field(
        None, ge=1, description="side of the squares of pixels to average first (else 1)"
    )
    ignore_label: int | None = Field(
        None, description="label of pixels that are left out, as 255 of borders often is"
    )
    method: str = Field(
        "softmin", description=f"label quality of an image: {', '.join(IMAGE_METHODS)}"
    )
    temperature: float = Field(
        DEFAULT_TEMPERATURE, description="of softmin: near 0 the worst pixel, higher the mean"
    )
    tolerance: float = Field(
        SUM_TOLERANCE, ge=0, lt=1, description="how far a pixel's probabilities may sum from 1"
    )

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "classes": "Number of classes, K.",
        "mean_label_quality": "Mean label quality of the images: 1 clean, 0 suspect (Lad, Mueller "
        "2023).",
        "pixels_scored": "Pixels that have a score.",
        "images_with_issues": "Images with a pixel that is an issue.",
        "label_issues": "Pixels that are issues.",
        "issue_rate": "Share of the pixels that are issues.",
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = {
        "class_pixels": "Pixels given the class.",
        "pair_label_issues": "Pixels that are issues, of a given class and the class that the "
        "model predicts.",
        **CLASS_ISSUE_METRICS,
        **THRESHOLD_METRIC,
    }
    class_counts: ClassVar[str | None] = "class_pixels"

    @model_validator(mode="after")
    def _scores_agree(self) -> SegmentationConfig:
        require_one_of("method", self.method, IMAGE_METHODS)
        require_temperature(self.temperature)
        return self


@dataclass(frozen=True, slots=True)
class ScoredImages(Summary):
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
        for name, pixels, issues, rate, _ in self.health.classes.itertuples(index=False):
            yield "class_pixels", str(name), pixels
            yield "class_label_issues", str(name), issues
            yield "class_issue_rate", str(name), rate if pixels else None
        for given, predicted, n in self.health.common_issues.itertuples(index=False):
            yield "pair_label_issues", f"{given}{PAIR}{predicted}", n
        yield from threshold_metrics(self.thresholds)

    def parts(self, config: SegmentationConfig) -> list[Part]:
        """Return totals, classes and pairs with most issues, and the lowest images."""
        health = self.health
        rate = health.n_pixel_issues / max(health.n_pixels, 1)  # all pixels may be ignored
        lines = [
            "",
            f"mean label quality {self.mean:.4f}, method {config.method}",
            f"label issues at {health.n_pixel_issues:,} of {health.n_pixels:,} pixels "
            f"({rate:.2%}), in {self.n_with_issues:,} images",
        ]
        rows = [
            (name, count(pixels), count(issues), share(of_class))
            for name, pixels, issues, of_class, _ in health.classes.itertuples(index=False)
        ]
        pairs = [
            (given, predicted, count(n))
            for given, predicted, n in health.common_issues.itertuples(index=False)
        ]
        worst = [(key, quality, count(n)) for key, quality, n in self.worst]
        return [
            *lines,
            Table(
                "classes by their share of issues",
                ("class", "pixels", "issues", "share"),
                rows[:N_WORST_CLASSES],
                {"share": None},
            ),
            Table(
                "commonest issues",
                ("given", "predicted", "pixels"),
                pairs[:N_PAIRS],
                {"pixels": None},
            ),
            lowest_table((config.id, "quality", "issue pixels"), worst),
        ]


class SegmentationTask(FlaggedTask[SegmentationConfig]):
    """Images with a label a pixel."""

    config_type = SegmentationConfig
    passes = "one for the facts of the images, which are written down"
    place_in_reason = (r"^pixel \(\d+, \d+\): ", "a pixel: ")
    comments: ClassVar[Mapping[str, str]] = {
        "num_pixel_issues": "How many pixels of the image have a label issue",
        "pixel_issue_share": "Their share of the pixels",
        "issue_mask": "Which pixels: a byte each, row by row, 1 for an issue",
        "issue_mask_shape": "Height and width of that mask",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.segmentation.batches import ISSUES
        from lq_spark.tasks.segmentation.columns import (
            first_image_size,
            image_columns,
            require_memory,
        )
        from lq_spark.tasks.segmentation.health import segmentation_health
        from lq_spark.tasks.segmentation.issues import agreed_downsample, image_layout
        from lq_spark.tasks.shared.classes import checked_classes, require_n_classes

        config = self.config
        self.loaded = SegmentationModel.load(config.fitted) if config.fitted else None
        side = agreed_downsample(config.downsample, self.loaded)
        names = checked_classes(config.classes)
        self.columns = image_columns(
            self.source, label_mask=config.label_mask, pred_probs=config.pred_probs
        )
        self.require_new(*ISSUES)
        # Few images at a time, in the JVM and in Python, by the size of the first.
        size = first_image_size(self.source, self.columns)
        require_memory(self.source, size)
        self.bound_batches(size)
        few = max(1, BATCH_BYTES // size)
        if int(self.spark.conf.get(READER_BATCHES) or 0) > few:
            self.spark.conf.set(READER_BATCHES, str(few))
        self.layout = image_layout(
            self.source,
            self.columns,
            config.n_classes or (len(names) if names else None),
            self.loaded,
            side,
            config.tolerance,
            config.ignore_label,
        )
        n_classes = self.n_classes = self.layout.n_classes
        self.classes = config.classes
        require_n_classes(n_classes, names)
        self.carried = list(dict.fromkeys([config.id, *config.keep_columns]))
        nothing = np.zeros((4, n_classes), dtype=np.int64)
        thresholds = pixel_thresholds(ClassSums(*nothing[1:]))
        self.model = self.loaded or SegmentationModel(thresholds, 0, None)
        self.is_fitted = False
        no_pairs = counted_pairs(n_classes, *np.zeros((2, 0), dtype=np.int64))
        self.health = segmentation_health(0, nothing[0], no_pairs, config.classes)

    def not_by_itself(self) -> str:
        """Return that thresholds are fitted on all images, if they are."""
        return "" if self.loaded else "thresholds are fitted on all images; give fitted"

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import segmentation

        return segmentation.validate(
            rows,
            id=self.config.id,
            label_mask=self.config.label_mask,
            pred_probs=self.config.pred_probs,
            n_classes=self.layout.n_classes,
            downsample=self.layout.downsample,
            ignore_label=self.layout.ignore_label,
            tolerance=self.config.tolerance,
        )

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        from lq_spark.tasks.segmentation.passes import all_pixels_at_the_cut

        taken = all_pixels_at_the_cut(self.config.id)
        return {"output": self._issues(self._facts(self.none), taken)}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield the scores and issues of images."""
        from lq_spark.engine.sums import count_values
        from lq_spark.tasks.segmentation.health import segmentation_health
        from lq_spark.tasks.segmentation.passes import (
            all_pixels_at_the_cut,
            class_sums_of,
            fitted_model,
            issue_pairs,
            pixels_taken,
        )

        layout, taken = self.layout, all_pixels_at_the_cut(self.config.id)
        facts = scratch(self._facts(rows)).rows
        n, n_usable = count_values(facts, self.score_column)
        if n_usable < n:
            raise InvalidRowsError(f"{n - n_usable} of {n} images cannot be scored")
        with self.timed("cut"):
            counts, sums = class_sums_of(facts, layout.n_classes)
            if self.loaded is None:
                self.model = fitted_model(facts, sums, layout.downsample)
                self.is_fitted = True
                taken = pixels_taken(facts, self.model, self.config.id)
            pairs = issue_pairs(facts, self.model, taken)
        self.health = segmentation_health(n, counts, pairs, self.config.classes)
        yield "output", self._issues(facts, taken)

    def _facts(self, rows: DataFrame) -> DataFrame:
        from lq_spark.tasks.segmentation.issues import facts_of

        temperature = self.config.temperature
        return facts_of(rows, self.columns, self.layout, self.carried, temperature, fail=False)

    def _issues(self, facts: DataFrame, taken: Input) -> DataFrame:
        from lq_spark.tasks.segmentation.issues import flagged_facts

        return flagged_facts(facts, self.model, taken, self.config.method, self.carried)

    @property
    def shown(self) -> tuple[Input, ...]:
        """Return the score of an image, and how many issues it has."""
        from lq_spark.engine.readings import column_input

        columns = (self.config.id, self.score_column, "num_pixel_issues")
        return tuple(map(column_input, columns))

    def summarize(self, tables: Mapping[str, Reduced]) -> ScoredImages:
        """Return the scores of images in short."""
        thresholds = self.model.thresholds
        if self.config.classes:
            thresholds = replace(thresholds, classes=tuple(self.config.classes))
        found = self.scores(tables["output"])
        self.worst = [row[0] for row in found.worst], tables["output"].rows
        return ScoredImages(*found, self.health, thresholds)

    def report_sections(self, rows: DataFrame) -> list[Section]:
        """Return the worst images with their masks."""
        from lq_spark.job.pictured import Worst, masks_section

        config = self.config
        worst = Worst(config.id, *self.worst, config.report_image)
        return [masks_section(rows, self.columns, self.layout, config.classes, worst)]

    def fitted(self) -> Mapping[str, Fitted | None]:
        """Return thresholds and cut, by the option that says where to save them."""
        return {"save_fitted": self.model if self.is_fitted else None}


TASK = SegmentationTask

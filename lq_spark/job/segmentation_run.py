"""One run of the job that scores images with a label a pixel.

Passes over the images: one that checks each; one for their facts, which are written down and are
small beside the images. Issues, scores and counts come from the facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from lq_spark.core.confident.thresholds import ClassSums
from lq_spark.core.segmentation.issues import SegmentationModel, pixel_thresholds
from lq_spark.engine.inputs import require_key, require_new_columns
from lq_spark.errors import LqError, listed
from lq_spark.job.base import BATCH_BYTES, RunId
from lq_spark.job.segmentation_report import ScoredImages, summarize_images
from lq_spark.job.task_run import TaskRun
from lq_spark.tables.formats import Output
from lq_spark.tasks import segmentation
from lq_spark.tasks.segmentation.batches import ALL_TIED, ISSUES
from lq_spark.tasks.segmentation.columns import first_image_size, image_columns, require_memory
from lq_spark.tasks.segmentation.health import SegmentationHealth, segmentation_health
from lq_spark.tasks.segmentation.issues import (
    agreed_downsample,
    facts_of,
    flagged_facts,
    image_layout,
)
from lq_spark.tasks.segmentation.passes import (
    class_sums_of,
    fitted_model,
    issue_pairs,
    pixels_taken,
)
from lq_spark.tasks.shared.labels import (
    checked_classes,
)
from lq_spark.tasks.shared.table import (
    INVALID_REASON,
    require_n_classes,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from lq_spark.job.segmentation_config import SegmentationConfig
    from lq_spark.tables.spec import TableSpec

_READER_BATCH = "spark.sql.parquet.columnarReaderBatchSize"


class SegmentationRun(TaskRun["SegmentationConfig"]):
    """A run: its configuration and its source, checked.

    Raises
    ------
    OptionError, ColumnError, DataError
        If there is no such table, a column is missing or of another type, or K is 1.
    """

    def __init__(
        self, spark: SparkSession, config: SegmentationConfig, which: RunId | None = None
    ) -> None:
        super().__init__(spark, config, which)
        with self._timed("open"):
            self.fitted = SegmentationModel.load(config.fitted) if config.fitted else None
            self.model = self.fitted
            self.health: SegmentationHealth | None = None
            side = agreed_downsample(config.downsample, self.fitted)
            names = checked_classes(config.classes)
            require_key(self.source, "id", config.id)
            self.columns = image_columns(
                self.source, label_mask=config.label_mask, pred_probs=config.pred_probs
            )
            require_new_columns(self.source, [*ISSUES, INVALID_REASON])
            self._bound_reading()
            told = config.n_classes or (len(names) if names else None)
            self.layout = image_layout(
                self.source,
                self.columns,
                told,
                self.fitted,
                side,
                config.tolerance,
                config.ignore_label,
            )
            require_n_classes(self.layout.n_classes, names)

    def _bound_reading(self) -> None:
        """Read few images at a time, in the JVM and in Python, by the size of the first."""
        size = first_image_size(self.source, self.columns)
        require_memory(self.source, size)
        self.bound_batches(size)
        few = max(1, BATCH_BYTES // size)
        if int(self.spark.conf.get(_READER_BATCH) or 0) > few:
            self.spark.conf.set(_READER_BATCH, str(few))

    def specs(self) -> dict[str, TableSpec]:
        """Return the one table of the task."""
        return {"output": self.config.output_spec}

    def said_of_classes(self) -> str:
        """Return what a dry run says of the classes."""
        names = self.config.classes
        return f"{self.layout.n_classes:,}" + (f": {listed(names)}" if names else "")

    def checked(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
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

    def kind_of_reason(self, reason: Column) -> Column:
        """Return a reason without the place of the pixel."""
        return F.regexp_replace(reason, r"^pixel \(\d+, \d+\): ", "a pixel: ")

    def tables(self, rows: DataFrame, keep: Output | None = None) -> dict[str, DataFrame]:
        """Return the scores and issues of images that can all be scored."""
        config, layout = self.config, self.layout
        carried = list(dict.fromkeys([config.id, *config.keep_columns]))
        facts = facts_of(rows, self.columns, layout, carried, config.temperature)
        model, taken = self.fitted, F.lit(ALL_TIED)
        if keep is None:  # for the columns alone
            none = ClassSums(*np.zeros((3, layout.n_classes), dtype=np.int64))
            model = SegmentationModel(pixel_thresholds(none), 0, None)
        else:
            facts = keep.scratch(facts)
            model, taken = self._judge(facts)
        return {"output": flagged_facts(facts, model, taken, config.method, carried)}

    def _judge(self, facts: DataFrame) -> tuple[SegmentationModel, Column]:
        """Return what the images say, or was fitted, and how many pixels are taken at the cut."""
        config, layout = self.config, self.layout
        counts, sums = class_sums_of(facts, layout.n_classes)
        model, taken = self.fitted, F.lit(ALL_TIED)
        if model is None:
            model = fitted_model(facts, sums, layout.downsample)
            taken = pixels_taken(facts, model, config.id)
        pairs = issue_pairs(facts, model, taken)
        self.health = segmentation_health(facts.count(), counts, pairs, config.classes)
        self.model = model
        return model, taken

    def summarize(self, tables: Mapping[str, DataFrame]) -> ScoredImages:
        """Return the scores in short."""
        if self.model is None or self.health is None:
            raise LqError("images are told of before they are scored")
        thresholds = self.model.thresholds
        if self.config.classes:
            thresholds = replace(thresholds, classes=tuple(self.config.classes))
        return summarize_images(tables["output"], self.config.id, self.health, thresholds)

    def save_fitted(self) -> None:
        """Save thresholds and cut, where that was asked for."""
        if self.config.save_fitted and self.model is not None:
            self.model.save(self.config.save_fitted)

"""One run of the job that scores images with boxes.

Passes over the images: one that checks each, two or three that fit, one that scores. Where boxes
come as rows, the images are put together once and written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F

from lq_spark.core.detection.model import DetectionModel
from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.errors import LqError, listed
from lq_spark.job.base import RunId
from lq_spark.job.detection_report import ScoredBoxes, summarize_boxes
from lq_spark.job.task_run import TaskRun
from lq_spark.tables.formats import Output, read_table
from lq_spark.tasks import detection
from lq_spark.tasks.detection.batches import BOX_ISSUES
from lq_spark.tasks.detection.columns import agreed_classes, detection_columns, resolved_n_classes
from lq_spark.tasks.detection.summary import class_counts
from lq_spark.tasks.multiclass.flags import IS_LABEL_ISSUE, ISSUE_RANK, with_issue_rank
from lq_spark.tasks.shared.table import INVALID_REASON, LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from lq_spark.job.detection_config import DetectionConfig
    from lq_spark.tables.spec import TableSpec


class DetectionRun(TaskRun["DetectionConfig"]):
    """A run: its configuration and its source, checked.

    Raises
    ------
    OptionError, ColumnError, DataError
        If there is no such table, a column is missing or of another type, or labels are no classes.
    """

    def __init__(
        self, spark: SparkSession, config: DetectionConfig, which: RunId | None = None
    ) -> None:
        super().__init__(spark, config, which)
        with self._timed("open"):
            self.fitted = DetectionModel.load(config.fitted) if config.fitted else None
            self.model = self.fitted
            if config.box_specs:
                boxes = [read_table(spark, spec).df for spec in config.box_specs]
                self.source = detection.from_boxes(*boxes, images=self.source, **config.boxes)
            names = {"labels": config.labels, "predictions": config.predictions}
            require_key(self.source, "id", config.id)
            self.columns = detection_columns(
                self.source, **names, classes=agreed_classes(config.classes, self.fitted)
            )
            added = [IS_LABEL_ISSUE, LABEL_QUALITY, BOX_ISSUES, ISSUE_RANK, INVALID_REASON]
            require_new_columns(self.source, added)
            self.n_classes = resolved_n_classes(
                self.source, self.columns, config.n_classes, self.fitted
            )
        self.options: dict[str, Any] = {
            **names,
            "classes": self.columns.classes,
            "n_classes": self.n_classes,
        }
        self.n_boxes = (np.zeros(self.n_classes, dtype=np.int64),) * 2

    def specs(self) -> dict[str, TableSpec]:
        """Return the one table of the task."""
        return {"output": self.config.output_spec}

    def said_of_classes(self) -> str:
        """Return what a dry run says of the classes."""
        names = self.columns.classes
        return f"{self.n_classes:,}" + (f": {listed(names)}" if names else "")

    def checked(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        return detection.validate(rows, id=self.config.id, **self.options)

    def kind_of_reason(self, reason: Column) -> Column:
        """Return a reason without the number of the box."""
        return F.regexp_replace(reason, r" box \d+: ", " box: ")

    def tables(self, rows: DataFrame, keep: Output | None = None) -> dict[str, DataFrame]:
        """Return the scores and issues of images that can all be scored."""
        config = self.config
        model = self.fitted
        if keep is None:  # for the columns alone
            model = model or DetectionModel(1.0, *((0,) * self.n_classes,) * 3, n_images=0)
        else:
            if config.box_specs:
                rows = keep.scratch(rows)
            if model is None:
                model = detection.fit(rows, id=config.id, **self.options)
                self.n_boxes = np.array(model.label_counts), np.array(model.prediction_counts)
            else:
                self.n_boxes = class_counts(rows, self.columns, self.n_classes)
            self.model = model
        found = detection.find_issues(
            rows,
            id=config.id,
            **self.options,
            fitted=model,
            aggregation_weights=config.weights,
            overlapping_label_check=config.overlapping_label_check,
        )
        carried = dict.fromkeys([config.id, *config.keep_columns])
        added = [IS_LABEL_ISSUE, LABEL_QUALITY, BOX_ISSUES]
        found = found.select(*map(column, [*carried, *added]))
        if config.issue_rank:  # of what is written down: ranks read it more than once
            found = with_issue_rank(keep.scratch(found) if keep else found, config.id)
        return {"output": found}

    def summarize(self, tables: Mapping[str, DataFrame]) -> ScoredBoxes:
        """Return the scores in short."""
        if self.model is None:
            raise LqError("images are told of before they are scored")
        return summarize_boxes(tables["output"], self.config.id, self.model, *self.n_boxes)

    def save_fitted(self) -> None:
        """Save what was fitted, where that was asked for."""
        if self.config.save_fitted and self.model is not None:
            self.model.save(self.config.save_fitted)

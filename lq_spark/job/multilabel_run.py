"""One run of the job over label sets.

Passes over the source: one that checks each row; those of :func:`lq_spark.multilabel.find_issues`,
the last of which is written down: both tables are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.engine.inputs import column, require_new_columns
from lq_spark.errors import LqError, listed
from lq_spark.job.base import RunId
from lq_spark.job.multilabel_report import ScoredSets, summarize_sets
from lq_spark.job.task_run import TaskRun
from lq_spark.tables.formats import Output
from lq_spark.tasks import multilabel
from lq_spark.tasks.multiclass.flags import IS_LABEL_ISSUE, ISSUE_RANK, with_issue_rank
from lq_spark.tasks.multilabel.batches import CELLS
from lq_spark.tasks.multilabel.flags import Judgement, judged, requested, with_issues
from lq_spark.tasks.multilabel.issues import (
    ISSUE_COLUMNS,
    cell_rows,
    require_free_name,
    with_label_sets,
)
from lq_spark.tasks.shared.table import INVALID_REASON, LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lq_spark.job.multilabel_config import MultilabelConfig
    from lq_spark.tables.spec import TableSpec


class MultilabelRun(TaskRun["MultilabelConfig"]):
    """A run: its configuration and its source, checked.

    Raises
    ------
    OptionError, ColumnError, DataError
        If there is no such table, a column is missing or of another type, or K is 1.
    """

    def __init__(
        self, spark: SparkSession, config: MultilabelConfig, which: RunId | None = None
    ) -> None:
        super().__init__(spark, config, which)
        with self._timed("open"):
            fitted = MultilabelModel.load(config.fitted) if config.fitted else None
            rank = [ISSUE_RANK] if config.issue_rank else []
            require_new_columns(self.source, [*ISSUE_COLUMNS, *rank, INVALID_REASON])
            require_free_name(config.id)
            self.columns: dict[str, Any] = {
                "labels": config.labels,
                "pred_probs": config.pred_probs,
                "classes": config.classes or (fitted and fitted.classes),
            }
            self.request = requested(
                self.source,
                by_row=True,
                id=config.id,
                **self.columns,
                n_classes=config.n_classes,
                filter_by=config.filter_by,
                frac_noise=config.frac_noise,
                num_to_remove_per_class=config.num_to_remove_per_class,
                min_examples_per_class=config.min_examples_per_class,
                fitted=fitted,
                method=config.method,
                adjust_pred_probs=config.adjust_pred_probs,
                aggregator_kwargs=config.aggregator_kwargs,
            )
            self.columns["classes"] = self.request.table.classes
            self.judgement: Judgement | None = None
        self.bound_batches(8 * self.request.table.n_classes)

    def specs(self) -> dict[str, TableSpec]:
        """Return the tables of rows and of suspected classes."""
        return {
            "output": self.config.output_spec,
            "issue_output": self.config.issue_output_spec,
        }

    def said_of_classes(self) -> str:
        """Return what a dry run says of the classes."""
        table = self.request.table
        return f"{table.n_classes:,}" + (f": {listed(table.classes)}" if table.classes else "")

    def checked(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        n_classes = self.request.table.n_classes
        return multilabel.validate(rows, id=self.config.id, **self.columns, n_classes=n_classes)

    def tables(self, rows: DataFrame, keep: Output | None = None) -> dict[str, DataFrame]:
        """Return rows with their issues, and their suspected classes, of rows that are all fit."""
        config, request = self.config, self.request
        carried = list(dict.fromkeys([config.id, config.labels, *config.keep_columns]))
        if keep is None:  # for the columns alone
            none = np.zeros((request.table.n_classes, 2), dtype=np.int64)
            found = with_issues(rows, request, Judgement(None, None, none))
        else:
            self.judgement = judged(rows, request, count=True)
            found = with_issues(rows, request, self.judgement)
            names = [*carried, IS_LABEL_ISSUE, LABEL_QUALITY, CELLS]
            found = keep.scratch(found.select(*map(column, names)))
        output = with_label_sets(found, carried, request.table)
        if config.issue_rank:
            output = with_issue_rank(output, config.id)
        return {"output": output, "issue_output": cell_rows(found, config.id, request.table)}

    def summarize(self, tables: Mapping[str, DataFrame]) -> ScoredSets:
        """Return the tables in short."""
        if self.judgement is None or self.judgement.counts is None:
            raise LqError("label sets are told of before they are judged")
        return summarize_sets(tables, self.request, self.judgement, self.config.labels)

    def save_fitted(self) -> None:
        """Save thresholds and joints, where that was asked for."""
        found, classes = self.judgement, self.request.table.classes
        if self.config.save_fitted and found and found.counts and found.thresholds is not None:
            model = MultilabelModel.of_counts(found.thresholds, found.counts, classes)
            model.save(self.config.save_fitted)

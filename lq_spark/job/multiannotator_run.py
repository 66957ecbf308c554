"""One run of the job over the labels of several annotators.

Passes: items and annotations are gathered and written down beside the outputs, one row an item;
there they are checked and counted in one Python pass, fitted in one to four, rated in one. What is
rated is written down too, and the three tables are made of it. Only if something cannot be scored
are the tables themselves checked row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F

from lq_spark.core.multiannotator.majority import VoteCounts, VoteSummary
from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.engine.inputs import column, require_new_columns
from lq_spark.engine.keys import summarize_key
from lq_spark.errors import InvalidRowsError, listed
from lq_spark.job.base import RunId
from lq_spark.job.comments import commented
from lq_spark.job.invalid import count_reasons, reasons_text
from lq_spark.job.multiannotator_report import CrowdSummary, summarize_crowd
from lq_spark.job.task_run import TaskRun
from lq_spark.tables.formats import Output, read_table
from lq_spark.tasks.multiannotator.checks import MultiannotatorChecks, checked_crowd
from lq_spark.tasks.multiannotator.columns import (
    CrowdTables,
    annotator_names,
    crowd_n_classes,
    crowd_tables,
    gathered,
    probability_columns,
)
from lq_spark.tasks.multiannotator.options import CrowdOptions, agreed_classes, require_fitted_for
from lq_spark.tasks.multiannotator.passes import (
    GatheredItems,
    count_faults,
    fit_crowd,
    sum_thresholds,
)
from lq_spark.tasks.multiannotator.reader import CrowdReader
from lq_spark.tasks.multiannotator.results import ITEM_COLUMNS, MultiannotatorScores, rated_items
from lq_spark.tasks.shared.table import INVALID_REASON

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lq_spark.job.multiannotator_config import MultiannotatorConfig
    from lq_spark.tables.spec import TableSpec


@dataclass(frozen=True)
class Gathered:
    """Gathered items without a fault, written down, and what their labels say."""

    tables: CrowdTables
    items: GatheredItems
    counts: VoteCounts
    names: tuple[Any, ...]


class MultiannotatorRun(TaskRun["MultiannotatorConfig"]):
    """A run: its configuration and its two sources, checked.

    Raises
    ------
    OptionError, ColumnError
        If there is no such table, or a column is missing or of another type.
    """

    def __init__(
        self, spark: SparkSession, config: MultiannotatorConfig, which: RunId | None = None
    ) -> None:
        super().__init__(spark, config, which)
        kept = self.source.select(*map(column, config.keep_columns))
        require_new_columns(kept, ITEM_COLUMNS)
        with self._timed("open"):
            self.annotations = read_table(spark, config.annotations_spec).df
            self.model = MultiannotatorModel.load(config.fitted) if config.fitted else None
            self.classes = agreed_classes(config.classes, config.n_classes, self.model)
            tables = self._crowd_tables(self.annotations, self.source)
            self.classes = tables.classes
            if self.model is not None:
                require_fitted_for(tables, self.model)
            told = self.model.n_classes if self.model else config.n_classes
            self.n_classes = crowd_n_classes(tables, told)
        self.options = CrowdOptions(
            config.consensus_method, config.quality_method, config.calibrate_probs
        )
        self.bound_batches(8 * self.n_classes * len(config.models))
        self.clean: Gathered | None = None
        self.bad_annotations: dict[str, int] = {}

    def specs(self) -> dict[str, TableSpec]:
        """Return the tables of items, annotations and annotators, and annotations set aside."""
        config = self.config
        specs = {
            "output": config.output_spec,
            "annotation_output": config.annotation_output_spec,
            "annotator_output": config.annotator_output_spec,
        }
        if config.on_invalid == "quarantine":
            specs["annotation_quarantine"] = config.annotation_quarantine_spec
        return specs

    def checked(self, rows: DataFrame) -> DataFrame:
        """Return items with the reason why they cannot be scored, or null."""
        return self._checks(rows).items

    def said_of_classes(self) -> str:
        """Return what a dry run says of the classes."""
        return listed(self.classes) if self.classes else str(self.n_classes)

    def tables(self, rows: DataFrame, keep: Output | None = None) -> dict[str, DataFrame]:
        """Return the tables of items that can all be scored, and of their annotations."""
        if keep is None or rows.isEmpty():
            scores = self._no_scores(rows)
        else:
            found = self.clean or self._gathered_fit(rows, keep)
            scores = self._scores(found, keep)
        items = scores.items
        if kept := [name for name in self.config.keep_columns if name not in items.columns]:
            others = rows.select(column(self.config.item), *map(column, kept))
            items = others.join(items, self.config.item)
        made = {
            "output": items,
            "annotation_output": scores.annotations,
            "annotator_output": scores.annotators,
        }
        if self.config.on_invalid == "quarantine":
            bad = self._checks(self.source).annotations.where(column(INVALID_REASON).isNotNull())
            made["annotation_quarantine"] = bad if self.bad_annotations else bad.where(F.lit(False))
        return made

    def summarize(self, tables: Mapping[str, DataFrame]) -> CrowdSummary:
        """Tell of the tables, as they were written."""
        return summarize_crowd(
            tables["output"],
            tables["annotation_output"],
            tables["annotator_output"],
            self.config,
            self.model or self._empty_model(),
            self.bad_annotations,
        )

    def save_fitted(self) -> None:
        """Save what was fitted, where it was asked for."""
        if self.config.save_fitted and self.model is not None:
            self.model.save(self.config.save_fitted)

    def _look(self, place: Output) -> tuple[int, dict[str, int]]:
        """Return the number of items, and of those that cannot be scored for each reason.

        Stage the latter, or raise if items or annotations cannot be scored and are to stop the run.
        """
        tables = self._crowd_tables(self.annotations, self.source)
        if summarize_key(self.source, self.config.item).is_unique:
            names, items = self._gathered(tables, place)
            if items.rows.isEmpty():
                return 0, {}
            counts, faults = count_faults(items)
            if not faults:
                self.clean = Gathered(tables, items, counts, names)
                return counts.n_items, {}
        checks = self._checks(self.source)
        by_reason = count_reasons(checks.items)
        n_rows = sum(by_reason.values())
        reasons = {reason: n for reason, n in by_reason.items() if reason is not None}
        bad_items, bad_annotations = (
            commented(table.where(column(INVALID_REASON).isNotNull()))
            for table in (checks.items, checks.annotations)
        )
        self.bad_annotations = count_reasons(bad_annotations)
        if self.config.on_invalid == "fail":
            self._raise(bad_items, bad_annotations, reasons, n_rows, place)
        if reasons:
            place.stage(bad_items)
        return n_rows, reasons

    def _raise(
        self,
        items: DataFrame,
        annotations: DataFrame,
        reasons: Mapping[str, int],
        n_rows: int,
        place: Output,
    ) -> None:
        item, texts = self.config.item, []
        for table, found, said in (
            (items, reasons, f" of {n_rows} items"),
            (annotations, self.bad_annotations, " annotations"),
        ):
            if found:
                # To be named, not kept.
                named = place.scratch(table.select(column(item), INVALID_REASON))
                text = reasons_text(named, item, found)
                texts.append(f"{sum(found.values())}{said} cannot be scored: {text}")
        raise InvalidRowsError("; ".join(texts))

    def _crowd_tables(self, annotations: DataFrame, items: DataFrame) -> CrowdTables:
        return crowd_tables(annotations, items, **self.config.columns, classes=self.classes)

    def _checks(self, items: DataFrame) -> MultiannotatorChecks:
        tables = self._crowd_tables(self.annotations, items)
        known = self.model.annotators if self.config.fitted and self.model else None
        return checked_crowd(tables, self.n_classes, self.config.tolerance, known=known)

    def _gathered(
        self, tables: CrowdTables, place: Output
    ) -> tuple[tuple[Any, ...], GatheredItems]:
        names = annotator_names(tables)
        n_known = len(names)
        if self.model is not None:
            n_known = len(self.model.annotators)
            others = set(names) - set(self.model.annotators)
            names = (*self.model.annotators, *sorted(others))
        reader = CrowdReader(n_known, self.n_classes, self.config.tolerance, fail=True)
        rows = place.scratch(gathered(tables, names))
        return names, GatheredItems(rows, probability_columns(tables), reader)

    def _gathered_fit(self, rows: DataFrame, place: Output) -> Gathered:
        """Gather the items and annotations that can be scored."""
        checked = self._checks(self.source).annotations
        fit = checked.where(column(INVALID_REASON).isNull()).drop(INVALID_REASON)
        tables = self._crowd_tables(fit, rows)
        names, items = self._gathered(tables, place)
        counts, faults = count_faults(items)
        if faults:
            raise items.reader.error(faults)
        return Gathered(tables, items, counts, names)

    def _scores(self, found: Gathered, keep: Output) -> MultiannotatorScores:
        config = self.config
        if self.model is None:
            classes = found.tables.classes
            self.model = fit_crowd(found.items, found.counts, found.names, classes, self.options)
        thresholds = sum_thresholds(found.items, self.model) if config.adjust_pred_probs else None
        rated = rated_items(found.items, self.model, config.method, thresholds)
        return MultiannotatorScores(keep.scratch(rated), self.model, found.tables, found.names)

    def _no_scores(self, rows: DataFrame) -> MultiannotatorScores:
        """Return tables without rows."""
        tables = self._crowd_tables(self.annotations.where(F.lit(False)), rows)
        reader = CrowdReader(0, self.n_classes, self.config.tolerance, fail=True)
        items = GatheredItems(gathered(tables, ()), probability_columns(tables), reader)
        model = self._empty_model()
        rated = rated_items(items, model, self.config.method, None)
        return MultiannotatorScores(rated.where(F.lit(False)), model, tables, ())

    def _empty_model(self) -> MultiannotatorModel:
        nobody, nothing = np.zeros(0), np.zeros(self.n_classes, dtype=np.int64)
        classes = None if self.classes is None else tuple(self.classes)
        return MultiannotatorModel(
            annotators=(),
            n_classes=self.n_classes,
            classes=classes,
            consensus_method="majority_vote",
            quality_method="agreement",
            temperatures=(None,) * len(self.config.models),
            votes=VoteSummary(nothing, nobody, nobody, 0.0),
            majority_weights=None,
            weights=None,
        )

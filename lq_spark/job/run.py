"""One run of the scoring job: read, score beside the output, check, put in place.

Passes over the source: its key column alone; one probability a row for the thresholds, natively;
the probabilities once more for the scores, in Python (and what :mod:`lq_spark.job.issues` says for
the issues). A clean table is not read again: a row that cannot be scored has a null score, and only
if there is one the source is validated row by row.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues.quotas import require_a_number_each
from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.engine.keys import summarize_key
from lq_spark.errors import InvalidRowsError, LqError, listed
from lq_spark.job.base import JobRun, RunId
from lq_spark.job.comments import commented
from lq_spark.job.invalid import count_reasons, reasons_text
from lq_spark.job.issues import facts_of, no_rows_with_issues, rows_with_issues, rule_of
from lq_spark.job.report import Report, ScoredRows, summarize_scores
from lq_spark.tables.formats import Output, output_table
from lq_spark.tasks import multiclass
from lq_spark.tasks.multiclass.flags import IS_LABEL_ISSUE, ISSUE_RANK
from lq_spark.tasks.multiclass.issues import agreed_n_classes
from lq_spark.tasks.shared.labels import (
    require_room,
)
from lq_spark.tasks.shared.table import (
    INVALID_REASON,
    LABEL_QUALITY,
    PREDICTED_LABEL,
    WRONG_LENGTH,
    agreed_classes,
    labelled_table,
    resolved_n_classes,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from lq_spark.job.config import ScoreConfig
    from lq_spark.tables.spec import TableSpec


class ScoreRun(JobRun["ScoreConfig"]):
    """A run: its configuration and its source, checked.

    Raises
    ------
    OptionError, ColumnError, DataError
        If there is no such table, a column is missing or of another type, or K is 1.
    """

    def __init__(
        self, spark: SparkSession, config: ScoreConfig, which: RunId | None = None
    ) -> None:
        super().__init__(spark, config, which)
        with self._timed("open"):
            self.fitted = NoiseModel.load(config.fitted) if config.fitted else None
            self.thresholds = self.fitted.thresholds if self.fitted else None
            if config.thresholds:
                self.thresholds = Thresholds.load(config.thresholds)
            self.noise: NoiseModel | None = None
            require_key(self.source, "id", config.id)
            added = [LABEL_QUALITY, PREDICTED_LABEL, INVALID_REASON]
            if config.find_issues:
                rule_of(config, self.fitted)
                added += [IS_LABEL_ISSUE] + [ISSUE_RANK] * config.issue_rank
            require_new_columns(self.source, added)
            classes = agreed_classes(config.classes, self.thresholds)
            self.columns: dict[str, Any] = {
                "label": config.label,
                "pred_probs": config.pred_probs,
                "classes": classes,
            }
            table = labelled_table(self.source, **self.columns)
            classes = self.columns["classes"] = table.classes
            if self.fitted:
                self.n_classes = agreed_n_classes(
                    self.source,
                    table.probabilities,
                    table.label_type,
                    self.fitted,
                    config.n_classes,
                )
            else:
                self.n_classes = resolved_n_classes(
                    self.source,
                    table.probabilities,
                    table.label_type,
                    config.n_classes,
                    self.thresholds,
                )
            require_room(table.label_type, config.label, self.n_classes)
            require_a_number_each(config.num_to_remove_per_class, self.n_classes)
            if self.thresholds is not None and classes is not None:
                self.thresholds = replace(self.thresholds, classes=tuple(classes))
        self.bound_batches(8 * self.n_classes)

    def outputs(self) -> list[tuple[TableSpec, StructType]]:
        """Return the tables that the run writes, with the columns of their rows."""
        tables = [(self.config.output_spec, self._scored(self.source).schema)]
        if self.config.on_invalid == "quarantine":
            tables.append((self.config.quarantine_spec, self.checked(self.source).schema))
        return tables

    def run(self) -> Report:
        """Score the table and put the scores in place; return what was done.

        Raises
        ------
        InvalidRowsError
            If rows cannot be scored and are to stop the run: nothing is put in place.
        OptionError, TableError
            If the output cannot be written.
        """
        config = self.config
        self.check_outputs()
        with ExitStack() as stack:
            output = stack.enter_context(output_table(self.spark, config.output_spec))
            quarantine = None
            if config.on_invalid == "quarantine":
                quarantine = stack.enter_context(output_table(self.spark, config.quarantine_spec))

            with self._timed("keys"):
                keys = summarize_key(self.source, config.id)
            reasons: dict[str, int] = {}
            scored = self._score(self.source, keys.n_rows, output) if keys.is_unique else None
            if scored is None:
                reasons = self._set_aside(keys.n_rows, quarantine or output)
                n_fit = keys.n_rows - sum(reasons.values())
                scored = self._score(self._fit_rows(), n_fit, output)
            elif quarantine is not None:
                quarantine.stage(self.checked(self.source).where(F.lit(False)))
            if scored is None or keys.n_rows != scored.n_rows + sum(reasons.values()):
                raise LqError(
                    f"{keys.n_rows} rows read, but {scored and scored.n_rows} scored and "
                    f"{sum(reasons.values())} set aside; did the table change during the run?"
                )

            # The output last: whatever cannot be written leaves the earlier one as it was.
            if config.save_thresholds and self.thresholds is not None:
                self.thresholds.save(config.save_thresholds)
            if config.save_fitted and self.noise is not None:
                self.noise.save(config.save_fitted)
            with self._timed("write"):
                if quarantine is not None:
                    quarantine.commit(self.properties)
                output.commit(self.properties)
        return Report(
            self.which.run_id,
            keys.n_rows,
            reasons,
            self._known_n_classes(keys.n_rows),
            scored,
            self.thresholds,
            self.noise,
            self.seconds,
            config.find_issues,
        )

    def _known_n_classes(self, n_rows: int) -> int | None:
        """Return K; None where only rows could say it, and there is none."""
        told = self.config.n_classes or self.columns["classes"] or self.thresholds
        return self.n_classes if told or n_rows else None

    def said_of_classes(self) -> str:
        """Return what a dry run says of the classes."""
        names = self.columns["classes"]
        return f"{self.n_classes:,}" + (f": {listed(names)}" if names else "")

    def _score(self, rows: DataFrame, n_rows: int, output: Output) -> ScoredRows | None:
        """Write scores to the staging place; None if some rows cannot be scored."""
        config = self.config
        try:
            self._fit_thresholds(rows, n_rows)
            if config.find_issues and n_rows and self.thresholds is not None:
                found = self._with_issues(rows, self.thresholds, output)
            else:
                found = self._scored(rows)
        except InvalidRowsError:
            return None
        with self._timed("issues" if config.find_issues else "scores"):
            staged = output.stage(commented(found))
        with self._timed("summary"):
            return summarize_scores(
                staged,
                config.id,
                config.label,
                self.columns["classes"],
                self._known_n_classes(n_rows),
            )

    def _fit_thresholds(self, rows: DataFrame, n_rows: int) -> None:
        config = self.config
        loaded = config.thresholds or config.fitted
        if not loaded:
            self.thresholds = None  # of rows that have been set aside since
        wanted = config.save_thresholds or config.save_fitted
        needed = (config.adjust_pred_probs or config.find_issues) and not loaded
        if wanted or (needed and n_rows):
            with self._timed("thresholds"):
                self.thresholds = multiclass.fit_thresholds(
                    rows, **self.columns, tolerance=config.tolerance
                )
            if self.thresholds.n_classes != self.n_classes:
                raise InvalidRowsError(f"rows have {self.thresholds.n_classes} probabilities")

    def _with_issues(self, rows: DataFrame, thresholds: Thresholds, output: Output) -> DataFrame:
        table = labelled_table(rows, **self.columns)
        with self._timed("scores"):
            made = output.scratch(facts_of(rows, table, self.config, thresholds, self.fitted))
        with self._timed("cuts"):
            found, self.noise = rows_with_issues(
                made, rows, table, self.config, thresholds, self.fitted
            )
        return found

    def _scored(self, rows: DataFrame) -> DataFrame:
        config = self.config
        adjust = config.adjust_pred_probs and self.thresholds is not None  # None: no rows
        scored = multiclass.score(
            rows,
            **self.columns,
            n_classes=self.n_classes,
            method=config.method,
            adjust_pred_probs=adjust,
            thresholds=self.thresholds if adjust else None,
            predicted_label=True,
            on_invalid="null",
            tolerance=config.tolerance,
        )
        scored = scored.select(*map(column, [*config.carried, PREDICTED_LABEL, LABEL_QUALITY]))
        if not config.find_issues:
            return scored
        return no_rows_with_issues(scored, config.id, config.issue_rank)

    def checked(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        return commented(
            multiclass.validate(
                rows,
                id=self.config.id,
                **self.columns,
                n_classes=self.n_classes,
                tolerance=self.config.tolerance,
            )
        )

    def _fit_rows(self) -> DataFrame:
        checked = self.checked(self.source)
        return checked.where(column(INVALID_REASON).isNull()).drop(INVALID_REASON)

    def _set_aside(self, n_rows: int, place: Output) -> dict[str, int]:
        """Stage the rows that cannot be scored, or raise; return how many for each reason."""
        with self._timed("invalid rows"):
            invalid = self.checked(self.source).where(column(INVALID_REASON).isNotNull())
            if self.config.on_invalid == "quarantine":
                invalid = place.stage(invalid)
            else:  # to be counted and named, not kept
                invalid = place.scratch(invalid.select(column(self.config.id), INVALID_REASON))
            reasons = count_reasons(invalid)
        guessed_wrong = WRONG_LENGTH in reasons and self._known_n_classes(0) is None
        if self.config.on_invalid == "fail" or guessed_wrong:
            text = reasons_text(invalid, self.config.id, reasons)
            hint = (
                f"; K = {self.n_classes} was read off the first row, give n_classes to be certain"
                if guessed_wrong
                else ""
            )
            raise InvalidRowsError(
                f"{sum(reasons.values())} of {n_rows} rows cannot be scored: {text}{hint}"
            )
        return reasons

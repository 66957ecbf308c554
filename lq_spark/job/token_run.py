"""One run of the job that scores tokens: read, score beside the outputs, check, put in place.

Passes over the source: its ids alone; the probabilities in one Python pass for the sentences, and
for the tokens those of :func:`lq_spark.tokens.find_issues`, or one more without issues.
A clean table is not validated row by row: a sentence that cannot be scored has a null score.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.noise_model import NoiseModel
from lq_spark.engine.inputs import column, require_columns
from lq_spark.engine.keys import summarize_key
from lq_spark.errors import InvalidRowsError, LqError
from lq_spark.job.invalid import count_reasons, reasons_text
from lq_spark.job.issues import no_rows_with_issues, rule_of
from lq_spark.job.metrics import append_metrics
from lq_spark.job.report import ClassQuality, summarize_scores
from lq_spark.job.token_report import (
    ScoredSentences,
    TokenReport,
    excerpts,
    summarize_sentences,
)
from lq_spark.tables.parquet import StagedTable, read_table, require_writable
from lq_spark.tasks import multiclass, tokens
from lq_spark.tasks.labelled import INVALID_REASON
from lq_spark.tasks.token_checks import broken_sentences
from lq_spark.tasks.token_issues import issues_of_tokens
from lq_spark.tasks.token_tables import TokenColumns, one_row_a_token, token_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lq_spark.job.token_config import TokensConfig


class TokensRun:
    """A run: its configuration and its source, checked.

    Raises
    ------
    OptionError, ColumnError
        If there is no such table, or a column is missing or of another type.
    """

    def __init__(self, spark: SparkSession, config: TokensConfig) -> None:
        self.spark, self.config = spark, config
        self.run_id, self.started_at = uuid.uuid4().hex, datetime.now(timezone.utc)
        self.seconds: dict[str, float] = {}
        with self._timed("open"):
            self.fitted = NoiseModel.load(config.fitted) if config.fitted else None
            self.source = read_table(spark, config.input)
            for kept in config.keep_columns:
                require_columns(self.source, keep_columns=kept)
            classes = config.classes
            if classes is None and self.fitted is not None and self.fitted.classes is not None:
                classes = list(self.fitted.classes)
            self.options: dict[str, Any] = {
                "sentence_id": config.sentence_id,
                "labels": config.labels,
                "token_index": config.token_index,
                "label": config.label,
                "pred_probs": config.pred_probs,
                "tokens": config.tokens,
                "token": config.token,
                "classes": classes,
            }
            self.columns: TokenColumns = token_columns(self.source, **self.options)

    def run(self) -> TokenReport:
        """Score the table, put sentences and tokens in place, add the metrics.

        Raises
        ------
        InvalidRowsError
            If sentences cannot be scored and are to stop the run: nothing is put in place.
        TableError
            If an output cannot be written.
        """
        config = self.config
        with ExitStack() as stack:
            sentences = stack.enter_context(StagedTable("output", config.output))
            token_rows = stack.enter_context(StagedTable("token_output", config.token_output_path))
            quarantine = None
            if config.on_invalid == "quarantine":
                quarantine = stack.enter_context(StagedTable("quarantine", config.quarantine_path))
            for path in config.metrics_paths:
                require_writable("metrics", path, folder=True)
            if config.save_fitted:
                require_writable("save_fitted", config.save_fitted, folder=False)

            reasons: dict[str, int] = {}
            rows, found = self.source, None
            with self._timed("ids"):
                whole = self._ids_are_whole()
            if whole:
                found = self._score_sentences(rows, sentences)
            if found is None:
                reasons = self._set_aside(quarantine or sentences)
                rows = self._checked().where(column(INVALID_REASON).isNull()).drop(INVALID_REASON)
                found = self._score_sentences(rows, sentences)
            elif quarantine is not None:
                none = self._checked().where(F.lit(False))
                none.write.mode("overwrite").parquet(quarantine.staging)
            if found is None:
                raise LqError("the table changed while it was read; run again")
            classes, noise = self._score_tokens(rows, token_rows)
            with self._timed("summary"):
                texts = excerpts(rows, self.columns, found)
            report = TokenReport(
                self.run_id, self.started_at, reasons, found, classes, noise, texts, self.seconds
            )
            if config.save_fitted and noise is not None:
                noise.save(config.save_fitted)
            append_metrics(self.spark, config, report)
            for table in (quarantine, token_rows, sentences):
                if table is not None:
                    table.commit()
        return report

    def _ids_are_whole(self) -> bool:
        if self.columns.is_nested:
            return summarize_key(self.source, self.columns.sentence_id).is_unique
        return broken_sentences(self.source, self.columns).isEmpty()

    def _score_sentences(self, rows: DataFrame, place: StagedTable) -> ScoredSentences | None:
        """Write the scores of sentences to the staging place; None if some cannot be scored."""
        config = self.config
        with self._timed("sentences"):
            scored = tokens.score(
                rows,
                **self.options,
                n_classes=config.n_classes,
                token_score_method=config.token_score_method,
                sentence_score_method=config.sentence_score_method,
                sentence_score_kwargs=config.sentence_score_kwargs,
                on_invalid="null",
                tolerance=config.tolerance,
            )
            carried = [config.sentence_id, *config.keep_columns]
            added = [name for name in scored.columns if name not in self.source.columns]
            if not self.columns.is_nested:  # a row a sentence has no column of its tokens
                carried = carried[:1]
            _select(scored, [*carried, *added]).write.mode("overwrite").parquet(place.staging)
        with self._timed("summary"):
            return summarize_sentences(self.spark.read.parquet(place.staging), self.columns)

    def _score_tokens(
        self, rows: DataFrame, place: StagedTable
    ) -> tuple[list[ClassQuality], NoiseModel | None]:
        """Write the scores of tokens, and their issues if sought; return them in short."""
        config, noise = self.config, None
        long, named = one_row_a_token(rows, self.columns)
        with self._timed("issues" if config.find_issues else "tokens"):
            if config.find_issues and not long.isEmpty():
                found, noise = issues_of_tokens(
                    long,
                    named,
                    rule_of(config, self.fitted),
                    self.fitted,
                    config.token_score_method,
                    issue_rank=config.issue_rank,
                    tolerance=config.tolerance,
                    count=True,
                )
            else:
                found = multiclass.score(
                    long,
                    label=named.label,
                    pred_probs=named.pred_probs,
                    classes=named.classes,
                    n_classes=config.n_classes,
                    method=config.token_score_method,
                    predicted_label=True,
                    tolerance=config.tolerance,
                )
                if config.find_issues:
                    found = no_rows_with_issues(found, named.sentence_id, config.issue_rank)
            carried = [named.sentence_id, str(named.token_index), named.label]
            carried += [named.token] if named.token else []
            if not self.columns.is_nested:
                carried += config.keep_columns
            added = [name for name in found.columns if name not in long.columns]
            _select(found, [*carried, *added]).write.mode("overwrite").parquet(place.staging)
        with self._timed("summary"):
            written = self.spark.read.parquet(place.staging)
            scored = summarize_scores(
                written, named.sentence_id, named.label, self.options["classes"]
            )
            if scored is None:
                raise LqError("the table changed while it was read; run again")
            return scored.classes, noise

    def _checked(self) -> DataFrame:
        config = self.config
        return tokens.validate(
            self.source, **self.options, n_classes=config.n_classes, tolerance=config.tolerance
        )

    def _set_aside(self, place: StagedTable) -> dict[str, int]:
        """Write the sentences that cannot be scored, or raise; return how many for each reason."""
        config = self.config
        with self._timed("invalid sentences"):
            invalid = self._checked().where(column(INVALID_REASON).isNotNull())
            if config.on_invalid == "fail":  # to be counted and named, not kept
                invalid = invalid.select(column(config.sentence_id), INVALID_REASON)
            invalid.write.mode("overwrite").parquet(place.staging)
            # One row a sentence, and one reason for a fault wherever the token stands.
            kind = F.regexp_replace(INVALID_REASON, r"^token \d+: ", "a token: ")
            told = self.spark.read.parquet(place.staging).select(
                column(config.sentence_id), kind.alias(INVALID_REASON)
            )
            if not self.columns.is_nested:
                told = told.distinct()
            reasons = count_reasons(told)
        if config.on_invalid == "fail":
            raise InvalidRowsError(
                f"{sum(reasons.values())} sentences cannot be scored: "
                f"{reasons_text(told, config.sentence_id, reasons)}"
            )
        return reasons

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


def _select(df: DataFrame, names: list[str]) -> DataFrame:
    return df.select(*map(column, dict.fromkeys(names)))

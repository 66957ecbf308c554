"""One run of the job that scores tokens: read, score beside the outputs, check, put in place.

Passes over the source: its ids alone; the probabilities in one Python pass for the sentences, and
for the tokens those of :func:`lq_spark.tokens.find_issues`, or one more without issues.
A clean table is not validated row by row: a sentence that cannot be scored has a null score.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.confident.model import NoiseModel
from lq_spark.engine.inputs import column
from lq_spark.engine.keys import summarize_key
from lq_spark.errors import InvalidRowsError, LqError, listed
from lq_spark.job.base import N_SAMPLE, JobRun, RunId
from lq_spark.job.class_metrics import ClassQuality
from lq_spark.job.comments import commented
from lq_spark.job.invalid import count_reasons, reasons_text
from lq_spark.job.issues import no_rows_with_issues, rule_of
from lq_spark.job.report import summarize_scores
from lq_spark.job.token_report import (
    ScoredSentences,
    TokenReport,
    excerpts,
    summarize_sentences,
)
from lq_spark.tables.formats import Output, output_table
from lq_spark.tasks import multiclass, tokens
from lq_spark.tasks.shared.table import INVALID_REASON
from lq_spark.tasks.tokens.checks import broken_sentences
from lq_spark.tasks.tokens.columns import TokenColumns, one_row_a_token, token_columns
from lq_spark.tasks.tokens.issues import issues_of_tokens

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from lq_spark.job.token_config import TokensConfig
    from lq_spark.tables.spec import TableSpec


class TokensRun(JobRun["TokensConfig"]):
    """A run: its configuration and its source, checked.

    Raises
    ------
    OptionError, ColumnError
        If there is no such table, or a column is missing or of another type.
    """

    def __init__(
        self, spark: SparkSession, config: TokensConfig, which: RunId | None = None
    ) -> None:
        super().__init__(spark, config, which)
        with self._timed("open"):
            self.fitted = NoiseModel.load(config.fitted) if config.fitted else None
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
            self.options["classes"] = self.columns.classes

    def outputs(self) -> list[tuple[TableSpec, StructType]]:
        """Return the tables that the run writes, with the columns of their rows."""
        config = self.config
        long, named = one_row_a_token(self.source, self.columns)
        tables = [
            (config.output_spec, self._scored_sentences(self.source).schema),
            # Of no rows: to look at one, an engine may read a sentence that is not whole.
            (config.token_output_spec, self._scored_tokens(long.where(F.lit(False)), named).schema),
        ]
        if config.on_invalid == "quarantine":
            tables.append((config.quarantine_spec, self.checked(self.source).schema))
        return tables

    def first_rows(self) -> DataFrame:
        """Return some whole sentences of the source, for a dry run."""
        if self.columns.is_nested:
            return super().first_rows()
        some = self.source.select(column(self.columns.sentence_id)).distinct().limit(N_SAMPLE // 20)
        return self.source.join(some.hint("broadcast"), self.columns.sentence_id, "left_semi")

    def said_of_classes(self) -> str:
        """Return what a dry run says of the classes."""
        names, told = self.options["classes"], self.config.n_classes
        return listed(names) if names else str(told or "by the first row")

    def run(self) -> TokenReport:
        """Score the table, put sentences and tokens in place; return what was done.

        Raises
        ------
        InvalidRowsError
            If sentences cannot be scored and are to stop the run: nothing is put in place.
        OptionError, TableError
            If an output cannot be written.
        """
        config = self.config
        self.check_outputs()
        with ExitStack() as stack:
            sentences = stack.enter_context(output_table(self.spark, config.output_spec))
            token_rows = stack.enter_context(output_table(self.spark, config.token_output_spec))
            quarantine = None
            if config.on_invalid == "quarantine":
                quarantine = stack.enter_context(output_table(self.spark, config.quarantine_spec))

            reasons: dict[str, int] = {}
            rows, found = self.source, None
            with self._timed("ids"):
                whole = self._ids_are_whole()
            if whole:
                found = self._score_sentences(rows, sentences)
            if found is None:
                reasons = self._set_aside(quarantine or sentences)
                checked = self.checked(self.source)
                rows = checked.where(column(INVALID_REASON).isNull()).drop(INVALID_REASON)
                found = self._score_sentences(rows, sentences)
            elif quarantine is not None:
                quarantine.stage(self.checked(self.source).where(F.lit(False)))
            if found is None:
                raise LqError("the table changed while it was read; run again")
            classes, noise = self._score_tokens(rows, token_rows)
            with self._timed("summary"):
                texts = excerpts(rows, self.columns, found)
            if config.save_fitted and noise is not None:
                noise.save(config.save_fitted)
            with self._timed("write"):
                for table in (quarantine, token_rows, sentences):
                    if table is not None:
                        table.commit(self.properties)
        return TokenReport(
            self.which.run_id,
            reasons,
            found,
            classes,
            noise,
            texts,
            self.seconds,
            config.find_issues,
        )

    def _ids_are_whole(self) -> bool:
        if self.columns.is_nested:
            return summarize_key(self.source, self.columns.sentence_id).is_unique
        return broken_sentences(self.source, self.columns).isEmpty()

    def _scored_sentences(self, rows: DataFrame) -> DataFrame:
        config = self.config
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
        return commented(_select(scored, [*carried, *added]))

    def _score_sentences(self, rows: DataFrame, place: Output) -> ScoredSentences | None:
        """Stage the scores of sentences; None if some cannot be scored."""
        with self._timed("sentences"):
            staged = place.stage(self._scored_sentences(rows))
        with self._timed("summary"):
            return summarize_sentences(staged, self.columns)

    def _scored_tokens(self, long: DataFrame, named: TokenColumns) -> DataFrame:
        """Return the scores of tokens; where issues are sought, of a table without any."""
        config = self.config
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
        return self._token_columns(found, long, named)

    def _score_tokens(
        self, rows: DataFrame, place: Output
    ) -> tuple[list[ClassQuality], NoiseModel | None]:
        """Stage the scores of tokens, and their issues if sought; return them in short."""
        config, noise = self.config, None
        long, named = one_row_a_token(rows, self.columns)
        with self._timed("issues" if config.find_issues else "tokens"):
            if config.find_issues and not long.isEmpty():
                issues, noise = issues_of_tokens(
                    long,
                    named,
                    rule_of(config, self.fitted),
                    self.fitted,
                    config.token_score_method,
                    issue_rank=config.issue_rank,
                    tolerance=config.tolerance,
                    count=True,
                )
                found = self._token_columns(issues, long, named)
            else:
                found = self._scored_tokens(long, named)
            staged = place.stage(found)
        classes = self.options["classes"]
        told = config.n_classes or (len(classes) if classes else None)
        with self._timed("summary"):
            scored = summarize_scores(staged, named.sentence_id, named.label, classes, told)
            if scored is None:
                raise LqError("the table changed while it was read; run again")
            return scored.classes, noise

    def _token_columns(self, found: DataFrame, long: DataFrame, named: TokenColumns) -> DataFrame:
        """Return the columns of the token table: carried ones, then what was added."""
        carried = [named.sentence_id, str(named.token_index), named.label]
        carried += [named.token] if named.token else []
        if not self.columns.is_nested:
            carried += self.config.keep_columns
        added = [name for name in found.columns if name not in long.columns]
        return commented(_select(found, [*carried, *added]))

    def checked(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why their sentence cannot be scored."""
        config = self.config
        return commented(
            tokens.validate(
                rows, **self.options, n_classes=config.n_classes, tolerance=config.tolerance
            )
        )

    def kind_of_reason(self, reason: Column) -> Column:
        """Return a reason without the place of the token."""
        return F.regexp_replace(reason, r"^token \d+: ", "a token: ")

    def _set_aside(self, place: Output) -> dict[str, int]:
        """Stage the sentences that cannot be scored, or raise; return how many for each reason."""
        config = self.config
        with self._timed("invalid sentences"):
            invalid = self.checked(self.source).where(column(INVALID_REASON).isNotNull())
            if config.on_invalid == "quarantine":
                invalid = place.stage(invalid)
            else:  # to be counted and named, not kept
                ids = column(config.sentence_id)
                invalid = place.scratch(invalid.select(ids, INVALID_REASON))
            # One row a sentence.
            kind = self.kind_of_reason(column(INVALID_REASON))
            told = invalid.select(column(config.sentence_id), kind.alias(INVALID_REASON))
            if not self.columns.is_nested:
                told = told.distinct()
            reasons = count_reasons(told)
        if config.on_invalid == "fail":
            raise InvalidRowsError(
                f"{sum(reasons.values())} sentences cannot be scored: "
                f"{reasons_text(told, config.sentence_id, reasons)}"
            )
        return reasons


def _select(df: DataFrame, names: list[str]) -> DataFrame:
    return df.select(*map(column, dict.fromkeys(names)))

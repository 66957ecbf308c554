"""The job of token classification: a label and K probabilities a token, in sentences.

Passes over the source beside its keys: the probabilities in one Python pass for the sentences, and
for the tokens those of :func:`lq_spark.tokens.find_issues`, or one more without issues.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.multiclass.scores import METHODS, require_method
from lq_spark.core.tokens.sentences import (
    DEFAULT_TEMPERATURE,
    SENTENCE_METHODS,
    require_sentence_method,
)
from lq_spark.job.config import Name, Place
from lq_spark.job.rules import rule_of
from lq_spark.job.summary import (
    ClassQuality,
    Metric,
    Summary,
    class_metrics,
    class_parts,
    issue_facts,
)
from lq_spark.job.task import Fitted
from lq_spark.job.tasks.options import (
    ISSUE_METRICS,
    LabelledConfig,
    LabelledTask,
    quality_metrics,
)
from lq_spark.report.parts import Part, Section, Table
from lq_spark.tables.spec import TableSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.keys import KeySummary
    from lq_spark.engine.reductions import Reduced, Reductions, Scratch
    from lq_spark.job.scores import Lowest
    from lq_spark.tasks.tokens.columns import TokenColumns

_TOKEN_INDEX = "token_index"
"""The column of the output where the input has a row a sentence."""


class TokensConfig(LabelledConfig):
    """A run over tokens and their sentences."""

    task: Literal["tokens"] = Field("tokens", description="what the labels are")
    sentence_id: Name = Field("sentence_id", description="column that tells sentences apart")
    labels: Name = Field("labels", description="in a row a sentence: array of the given labels")
    tokens: Name | None = Field(None, description="in a row a sentence: array of the texts")
    token_index: Name | None = Field(
        None, description="column of the place in the sentence, from 0: the input has a row a token"
    )
    label: Name = Field("label", description="in a row a token: the given label")
    token: Name | None = Field(None, description="in a row a token: the text")
    token_output: Place | None = Field(
        None, description="path or name of the table of tokens, a row each (default: OUTPUT_tokens)"
    )
    token_score_method: str = Field(
        "self_confidence", description=f"score of a token: {', '.join(METHODS)}"
    )
    sentence_score_method: str = Field(
        "min", description=f"score of a sentence: {', '.join(SENTENCE_METHODS)}"
    )
    temperature: float | None = Field(
        None,
        description=f"of softmin: 0 the minimum, inf the mean (default: {DEFAULT_TEMPERATURE})",
    )

    key: ClassVar[str] = "sentence_id"
    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "tokens_scored": "Tokens that have a score.",
        "mean_sentence_quality": "Mean quality of the sentences: 1 clean, 0 suspect.",
        **ISSUE_METRICS,
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = quality_metrics("tokens")
    class_counts: ClassVar[str | None] = "class_tokens"
    renamed_metrics: ClassVar[Mapping[str, str]] = {
        "sentences_scored": "rows_scored",
        "sentences_quarantined": "rows_quarantined",
    }

    @model_validator(mode="after")
    def _scores_agree(self) -> TokensConfig:
        require_method(self.token_score_method, option="token_score_method")
        if (self.tokens if self.token_index else self.token) is not None:
            raise ValueError(
                "tokens goes with a row a sentence, token with a row a token and token_index; got "
                f"tokens={self.tokens!r}, token={self.token!r}, token_index={self.token_index!r}"
            )
        require_sentence_method(self.sentence_score_method, self.sentence_score_kwargs)
        return self

    @property
    def outputs(self) -> dict[str, TableSpec]:
        """Return the tables of sentences and of tokens."""
        sentence = self.sentence_id
        keys = (sentence, self.token_index or _TOKEN_INDEX)
        tokens = self._beside("token_output", "_tokens", keys=keys, groups=(sentence,))
        return {**super().outputs, "token_output": tokens}

    @property
    def sentence_score_kwargs(self) -> dict[str, Any]:
        """Return the further arguments of the sentence score."""
        return {} if self.temperature is None else {"temperature": self.temperature}


@dataclass(frozen=True, slots=True)
class ScoredTokens(Summary):
    """The scores of sentences and of their tokens in short.

    Attributes
    ----------
    mean : float or None
        Mean sentence quality; None without sentences.
    worst : list of tuple
        (sentence id, quality, worst token's index, given label, predicted label) of the lowest.
    excerpts : list of str
        Of the worst sentences.
    classes : list of ClassQuality
        By the given label of tokens.
    sought : bool
        Whether label issues were sought.
    noise : NoiseModel or None
        What the tokens say of the label noise, where they were.
    """

    mean: float | None
    worst: list[tuple[Any, ...]]
    excerpts: list[str]
    classes: list[ClassQuality]
    sought: bool
    noise: NoiseModel | None = None

    @property
    def n_tokens(self) -> int:
        """Return how many tokens were scored."""
        return sum(quality.n_rows for quality in self.classes)

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics that only this task has."""
        yield "tokens_scored", None, self.n_tokens
        yield "mean_sentence_quality", None, self.mean
        thresholds = None if self.noise is None else self.noise.thresholds
        yield from class_metrics(
            self.classes, self.noise, thresholds, rows="tokens", sought=self.sought
        )

    def details(self, config: TokensConfig) -> str:
        """Return how the first line goes on."""
        return (
            f", {self.n_tokens:,} tokens, token score {config.token_score_method}, "
            f"sentence score {config.sentence_score_method}"
        )

    def facts(self, config: TokensConfig) -> Mapping[str, str]:
        """Return where the health of the classes is, and how many issues there are."""
        return issue_facts(self.classes, self.noise, config, "tokens")

    def parts(self, config: TokensConfig) -> list[Part]:
        """Return the classes of lowest label quality, and the sentences with their worst token."""
        from lq_spark.tasks.shared.labels import class_name

        title = f"mean sentence quality {self.mean:.4f}; tokens by given class"
        rows = []
        for (sentence, quality, _, *labels), text in zip(self.worst, self.excerpts, strict=True):
            names = [class_name(label, config.classes) for label in labels] if text else []
            rows.append((sentence, quality, " → ".join(names), text))
        worst = Table(
            "sentences of lowest quality (1 clean, 0 suspect)",
            (config.sentence_id, "quality", "given → predicted", "around the token"),
            rows,
            {"quality": 1.0},
            keys=[row[0] for row in rows],
        )
        return [*class_parts(title, "tokens", self.classes, self.noise), worst]


class TokensTask(LabelledTask[TokensConfig]):
    """Tokens, in a row a sentence or in a row a token; the rows of the output are sentences."""

    config_type = TokensConfig
    passes = "one for sentences, two or three for the tokens and their issues"
    rows = "sentences"
    score_column = "sentence_quality"
    place_in_reason = (r"^token \d+: ", "a token: ")
    comments: ClassVar[Mapping[str, str]] = {
        "sentence_quality": "How likely all labels of the sentence are right: 1 clean, 0 suspect",
        "token_qualities": "Label quality of each token, in their order",
        "worst_token_index": "Place of the token of lowest label quality, from 0",
        "worst_token": "Text of that token",
        "worst_given_label": "Given label of that token",
        "worst_predicted_label": "Predicted label of that token",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.shared.classes import agreed_classes
        from lq_spark.tasks.tokens.columns import token_columns

        config = self.config
        self.loaded = NoiseModel.load(config.fitted) if config.fitted else None
        names = ("sentence_id", "labels", "token_index", "label", "pred_probs", "tokens", "token")
        self.options: dict[str, Any] = {name: getattr(config, name) for name in names}
        self.options["classes"] = agreed_classes(config.classes, self.loaded)
        self.columns = token_columns(self.source, **self.options)
        self.classes = self.options["classes"] = self.columns.classes
        self.n_classes = config.n_classes or len(self.classes or ())
        self.noise: NoiseModel | None = None

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes."""
        return super().classes_text if self.n_classes else "by the first row"

    @property
    def shares_key(self) -> bool:
        """Return whether the source has a row a token."""
        return not self.columns.is_nested

    def first_rows(self, n: int) -> DataFrame:
        """Return some whole sentences of the source, for a dry run."""
        from lq_spark.engine.inputs import column

        if self.columns.is_nested:
            return super().first_rows(n)
        some = self.source.select(column(self.columns.sentence_id)).distinct().limit(n // 20)
        return self.source.join(some.hint("broadcast"), self.columns.sentence_id, "left_semi")

    def keys(self, scratch: Scratch) -> KeySummary:
        """Return how many sentences there are, and whether each holds together."""
        from lq_spark.tasks.tokens.checks import summarize_sentences

        if self.columns.is_nested:
            return super().keys(scratch)
        return summarize_sentences(self.source, self.columns)

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why their sentence cannot be scored."""
        from lq_spark.tasks import tokens

        config = self.config
        return tokens.validate(
            rows, **self.options, n_classes=config.n_classes, tolerance=config.tolerance
        )

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the tables of sentences and tokens without rows."""
        from lq_spark.engine.inputs import column
        from lq_spark.tasks.tokens.issues import added_columns

        tokens = self._scored_tokens(self.none)
        if self.config.find_issues:  # in the order of a table with issues
            tokens, added = self.without_issues(tokens), added_columns(self.config.issue_rank)
            carried = [name for name in tokens.columns if name not in added]
            tokens = tokens.select(*map(column, [*carried, *added]))
        return {"output": self._scored_sentences(self.none), "token_output": tokens}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield the sentences with their scores; then the tokens, with their issues if sought."""
        from lq_spark.tasks.tokens.columns import one_row_a_token
        from lq_spark.tasks.tokens.issues import issues_of_tokens

        config, self.scored_rows = self.config, rows
        yield "output", self._scored_sentences(rows)
        long, named = one_row_a_token(rows, self.columns)
        with self.timed("tokens"):
            if not config.find_issues:
                yield "token_output", self._scored_tokens(rows)
            elif long.isEmpty():
                yield "token_output", self.no_rows()["token_output"]
            else:
                found, self.noise = issues_of_tokens(
                    long,
                    named,
                    rule_of(config, self.loaded),
                    self.loaded,
                    config.token_score_method,
                    issue_rank=config.issue_rank,
                    tolerance=config.tolerance,
                    count=True,
                )
                yield "token_output", self._token_columns(found, long, named)

    def _scored_sentences(self, rows: DataFrame) -> DataFrame:
        from lq_spark.tasks import tokens

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
        if not self.columns.is_nested:  # a row a token has what is kept in the table of tokens
            return self.select(scored, *scored.columns)
        added = [name for name in scored.columns if name not in self.source.columns]
        return self.select(scored, *config.keep_columns, *added)

    def _scored_tokens(self, rows: DataFrame) -> DataFrame:
        from lq_spark.tasks import multiclass
        from lq_spark.tasks.tokens.columns import one_row_a_token

        config = self.config
        long, named = one_row_a_token(rows, self.columns)
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
        return self._token_columns(found, long, named)

    def _token_columns(self, found: DataFrame, long: DataFrame, named: TokenColumns) -> DataFrame:
        """Return the columns of the token table: carried ones, then what was added."""
        carried = [str(named.token_index), named.label]
        carried += [named.token] if named.token else []
        if not self.columns.is_nested:
            carried += self.config.keep_columns
        added = [name for name in found.columns if name not in long.columns]
        return self.select(found, *carried, *added)

    def reductions(self, option: str) -> Reductions:
        """Return the sums of the sentences, and of the tokens by class."""
        from lq_spark.job.scores import class_sums
        from lq_spark.tasks.shared.sums import score_sums
        from lq_spark.tasks.tokens.columns import one_row_a_token

        if option == "token_output":
            _, named = one_row_a_token(self.source, self.columns)
            sought = self.config.find_issues
            return {"classes": class_sums(named.label, self.classes, sought=sought)}
        return {"scores": score_sums(self.score_column), **self.lowest.reductions(self.source)}

    @property
    def lowest(self) -> Lowest:
        """Return how the sentences of lowest quality are found."""
        from lq_spark.engine.readings import column_input
        from lq_spark.job.scores import Lowest

        key, score = self.config.sentence_id, self.score_column
        worst = ("worst_token_index", "worst_given_label", "worst_predicted_label")
        return Lowest(key, score, tuple(map(column_input, (key, score, *worst))))

    def summarize(self, tables: Mapping[str, Reduced]) -> ScoredTokens:
        """Return the scores in short."""
        from lq_spark.job.excerpts import excerpts
        from lq_spark.job.scores import class_scores
        from lq_spark.tasks.shared.sums import ScoreSums

        output, sought = tables["output"], self.config.find_issues
        scores, worst = output.states["scores"] or ScoreSums(), self.lowest.of(output)
        of_tokens = class_scores(
            tables["token_output"].states["classes"],
            self.classes,
            self.n_classes or None,
            sought=sought,
        )
        return ScoredTokens(
            scores.mean,
            worst,
            excerpts(self.scored_rows, self.columns, worst) if worst else [],
            of_tokens.classes,
            sought,
            self.noise,
        )

    def report_sections(self, rows: DataFrame) -> list[Section]:
        """Return how far the probabilities of tokens can be taken at their word."""
        from lq_spark.job.calibrations import calibration_section
        from lq_spark.tasks.tokens.calibration import token_calibration

        k = self.n_classes or None
        found = token_calibration(rows, self.columns, k, self.config.tolerance)
        return [calibration_section(found, "tokens")]

    def fitted(self) -> Mapping[str, Fitted | None]:
        """Return what was fitted, by the option that says where to save it."""
        return {"save_fitted": self.noise}


TASK = TokensTask

"""What a run over tokens did, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StructField, StructType

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.shared.exact import SCALE_BITS, exact_mean
from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.sums import scaled_halves
from lq_spark.job.class_metrics import (
    ClassQuality,
    count_issues,
    issue_metrics,
    threshold_metrics,
)
from lq_spark.job.report import aligned, overlaps_text
from lq_spark.tasks.shared.labels import class_name
from lq_spark.tasks.tokens.batches import (
    SENTENCE_QUALITY,
    WORST_GIVEN_LABEL,
    WORST_PREDICTED_LABEL,
    WORST_TOKEN_INDEX,
)
from lq_spark.tasks.tokens.columns import TokenColumns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.job.token_config import TokensConfig

N_WORST = 10
EXCERPT = 8
"""How many tokens an excerpt has on each side of the doubtful one."""


@dataclass(frozen=True, slots=True)
class ScoredSentences:
    """The scores of sentences in short.

    Attributes
    ----------
    n_sentences : int
    mean : float or None
        Mean sentence quality; None without sentences.
    worst : list of tuple
        (sentence id, quality, worst token's index, given label, predicted label) of the lowest.
    """

    n_sentences: int
    mean: float | None
    worst: list[tuple[Any, ...]]


def summarize_sentences(scores: DataFrame, columns: TokenColumns) -> ScoredSentences | None:
    """Return the scores of sentences in short; None if one has no score."""
    quality = F.col(SENTENCE_QUALITY)
    high, low = scaled_halves(quality, SCALE_BITS)
    [(n, n_scored, high_sum, low_sum)] = scores.agg(
        F.count(F.lit(1)), F.count(quality), F.sum(high), F.sum(low)
    ).collect()
    if n_scored < n:
        return None
    fields = (SENTENCE_QUALITY, WORST_TOKEN_INDEX, WORST_GIVEN_LABEL, WORST_PREDICTED_LABEL)
    sentence = column(columns.sentence_id)
    lowest = scores.select(sentence, *fields).orderBy(quality, sentence).limit(N_WORST)
    worst = [tuple(row) for row in lowest.collect()]
    return ScoredSentences(n, exact_mean(high_sum, low_sum, n) if n else None, worst)


def excerpts(rows: DataFrame, columns: TokenColumns, found: ScoredSentences) -> list[str]:
    """Return a text for each of the worst sentences, the doubtful token in brackets.

    Where the table has no texts, the place of the token alone.
    """
    places = {row[0]: row[2] for row in found.worst if row[2] is not None}
    if columns.token is None or not places:
        return ["" if row[2] is None else f"[token {row[2]}]" for row in found.worst]
    schema = StructType(
        [
            StructField("__lq_sentence", column_type(rows, columns.sentence_id)),
            StructField("__lq_place", IntegerType()),
        ]
    )
    wanted = rows.sparkSession.createDataFrame(list(places.items()), schema)
    near = rows.join(
        wanted.hint("broadcast"), column(columns.sentence_id) == F.col("__lq_sentence")
    )
    first = F.greatest(F.col("__lq_place") - EXCERPT, F.lit(0))
    if columns.is_nested:
        n_texts = F.col("__lq_place") - first + EXCERPT + 2
        texts = F.slice(column(columns.token), first + 1, n_texts)
        parts = near.select("__lq_sentence", first.alias("first"), texts.alias("texts"))
    else:
        index = column(str(columns.token_index))
        inside = near.where(index.between(first, F.col("__lq_place") + EXCERPT + 1))
        pair = F.struct(index.alias("place"), column(columns.token).alias("text"))
        parts = inside.groupBy("__lq_sentence", first.alias("first")).agg(
            F.sort_array(F.collect_list(pair)).alias("pairs")
        )
        parts = parts.select("__lq_sentence", "first", F.col("pairs.text").alias("texts"))
    marked = {row[0]: _marked(row[2], places[row[0]] - row[1], row[1]) for row in parts.collect()}
    return [marked.get(row[0], "") for row in found.worst]


def _marked(texts: list[str | None], place: int, first: int) -> str:
    """Return an excerpt; ``texts`` has one more than it shows where there are more."""
    words = [f"[{text}]" if i == place else str(text) for i, text in enumerate(texts)]
    shown = words[: place + EXCERPT + 1]
    return " ".join([*["…"] * (first > 0), *shown, *["…"] * (len(shown) < len(words))])


@dataclass(frozen=True, slots=True)
class TokenReport:
    """What a run over tokens did.

    Attributes
    ----------
    quarantined : dict
        Number of sentences for each reason why they could not be scored.
    classes : list of ClassQuality
        By the given label of tokens.
    excerpts : list of str
        Of the worst sentences.
    sought : bool
        Whether label issues were sought.
    """

    run_id: str
    quarantined: dict[str, int]
    sentences: ScoredSentences
    classes: list[ClassQuality]
    noise: NoiseModel | None
    excerpts: list[str]
    seconds: dict[str, float]
    sought: bool

    @property
    def n_tokens(self) -> int:
        """Return how many tokens were scored."""
        return sum(quality.n_rows for quality in self.classes)

    @property
    def n_issues(self) -> int:
        """Return how many tokens are label issues."""
        return count_issues(self.classes)

    def metrics(self) -> Iterator[tuple[str, str | None, float | None]]:
        """Yield (metric, class or reason or phase or None, value)."""
        yield "sentences_scored", None, self.sentences.n_sentences
        yield "sentences_quarantined", None, sum(self.quarantined.values())
        for reason, count in self.quarantined.items():
            yield "sentences_quarantined", reason, count
        yield "tokens_scored", None, self.n_tokens
        yield "mean_sentence_quality", None, self.sentences.mean
        for quality in self.classes:
            yield "class_tokens", quality.name, quality.n_rows
            yield "class_mean_label_quality", quality.name, quality.mean
            yield "class_tokens_predicted_otherwise", quality.name, quality.n_disagreeing
        yield from issue_metrics(self.sought, self.classes, self.noise)
        yield from threshold_metrics(None if self.noise is None else self.noise.thresholds)
        for phase, seconds in self.seconds.items():
            yield "seconds", phase, seconds

    def text(self, config: TokensConfig) -> str:
        """Return the summary that the job prints."""
        n_bad = sum(self.quarantined.values())
        lines = [
            f"{self.sentences.n_sentences:,} sentences of {self.n_tokens:,} tokens scored, token "
            f"score {config.token_score_method}, sentence score {config.sentence_score_method}",
            f"sentences   {config.output}",
            f"tokens      {config.token_output_path}",
            f"metrics     {config.metrics_path} (run {self.run_id})",
        ]
        if config.on_invalid == "quarantine":
            counts = "; ".join(f"{reason}: {n:,}" for reason, n in self.quarantined.items())
            told = f": {counts}" if counts else ""
            lines.append(f"quarantine  {config.quarantine_path} ({n_bad:,} sentences{told})")
        if self.noise is not None:
            lines += [
                f"health      {config.class_health_path}, {config.class_overlaps_path}",
                f"issues      {self.n_issues:,} tokens, {self.n_issues / self.n_tokens:.2%}, by "
                f"{config.filter_by}; label health {self.noise.health_score:.4f}",
            ]
        spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        lines.append(f"time        {spent}")
        if self.sentences.mean is None:
            return "\n".join(lines)
        header = ["class", "tokens", "mean", "predicted otherwise"]
        header += ["issues"] if self.noise is not None else []
        filled = (quality for quality in self.classes if quality.n_rows)
        ordered = sorted(filled, key=lambda quality: quality.mean or 0.0)
        cells = [
            [q.name, f"{q.n_rows:,}", f"{q.mean:.4f}", f"{q.n_disagreeing:,}"]
            + ([f"{q.n_issues:,}"] if self.noise is not None else [])
            for q in ordered[:20]
        ]
        lines += ["", f"mean sentence quality {self.sentences.mean:.4f}; tokens by given class:"]
        lines += aligned(header, cells)
        if self.noise is not None:
            lines += overlaps_text(self.noise)
        lines += ["", "sentences of lowest quality (1 clean, 0 suspect), given → predicted:"]
        for (sentence, quality, _, given, predicted), text in zip(
            self.sentences.worst, self.excerpts, strict=True
        ):
            labels = [class_name(x, config.classes) for x in (given, predicted)] if text else []
            told = " → ".join(labels)
            lines.append(f"  {quality:.6f}  {config.sentence_id} {sentence}  {told}  {text}")
        return "\n".join(lines)

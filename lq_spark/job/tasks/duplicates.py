"""The job of duplicates: rows that are there twice, or nearly, and which of them to keep.

Passes over the source beside its keys: one for what is compared, which is kept while rows are
compared, and one for what is carried to the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from lq_spark.core.duplicates.near import THRESHOLD
from lq_spark.core.duplicates.shingles import KINDS, LENGTHS, ShingleRule
from lq_spark.core.duplicates.texts import SIMILARITY
from lq_spark.errors import require_one_of
from lq_spark.job.config import Name
from lq_spark.job.summary import Metric, Summary, lowest_table, recall_text
from lq_spark.job.tasks.options import (
    RECALL_METRIC,
    FlaggedTask,
    NeighborsConfig,
    edges_of,
    n_features_of,
    refuse_unused,
    unclear_features,
)
from lq_spark.report.parts import Part

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from lq_spark.engine.readings import Input
    from lq_spark.engine.reductions import Reduced, Reductions, Scratch
    from lq_spark.job.scores import Scores

IS_NEAR, IS_EXACT = "is_near_duplicate_issue", "is_exact_duplicate_issue"
SCORE, GROUP, KEEP = "near_duplicate_score", "duplicate_group", "keep"

_BY_FEATURES = ("n_features", "k", "metric", "recall", "threshold")
_BY_TEXT = ("shingles", "n", "similarity")


class DuplicatesConfig(NeighborsConfig):
    """A run over rows with features, or with a text."""

    task: Literal["duplicates"] = Field("duplicates", description="what is looked for")
    threshold: float | None = Field(
        None,
        ge=0,
        description="how near a duplicate is, by features, as a share of the median distance to "
        f"the nearest row (default: {THRESHOLD})",
    )
    text: Name | None = Field(None, description="column of texts, which are compared instead")
    shingles: str | None = Field(
        None, description=f"what texts are cut into runs of: {', '.join(KINDS)} (default: word)"
    )
    n: int | None = Field(
        None,
        ge=1,
        description="how long such a run is (default: "
        + ", ".join(f"{length} {kind}s" for kind, length in LENGTHS.items())
        + ")",
    )
    similarity: float | None = Field(
        None,
        gt=0,
        le=1,
        description=f"how similar a duplicate is, by text, at least (default: {SIMILARITY})",
    )
    seed: int = Field(
        0, ge=0, description="of the hash functions of texts, or of an approximate search"
    )
    label_quality: Name | None = Field(
        None, description="column of numbers: of a group the row with the highest is kept"
    )

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "near_duplicates": "Rows that have another row so near.",
        "issue_rate": "Share of the rows that have one.",
        "exact_duplicates": "Rows that have an equal row.",
        "duplicate_groups": "Groups of rows that a chain of near duplicates joins.",
        "rows_to_drop": "Rows to drop if one of each group is kept.",
        **RECALL_METRIC,
    }

    compared: ClassVar[tuple[str, ...]] = ("features", "graph", "text")

    @model_validator(mode="after")
    def _options_agree(self) -> DuplicatesConfig:
        if self.text is not None:
            refuse_unused(self, "text", _BY_FEATURES)
        else:
            refuse_unused(self, "features" if self.graph is None else "graph", _BY_TEXT)
        if self.shingles is not None:
            require_one_of("shingles", self.shingles, KINDS)
        return self

    @property
    def how(self) -> str:
        """Return by what rows are compared, in words."""
        if self.text is None:
            share = THRESHOLD if self.threshold is None else self.threshold
            by = "features" if self.graph is None else "a graph of neighbours"
            return f"{by}, within {share:g} of the median distance to the nearest row"
        kind = self.shingles or KINDS[0]
        rule = ShingleRule(kind, self.n or LENGTHS[kind])
        share = SIMILARITY if self.similarity is None else self.similarity
        return f"text, with {share:g} of the runs of {rule.n} {rule.kind}s the same"


class Counts(NamedTuple):
    """How many rows have an equal one, how many groups there are, how many rows are left over."""

    n_exact: int = 0
    n_groups: int = 0
    n_to_drop: int = 0


@dataclass(frozen=True, slots=True)
class Duplicates(Summary):
    """The near duplicates of a table in short; ``recall`` is None by text, and without rows."""

    found: Scores
    counts: Counts
    recall: float | None
    by_features: bool

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of the table."""
        n_rows, n_near = self.found.n_rows, self.found.n_issues
        yield "near_duplicates", None, n_near
        yield "issue_rate", None, n_near / n_rows if n_rows else None
        yield "exact_duplicates", None, self.counts.n_exact
        yield "duplicate_groups", None, self.counts.n_groups
        yield "rows_to_drop", None, self.counts.n_to_drop
        if self.by_features:
            yield "neighbor_recall", None, self.recall

    def parts(self, config: DuplicatesConfig) -> list[Part]:
        """Return how many there are, and the rows of lowest score."""
        found, counts = self.found, self.counts
        return [
            "",
            f"near duplicates {found.n_issues:,} of {found.n_rows:,} rows, "
            f"{found.n_issues / found.n_rows:.2%}, {counts.n_exact:,} of them exact",
            f"by {config.how}",
            *recall_text(self.recall),
            f"groups {counts.n_groups:,}, rows to drop if one row of each is kept "
            f"{counts.n_to_drop:,}",
            lowest_table(
                (config.id, "group", "keep", "score"),
                found.worst,
                "lowest near duplicate score (0 there twice, 1 far from all others)",
            ),
        ]


class DuplicatesTask(FlaggedTask[DuplicatesConfig]):
    """Rows with features, or with a text."""

    config_type = DuplicatesConfig
    passes = "one for what is compared, which is kept, and one for the output"
    score_column = SCORE
    flag_column = IS_NEAR
    comments: ClassVar[Mapping[str, str]] = {
        IS_NEAR: "Whether there is another row so near",
        IS_EXACT: "Whether there is an equal row",
        SCORE: "How far the row is from all others: 0 there twice, 1 far",
        "distance_to_nearest_neighbor": "Distance to the nearest other row",
        "near_duplicate_set": "Ids of the rows so near, the nearest first",
        GROUP: "The lowest id that a chain of near duplicates leads to",
        KEEP: "Whether it is the row of its group to keep",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.duplicates.issues import ADDED
        from lq_spark.tasks.duplicates.options import ByDistance, duplicate_options, require_quality

        config = self.config
        self.require_new(*ADDED)
        require_quality(self.source, config.label_quality)
        self.options = duplicate_options(
            self.source,
            config.id,
            config.features,
            config.text,
            edges_of(self),
            config.n_features,
            config.k,
            config.metric,
            config.recall,
            config.threshold,
            config.shingles,
            config.n,
            config.similarity,
            config.seed,
        )
        self.recall: float | None = None
        graph = self.options.graph if isinstance(self.options, ByDistance) else None
        self.n_features = n_features_of(graph)
        if self.n_features:
            self.bound_batches(8 * self.n_features)

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes."""
        return "none: texts are compared" if self.config.text else self.config.compared_text

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be compared, or null."""
        from lq_spark.tasks import duplicates, neighbors

        config = self.config
        if config.graph is not None:
            return neighbors.validate(rows, id=config.id, features=None)
        return duplicates.validate(
            rows,
            id=config.id,
            features=config.features,
            text=config.text,
            n_features=self.n_features,
        )

    def unclear(self, reasons: Mapping[str, int]) -> str:
        """Return that the number of features was guessed, if rows have another one."""
        return unclear_features(self.n_features, self.config, reasons)

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        from pyspark.sql import functions as F

        from lq_spark.engine.inputs import column_type
        from lq_spark.tasks.duplicates.issues import ADDED

        key = column_type(self.source, self.config.id).simpleString()
        kinds = ("boolean", "boolean", "double", "double", f"array<{key}>", key, "boolean")
        made = (F.lit(None).cast(kind).alias(name) for name, kind in zip(ADDED, kinds, strict=True))
        return {"output": self._output(self.none.select("*", *made))}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with their flags, scores, sets and groups."""
        from lq_spark.tasks.duplicates.issues import with_duplicates

        found, self.recall = with_duplicates(rows, self.options, self.config.label_quality)
        yield "output", self._output(found)

    def _output(self, found: DataFrame) -> DataFrame:
        from lq_spark.tasks.duplicates.issues import ADDED

        return self.select(found, *self.config.keep_columns, *ADDED)

    @property
    def shown(self) -> tuple[Input, ...]:
        """Return the id of a row, its group, whether it is kept, and its score."""
        from lq_spark.engine.readings import column_input

        return tuple(map(column_input, (self.config.id, GROUP, KEEP, SCORE)))

    def reductions(self, option: str) -> Reductions:
        """Return the sums of the output, and its lowest rows."""
        from lq_spark.engine.readings import column_input
        from lq_spark.engine.reductions import Reduction

        inputs = {name: column_input(name) for name in (IS_EXACT, IS_NEAR, KEEP)}
        return {**super().reductions(option), "counts": Reduction(inputs, _counts, _of_both)}

    def summarize(self, tables: Mapping[str, Reduced]) -> Duplicates:
        """Return the output in short."""
        output = tables["output"]
        counts = output.states["counts"] or Counts()
        return Duplicates(self.scores(output), counts, self.recall, self.config.text is None)


def _counts(batch: pa.RecordBatch) -> Counts:
    import pyarrow.compute as pc

    exact, near, kept = (batch.column(name) for name in (IS_EXACT, IS_NEAR, KEEP))
    return Counts(exact.true_count, pc.and_(near, kept).true_count, pc.invert(kept).true_count)


def _of_both(a: Counts, b: Counts) -> Counts:
    return Counts(*(x + y for x, y in zip(a, b, strict=True)))


TASK = DuplicatesTask

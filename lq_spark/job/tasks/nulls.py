"""The job of nulls: which values are missing, in which columns, and together.

Passes over the source beside its keys: two that count its nulls, and one for the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lq_spark.job.config import JobConfig, Name
from lq_spark.job.summary import Metric, Summary, lowest_table
from lq_spark.job.tasks.options import FlaggedTask, Id
from lq_spark.report.parts import Part, Table, count, share

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.reductions import Reduced, Scratch
    from lq_spark.job.scores import Scores
    from lq_spark.tasks.nulls import NullHealth

_N_SHOWN = 10


class NullsConfig(JobConfig):
    """A run over rows whose values may be missing."""

    task: Literal["nulls"] = Field("nulls", description="what is looked for")
    id: Id = "id"
    columns: list[Name] | None = Field(
        None, min_length=1, description="columns that are looked at (default: all but the id)"
    )

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "mean_null_score": "Share of the values that are there: 1 all, 0 none.",
        "null_issues": "Rows without any value.",
        "issue_rate": "Share of the rows without any value.",
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = {
        "null_share": "Share of the column's values that are missing.",
    }

    @property
    def class_names(self) -> list[str] | None:
        """Return the columns that metrics are of, where the configuration says them."""
        return self.columns


@dataclass(frozen=True, slots=True)
class Nulls(Summary):
    """The nulls of a table in short."""

    health: NullHealth
    found: Scores

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of the table, and of each column."""
        health = self.health
        yield "mean_null_score", None, health.score
        yield "null_issues", None, health.n_issues
        yield "issue_rate", None, health.n_issues / health.n_rows if health.n_rows else None
        for name, missing in health.column_shares.items():
            yield "null_share", name, missing

    def parts(self, config: NullsConfig) -> Sequence[Part]:
        """Return how many values are missing, and in which columns and rows."""
        health = self.health
        lines = [
            "",
            f"values that are there: {health.score:.2%}",
            f"rows without any value: {health.n_issues:,} of {health.n_rows:,} rows",
        ]
        if not health.pattern:
            return lines
        lines.append(
            f"most often null together, in {health.pattern_rows:,} rows: "
            f"{', '.join(health.pattern)}"
        )
        most = sorted(health.column_nulls.items(), key=lambda of: -of[1])[:_N_SHOWN]
        rows = [(name, count(n), share(n / health.n_rows)) for name, n in most]
        title = "fewest values (1 all, 0 none)"
        return [
            *lines,
            Table("columns with most nulls", ("column", "nulls", "share"), rows, {"share": 1.0}),
            lowest_table((config.id, "score"), self.found.worst, title),
        ]


class NullsTask(FlaggedTask[NullsConfig]):
    """Rows whose values may be missing."""

    config_type = NullsConfig
    passes = "two that count nulls, and one for the output"
    score_column = "null_score"
    flag_column = "is_null_issue"
    comments: ClassVar[Mapping[str, str]] = {
        "null_score": "Share of the row's values that are there: 1 all, 0 none",
        "is_null_issue": "Whether all values of the row are null",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.nulls.columns import looked_at

        self.names = looked_at(self.source, self.config.id, self.config.columns)
        self.require_new(self.score_column, self.flag_column)
        self.health: NullHealth | None = None

    def not_by_itself(self) -> str:
        """Return nothing: a row's nulls are its own."""
        return ""

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes."""
        return f"none: values of {len(self.names):,} columns are looked at"

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import nulls

        return nulls.validate(rows, id=self.config.id, columns=self.names)

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        return {"output": self._output(self.none)}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with their scores and flags."""
        from lq_spark.tasks.nulls.health import null_health

        self.health = null_health(rows, self.config.id, self.names)
        yield "output", self._output(rows)

    def _output(self, rows: DataFrame) -> DataFrame:
        from lq_spark.tasks.nulls.columns import with_null_scores

        found = with_null_scores(rows, self.names)
        return self.select(found, *self.config.keep_columns, self.flag_column, self.score_column)

    def summarize(self, tables: Mapping[str, Reduced]) -> Nulls:
        """Return the output in short."""
        from lq_spark.tasks.nulls import NullHealth

        nothing = NullHealth(0, 0, None, dict.fromkeys(self.names, 0), (), 0)
        return Nulls(self.health or nothing, self.scores(tables["output"]))


TASK = NullsTask

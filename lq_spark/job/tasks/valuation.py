"""The job of data valuation: how much each row helps to predict the labels near to it.

Passes over the source beside its keys: one for the features and one for the labels, which are kept
while rows are compared, and one for what is carried to the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lq_spark.core.valuation.contributions import THRESHOLD
from lq_spark.job.config import Name
from lq_spark.job.summary import Metric, Summary, lowest_table, recall_text
from lq_spark.job.tasks.options import (
    RECALL_METRIC,
    NeighborsConfig,
    NeighborsTask,
    n_features_of,
)
from lq_spark.report.parts import Part
from lq_spark.tasks.shared.names import DATA_VALUATION_SCORE, IS_DATA_VALUATION_ISSUE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.reductions import Reduced, Scratch
    from lq_spark.job.scores import Scores


class ValuationConfig(NeighborsConfig):
    """A run over rows with features and a label."""

    task: Literal["valuation"] = Field("valuation", description="what is looked for")
    label: Name = Field("label", description="column of the given labels, of any type of labels")
    threshold: float = Field(
        THRESHOLD, ge=0, le=1, description="rows of a lower score do more harm than good"
    )

    of_search: ClassVar[tuple[str, ...]] = ("n_features", "recall", "seed")

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "mean_data_valuation_score": "Mean score of the rows: above 0.5 they help, below they "
        "harm (KNN-Shapley; Jia et "
        "al. 2019).",
        "data_valuation_issues": "Rows that do more harm than good to predictions near them.",
        "issue_rate": "Share of the rows that harm.",
        **RECALL_METRIC,
    }


@dataclass(frozen=True, slots=True)
class Values(Summary):
    """The values of the rows of a table in short."""

    found: Scores
    recall: float | None

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of the table."""
        n_rows, n_issues = self.found.n_rows, self.found.n_issues
        yield "mean_data_valuation_score", None, self.found.mean
        yield "data_valuation_issues", None, n_issues
        yield "issue_rate", None, n_issues / n_rows if n_rows else None
        yield "neighbor_recall", None, self.recall

    def parts(self, config: ValuationConfig) -> list[Part]:
        """Return how many rows do more harm than good, and those of lowest score."""
        found = self.found
        return [
            "",
            f"mean data valuation score {found.mean:.4f}",
            *recall_text(self.recall),
            f"rows that harm {found.n_issues:,} of {found.n_rows:,}, "
            f"{found.n_issues / found.n_rows:.2%}",
            lowest_table((config.id, "score"), found.worst, "lowest score (1 helps, 0 harms)"),
        ]


class ValuationTask(NeighborsTask[ValuationConfig]):
    """Rows with features and a label."""

    config_type = ValuationConfig
    passes = "one for features, one for labels, which are kept, and one for the output"
    score_column = DATA_VALUATION_SCORE
    flag_column = IS_DATA_VALUATION_ISSUE
    comments: ClassVar[Mapping[str, str]] = {
        DATA_VALUATION_SCORE: "How much the row helps to predict labels: 1 helps, 0 harms",
        IS_DATA_VALUATION_ISSUE: "Whether the row does more harm than good",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.valuation.columns import compared_label

        compared_label(self.source, self.config.label)
        super().open()

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import valuation

        config = self.config
        return valuation.validate(
            rows,
            id=config.id,
            label=config.label,
            features=config.features,
            n_features=n_features_of(self.graph),
        )

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with their scores and flags."""
        from lq_spark.tasks.valuation.columns import compared_label
        from lq_spark.tasks.valuation.passes import with_values

        config = self.config
        label = compared_label(rows, config.label)
        options = self.graph, label, config.k, config.threshold
        found, self.recall = with_values(rows, *options, fail=True)
        yield "output", self.output(found)

    def output(self, found: DataFrame) -> DataFrame:
        """Return the columns of the output."""
        return self.select(
            found,
            self.config.label,
            *self.config.keep_columns,
            IS_DATA_VALUATION_ISSUE,
            DATA_VALUATION_SCORE,
        )

    def summarize(self, tables: Mapping[str, Reduced]) -> Values:
        """Return the output in short."""
        return Values(self.scores(tables["output"]), self.recall)


TASK = ValuationTask

"""The job of the order of the rows: whether it is random, and where near rows lie together.

Passes over the source beside its keys: one for the features, which are kept while rows are
compared, one for the column that says the order, if there is one, and one for the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lq_spark.job.config import Name
from lq_spark.job.summary import Metric, Summary, lowest_table, recall_text
from lq_spark.job.tasks.options import (
    RECALL_METRIC,
    NeighborsConfig,
    NeighborsTask,
    n_features_of,
)
from lq_spark.report.parts import Part
from lq_spark.tasks.shared.names import IS_NON_IID_ISSUE, NON_IID_SCORE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.core.noniid.api import NonIid
    from lq_spark.engine.reductions import Reduced, Scratch
    from lq_spark.job.scores import Scores


class NoniidConfig(NeighborsConfig):
    """A run over rows with features, in an order."""

    task: Literal["noniid"] = Field("noniid", description="what is looked for")
    order: Name | None = Field(
        None, description="column that says in which order rows came (default: that of the id)"
    )
    num_permutations: int = Field(
        25, ge=2, description="in how many random orders the table is looked at"
    )
    seed: int = Field(0, ge=0, description="of random orders, and of an approximate search")
    significance_threshold: float = Field(
        0.05, ge=0, le=1, description="p-value below which the order is not random"
    )

    of_search: ClassVar[tuple[str, ...]] = ("n_features", "k", "recall")

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "non_iid_statistic": "How far the places of neighbours differ from those of any rows: the "
        "Kolmogorov-Smirnov statistic.",
        "non_iid_p_value": "How probable so large a statistic is in random order, by "
        "permutations: low says "
        "that order matters (Cummings, Snorrason, Mueller 2023).",
        "non_iid_issues": "1 if the order is not random, else 0.",
        "mean_non_iid_score": "Mean score of the rows: 1 neighbours all over the table, 0 in one "
        "place.",
        **RECALL_METRIC,
    }


@dataclass(frozen=True, slots=True)
class Order(Summary):
    """The order of the rows of a table in short; ``found`` is None where there are none."""

    scores: Scores
    found: NonIid | None
    recall: float | None

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of the table."""
        found = self.found
        yield "non_iid_statistic", None, None if found is None else found.statistic
        yield "non_iid_p_value", None, None if found is None else found.p_value
        yield "non_iid_issues", None, self.scores.n_issues
        yield "mean_non_iid_score", None, self.scores.mean
        yield "neighbor_recall", None, self.recall

    def parts(self, config: NoniidConfig) -> list[Part]:
        """Return whether the order is random, and where near rows lie together."""
        if self.found is None:
            return []
        verdict = "not random" if self.found.is_issue else "random"
        return [
            "",
            f"order of {self.scores.n_rows:,} rows by {config.order or config.id}: {verdict}, "
            f"p-value {self.found.p_value:.4f} (below {config.significance_threshold:g} is not), "
            f"statistic {self.found.statistic:.4f}",
            *recall_text(self.recall),
            lowest_table(
                (config.id, "score"),
                self.scores.worst,
                "lowest score (1 neighbours all over the table, 0 in one place)",
            ),
        ]


class NoniidTask(NeighborsTask[NoniidConfig]):
    """Rows with features, in an order."""

    config_type = NoniidConfig
    passes = "one for features, which are kept, one for the order, and one for the output"
    score_column = NON_IID_SCORE
    flag_column = IS_NON_IID_ISSUE
    comments: ClassVar[Mapping[str, str]] = {
        NON_IID_SCORE: "Where the row's neighbours are: 1 all over the table, 0 in one place",
        IS_NON_IID_ISSUE: "True for one row, of the lowest score, if the order is not random",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.engine.inputs import require_key
        from lq_spark.tasks.noniid.passes import RowOrder

        super().open()
        if self.config.order is not None:
            require_key(self.source, "order", self.config.order)
        self.placing = RowOrder(self.graph, self.config.order)
        self.found: NonIid | None = None

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they have no place in order, or null."""
        from lq_spark.tasks import noniid

        config = self.config
        return noniid.validate(
            rows,
            id=config.id,
            order=config.order,
            features=config.features,
            n_features=n_features_of(self.graph),
        )

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with their scores and flags."""
        from lq_spark.tasks.noniid.issues import checked_orders, with_issues

        config = self.config
        orders = checked_orders(config.num_permutations, config.seed)
        judged = with_issues(rows, self.placing, orders, config.significance_threshold)
        self.found, self.recall = judged.found, judged.recall
        yield "output", self.output(judged.rows)

    def output(self, found: DataFrame) -> DataFrame:
        """Return the columns of the output."""
        order = [] if self.config.order is None else [self.config.order]
        return self.select(
            found, *order, *self.config.keep_columns, IS_NON_IID_ISSUE, NON_IID_SCORE
        )

    def summarize(self, tables: Mapping[str, Reduced]) -> Order:
        """Return the output in short."""
        return Order(self.scores(tables["output"]), self.found, self.recall)


TASK = NoniidTask

"""The job of underperforming groups: clusters, and slices, whose labels a model knows least.

Passes over the source beside its keys: those that compare rows, for their clusters, one for the
self-confidence of rows, which is kept, and one for what is carried to the output; one for slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from lq_spark.core.groups.performance import MIN_CLUSTER_SAMPLES, THRESHOLD
from lq_spark.core.groups.slices import ALPHA, MIN_ROWS
from lq_spark.job.config import Name
from lq_spark.job.summary import Metric, Summary, recall_text
from lq_spark.job.task import Task
from lq_spark.job.tasks.options import (
    RECALL_METRIC,
    NeighborsConfig,
    PredProbs,
    compared,
    edges_of,
    n_features_of,
    refuse_unused,
    unclear_features,
)
from lq_spark.report.parts import Part, Table, count, number

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.reductions import Reduced, Scratch
    from lq_spark.tasks.groups import GroupHealth
    from lq_spark.tasks.groups.issues import Options
    from lq_spark.tasks.neighbors.knn import GraphOptions

_N_SHOWN = 10

_OF_NEIGHBORS = ("n_features", "k", "metric", "recall", "seed", "eps", "min_samples")


class GroupsConfig(NeighborsConfig):
    """A run over rows with labels and probabilities, in clusters."""

    task: Literal["groups"] = Field("groups", description="what is looked for")
    label: Name = Field("label", description="column of the given labels")
    pred_probs: PredProbs = "pred_probs"
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities; for string labels"
    )
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else the first row)"
    )
    clusters: Name | None = Field(
        None, description="column of the clusters: whole numbers, -1 of rows in none"
    )
    eps: float | None = Field(
        None, ge=0, description="up to which distance neighbours are near (default: 0.5)"
    )
    min_samples: int | None = Field(
        None, ge=1, description="near rows of one in the midst of a cluster, with it (default: 5)"
    )
    threshold: float = Field(
        THRESHOLD, ge=0, le=1, description="score below which the worst cluster is an issue"
    )
    min_cluster_samples: int = Field(
        MIN_CLUSTER_SAMPLES, ge=1, description="clusters of fewer rows are left out"
    )
    by: list[Name] | None = Field(
        None, min_length=1, description="columns whose slices are compared with the other rows"
    )
    alpha: float = Field(
        ALPHA, ge=0, le=1, description="of slices: below which adjusted p-value one is worse"
    )
    min_rows: int = Field(MIN_ROWS, ge=2, description="slices of fewer rows are not compared")

    compared: ClassVar[tuple[str, ...]] = ("features", "graph", "clusters")

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "clusters": "Clusters of rows near to each other that were compared.",
        "worst_group_score": "Lowest mean self-confidence of a cluster, as a share of that of all "
        "rows: 1 no "
        "worse, 0 bad.",
        "underperforming_rows": "Rows of the cluster that is an issue.",
        "issue_rate": "Share of the rows that lie in it.",
        **RECALL_METRIC,
        "worse_slices": "Slices that are worse than the rest by Welch's one-sided t-test, "
        "corrected for "
        "their number (Holm 1979).",
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="after")
    def _options_agree(self) -> GroupsConfig:
        if self.clusters is not None:
            refuse_unused(self, "clusters", _OF_NEIGHBORS)
        if self.by is None:
            for name in ("alpha", "min_rows"):
                if name in self.model_fields_set:
                    raise ValueError(f"{name} is given, so by must name columns")
        return self


@dataclass(frozen=True, slots=True)
class Groups(Summary):
    """The groups of a table in short.

    Attributes
    ----------
    health : GroupHealth or None
        None without rows.
    recall : float or None
        Where clusters were found by neighbours.
    slices : pandas.DataFrame or None
        Where they were asked for, and there are rows.
    n_worse : int or None
        How many of them are worse, where they were asked for.
    """

    health: GroupHealth | None
    recall: float | None
    slices: Any
    n_worse: int | None

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of the table."""
        health = self.health
        yield "clusters", None, len(health.clusters) if health else 0
        yield "worst_group_score", None, health.score if health else None
        yield "underperforming_rows", None, health.n_issues if health else 0
        yield "issue_rate", None, health.n_issues / health.n_rows if health else None
        yield "neighbor_recall", None, self.recall
        if self.n_worse is not None:
            yield "worse_slices", None, self.n_worse

    def parts(self, config: GroupsConfig) -> list[Part]:
        """Return the lowest clusters, and the slices that are worse."""
        health = self.health
        if health is None:
            return []
        verdict = "none" if health.worst is None else f"cluster {health.worst}"
        places = sorted(range(len(health.clusters)), key=lambda place: health.performance[place])
        rows = [
            (health.clusters[place], number(health.performance[place], 6))
            for place in places[:_N_SHOWN]
        ]
        lines: list[Part] = [
            "",
            f"underperforming group: {verdict}, {health.n_issues:,} of {health.n_rows:,} rows; "
            f"lowest score {health.score:.4f} (an issue below {config.threshold:g})",
            *recall_text(self.recall),
            Table(
                f"clusters of lowest self-confidence, of {len(health.clusters):,}",
                ("cluster", "mean"),
                rows,
                {"mean": 1.0},
            ),
        ]
        if self.slices is None:
            return lines
        worse = self.slices[self.slices["is_worse"]].head(_N_SHOWN)
        title = f"worse slices: {self.n_worse} of {len(self.slices)} compared"
        shown = [
            (row["slice"], count(row["rows"]), number(row["difference"]))
            for _, row in worse.iterrows()
        ]
        if not shown:
            return [*lines, "", title]
        return [*lines, Table(title, ("slice", "rows", "difference"), shown)]


class GroupsTask(Task[GroupsConfig]):
    """Rows with labels and probabilities, in clusters."""

    config_type = GroupsConfig
    edges: DataFrame | None
    graph: GraphOptions | None
    passes = "those that compare rows, one for self-confidence, one for the output"
    score_column = "underperforming_group_score"
    flag_column = "is_underperforming_group_issue"
    comments: ClassVar[Mapping[str, str]] = {
        "underperforming_group_score": "Mean self-confidence of the row's cluster by that of all: "
        "0 bad, 1 not below",
        "is_underperforming_group_issue": "Whether the row's cluster is the one known least",
        "cluster": "Cluster of the row, -1 of one in none",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.groups.by_columns import checked_columns
        from lq_spark.tasks.groups.passes import CLUSTER, IS_ISSUE, SCORE, require_clusters
        from lq_spark.tasks.shared.classes import resolved_n_classes
        from lq_spark.tasks.shared.table import labelled_table

        config = self.config
        table = labelled_table(
            self.source, label=config.label, pred_probs=config.pred_probs, classes=config.classes
        )
        self.added = [IS_ISSUE, SCORE]
        if config.clusters is None:
            self.added.append(CLUSTER)
            self.edges = edges_of(self)
            self.graph = compared(self, self.edges)
        else:
            require_clusters(self.source, config.clusters)
            self.edges = self.graph = None
        self.require_new(*self.added)
        if config.by is not None:
            checked_columns(self.source, config.by)
        self.classes = table.classes
        self.n_classes = resolved_n_classes(
            self.source, table.probabilities, table.label_type, config.n_classes, label=config.label
        )
        self.bound_batches(8 * max(self.n_classes, n_features_of(self.graph) or 1))
        self.health: GroupHealth | None = None
        self.recall: float | None = None
        self.slices: Any = None

    @property
    def _options(self) -> Options:
        from lq_spark.tasks.groups.issues import Options
        from lq_spark.tasks.groups.passes import Labelled

        config = self.config
        return Options(
            id=config.id,
            labelled=Labelled(config.label, config.pred_probs, config.classes, self.n_classes),
            clusters=config.clusters,
            features=config.features,
            graph=self.edges,
            n_features=n_features_of(self.graph),
            k=config.k,
            metric=config.metric,
            recall=config.recall,
            seed=config.seed,
            eps=config.eps,
            min_samples=config.min_samples,
            threshold=config.threshold,
            min_cluster_samples=config.min_cluster_samples,
        )

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import groups

        config = self.config
        return groups.validate(
            rows,
            id=config.id,
            label=config.label,
            pred_probs=config.pred_probs,
            classes=config.classes,
            n_classes=self.n_classes,
            clusters=config.clusters,
            features=config.features,
            n_features=n_features_of(self.graph),
        )

    def unclear(self, reasons: Mapping[str, int]) -> str:
        """Return that the number of features was guessed, if rows have another one."""
        return unclear_features(n_features_of(self.graph), self.config, reasons)

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        from pyspark.sql import functions as F

        kinds = dict(zip(self.added, ("boolean", "double", "bigint"), strict=False))
        found = self.none.withColumns({n: F.lit(None).cast(kind) for n, kind in kinds.items()})
        return {"output": self._output(found)}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with their scores and flags."""
        from lq_spark.tasks import groups
        from lq_spark.tasks.groups.health import group_health

        config = self.config
        found = self._options.found(rows)
        self.health = group_health(found)
        self.recall = None if config.clusters else found.recall
        if config.by is not None:
            self.slices = groups.slices(
                rows,
                by=config.by,
                label=config.label,
                pred_probs=config.pred_probs,
                classes=config.classes,
                n_classes=self.n_classes,
                alpha=config.alpha,
                min_rows=config.min_rows,
            )
        yield "output", self._output(found.rows)

    def _output(self, found: DataFrame) -> DataFrame:
        config = self.config
        return self.select(found, config.label, *config.keep_columns, *self.added)

    def summarize(self, tables: Mapping[str, Reduced]) -> Groups:
        """Return the output in short."""
        n_worse = None if self.config.by is None else 0
        if self.slices is not None:
            n_worse = int(self.slices["is_worse"].sum())
        return Groups(self.health, self.recall, self.slices, n_worse)


TASK = GroupsTask

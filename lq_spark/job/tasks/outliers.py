"""The job of outliers: rows far from all others, or of which a model is unsure.

Passes over the source beside its keys: one for the features, which are kept while rows are
compared, and one for what is carried to the output; or two for probabilities, three with labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from lq_spark.core.outliers import distances as by_distance
from lq_spark.core.outliers import probabilities as by_probability
from lq_spark.job.config import Name, Place
from lq_spark.job.summary import Metric, Summary, lowest_table, recall_text
from lq_spark.job.tasks.options import (
    RECALL_METRIC,
    FlaggedTask,
    NeighborsConfig,
    compared,
    edges_of,
    n_features_of,
    refuse_unused,
    unclear_features,
)
from lq_spark.report.parts import Part
from lq_spark.tasks.shared.names import IS_OUTLIER_ISSUE, OUTLIER_SCORE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.reductions import Reduced, Scratch
    from lq_spark.job.scores import Scores
    from lq_spark.tasks.neighbors.knn import GraphOptions
    from lq_spark.tasks.outliers import FittedOutliers
    from lq_spark.tasks.outliers.passes import ByProbability


_OF_DISTANCES = ("n_features", "k", "metric", "recall", "seed")
_OF_REFERENCES = ("fitted", "save_fitted")
_OF_PROBABILITIES = ("label", "classes", "n_classes", "method", "n_largest", "gamma")


class OutliersConfig(NeighborsConfig):
    """A run over rows with features, or with predicted probabilities."""

    task: Literal["outliers"] = Field("outliers", description="what is looked for")
    fitted: Place | None = Field(
        None,
        description="folder saved by an earlier run: rows are compared with those of that run, "
        "not with each other",
    )
    save_fitted: Place | None = Field(
        None, description="folder to save the features of the rows to, as a reference"
    )
    t: float = Field(1.0, gt=0, description="how fast the score falls with distance")
    pred_probs: Name | list[Name] | None = Field(
        None, description="column of the predicted probabilities, or a column a class"
    )
    label: Name | None = Field(
        None, description="column of the given labels: probabilities are adjusted by thresholds"
    )
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities; for string labels"
    )
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else the first row)"
    )
    method: str = Field(
        "entropy", description=f"score of probabilities: {', '.join(by_probability.METHODS)}"
    )
    n_largest: int = Field(
        by_probability.N_LARGEST, ge=1, description="of gen: how many probabilities it looks at"
    )
    gamma: float = Field(by_probability.GAMMA, ge=0, description="of gen: its exponent")
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="how far from typical an outlier is: 0 none is (default: "
        f"{by_distance.THRESHOLD} by features, {by_probability.THRESHOLD} by probabilities)",
    )

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "mean_outlier_score": "Mean score of the rows: 1 typical, 0 an outlier.",
        "outliers": "Rows that are outliers.",
        "issue_rate": "Share of the rows that are outliers.",
        **RECALL_METRIC,
    }

    compared: ClassVar[tuple[str, ...]] = ("features", "graph", "pred_probs")

    @model_validator(mode="after")
    def _options_agree(self) -> OutliersConfig:
        if self.pred_probs is not None:
            refuse_unused(self, "pred_probs", (*_OF_DISTANCES, *_OF_REFERENCES, "t"))
        else:
            by = "features" if self.graph is None else "graph"
            refuse_unused(self, by, _OF_PROBABILITIES)
        if self.graph is not None:
            refuse_unused(self, "graph", _OF_REFERENCES)
        if self.fitted is not None:
            refuse_unused(self, "fitted", (*_OF_DISTANCES, "save_fitted"))
        by_probability.require_options(self.method, self.n_largest, self.gamma)
        return self

    @property
    def how(self) -> str:
        """Return by what a row is scored, in words."""
        if self.pred_probs is not None:
            return self.method
        if self.graph is not None:
            return "a graph of neighbours"
        return "features" if self.fitted is None else f"features, among the rows of {self.fitted}"

    @property
    def folders(self) -> dict[str, str]:
        """Return the folder that the run writes, beside its tables."""
        return {} if self.save_fitted is None else {"save_fitted": self.save_fitted}


@dataclass(frozen=True, slots=True)
class Outliers(Summary):
    """The outliers of a table in short."""

    found: Scores
    recall: float | None

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of the table."""
        n_rows, n_outliers = self.found.n_rows, self.found.n_issues
        yield "mean_outlier_score", None, self.found.mean
        yield "outliers", None, n_outliers
        yield "issue_rate", None, n_outliers / n_rows if n_rows else None
        yield "neighbor_recall", None, self.recall

    def parts(self, config: OutliersConfig) -> list[Part]:
        """Return how many there are, and the rows of lowest score."""
        found = self.found
        return [
            "",
            f"mean outlier score {found.mean:.4f}, by {config.how}",
            *recall_text(self.recall),
            f"outliers {found.n_issues:,} of {found.n_rows:,} rows, "
            f"{found.n_issues / found.n_rows:.2%}",
            lowest_table(
                (config.id, "score"), found.worst, "lowest outlier score (1 typical, 0 an outlier)"
            ),
        ]


class OutliersTask(FlaggedTask[OutliersConfig]):
    """Rows with features, or with predicted probabilities."""

    config_type = OutliersConfig
    passes = "one for features, which are kept, and one for the output; by probabilities 2 or 3"
    score_column = OUTLIER_SCORE
    flag_column = IS_OUTLIER_ISSUE
    comments: ClassVar[Mapping[str, str]] = {
        OUTLIER_SCORE: "How typical the row is of the others: 1 typical, 0 an outlier",
        IS_OUTLIER_ISSUE: "Whether the row is an outlier",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.outliers import FittedOutliers
        from lq_spark.tasks.outliers.fitted import features_like
        from lq_spark.tasks.outliers.issues import read_probabilities
        from lq_spark.tasks.outliers.place import SavedPlace

        config = self.config
        self.require_new(OUTLIER_SCORE, IS_OUTLIER_ISSUE)
        self.classes = config.classes
        self.graph: GraphOptions | None = None
        self.loaded: FittedOutliers | None = None
        self.saved: FittedOutliers | None = None
        self.n_features: int | None = None
        self.recall: float | None = None
        if config.save_fitted is not None:
            SavedPlace(config.save_fitted).require_free()
        if config.fitted is not None:
            self.loaded = FittedOutliers.load(self.spark, config.fitted)
            self.n_features = self.loaded.distances.n_features
            features_like(self.source, config.features or "", self.loaded.distances)
            self.bound_batches(8 * self.n_features)
            return
        if config.pred_probs is None:
            self.graph = compared(self, edges_of(self))
            self.n_features = n_features_of(self.graph)
            return
        self.read, self.n_classes = read_probabilities(
            self.source, config.pred_probs, config.classes, config.n_classes
        )
        self.bound_batches(8 * self.n_classes)

    def not_by_itself(self) -> str:
        """Return that rows are compared with each other, unless it is with a reference."""
        return "" if self.loaded else "rows are compared with each other; give fitted"

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes."""
        if self.config.pred_probs is not None:
            return super().classes_text
        return self.config.compared_text

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import neighbors, outliers

        config = self.config
        if config.pred_probs is None:
            return neighbors.validate(
                rows, id=config.id, features=config.features, n_features=self.n_features
            )
        return outliers.validate(
            rows,
            id=config.id,
            pred_probs=config.pred_probs,
            label=config.label,
            classes=config.classes,
            n_classes=self.n_classes,
        )

    def unclear(self, reasons: Mapping[str, int]) -> str:
        """Return that the number of features was guessed, if rows have another one."""
        from lq_spark.tasks.shared.names import WRONG_LENGTH

        if self.graph:
            return unclear_features(self.n_features, self.config, reasons)
        if not (self.config.n_classes or self.config.classes) and WRONG_LENGTH in reasons:
            return (
                f"; K = {self.n_classes} was read off the first row, give n_classes to be certain"
            )
        return ""

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        from pyspark.sql import functions as F

        found = self.none.withColumn(IS_OUTLIER_ISSUE, F.lit(None).cast("boolean"))
        return {"output": self._output(found.withColumn(OUTLIER_SCORE, F.lit(None).cast("double")))}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with their scores and flags."""
        from lq_spark.tasks.outliers.issues import agreed_threshold
        from lq_spark.tasks.outliers.passes import with_probability_scores

        config = self.config
        if config.pred_probs is None:
            limit = agreed_threshold(config.threshold, by_distance.THRESHOLD)
            found = self._by_distance(rows, limit)
        else:
            limit = agreed_threshold(config.threshold, by_probability.THRESHOLD)
            found = with_probability_scores(rows, self._how(rows), limit, fail=False)
        yield "output", self._output(found)

    def _by_distance(self, rows: DataFrame, threshold: float) -> DataFrame:
        from lq_spark.tasks.neighbors.features import FeatureGraph
        from lq_spark.tasks.outliers.fitted import scored_by_reference
        from lq_spark.tasks.outliers.issues import with_distances, with_distances_kept

        config, how = self.config, (self.config.t, threshold)
        if self.loaded is not None:
            options = config.id, config.features or "", self.loaded
            return scored_by_reference(rows, *options, *how, fail=False)
        graph = self.graph
        if config.save_fitted is not None and isinstance(graph, FeatureGraph):
            (found, self.recall), self.saved = with_distances_kept(rows, graph, *how)
        elif graph is not None:
            found, self.recall = with_distances(rows, graph, *how, fail=True)
        return found

    def fitted(self) -> Mapping[str, FittedOutliers | None]:
        """Return the rows as a reference for others, if they are to be saved."""
        return {"save_fitted": self.saved}

    def _how(self, rows: DataFrame) -> ByProbability:
        from lq_spark.tasks.outliers.issues import with_thresholds
        from lq_spark.tasks.outliers.passes import ByProbability

        config = self.config
        options = config.method, None, config.n_largest, config.gamma
        how = ByProbability(self.read, self.n_classes, *options)
        return with_thresholds(how, rows, config.pred_probs, config.label, config.classes)

    def _output(self, found: DataFrame) -> DataFrame:
        return self.select(found, *self.config.keep_columns, IS_OUTLIER_ISSUE, OUTLIER_SCORE)

    def summarize(self, tables: Mapping[str, Reduced]) -> Outliers:
        """Return the output in short."""
        return Outliers(self.scores(tables["output"]), self.recall)


TASK = OutliersTask

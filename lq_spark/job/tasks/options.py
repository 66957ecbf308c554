"""What the configurations of several tasks have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import Field, model_validator

from lq_spark.core.neighbors.vectors import METRICS, agreed_metric
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.errors import listed
from lq_spark.job.config import FittedConfig, JobConfig, Name, Place
from lq_spark.job.rules import RULE_KEYS, RulesConfig, rows_compared, rule_of
from lq_spark.job.task import Task
from lq_spark.tables.spec import TableSpec
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.core.confident.model import NoiseModel
    from lq_spark.engine.readings import Input
    from lq_spark.engine.reductions import Reduced, Reductions
    from lq_spark.job.scores import Lowest, Scores
    from lq_spark.tasks.neighbors.knn import GraphOptions

ISSUE_METRICS = {
    "label_issues": "Labels that are probably wrong, by the configured rule of confident learning "
    "(Northcutt, Jiang, Chuang 2021).",
    "issue_rate": "Share of the labels that are probably wrong.",
    "label_health_score": "Share of the labels estimated to be right: 1 all, 0 none.",
}
CLASS_ISSUE_METRICS = {
    "class_label_issues": "Labels of the class that are probably wrong.",
    "class_issue_rate": "Share of the labels of the class that are probably wrong.",
}
RECALL_METRIC = {
    "neighbor_recall": "Share of the nearest neighbours that the search found, measured on a "
    "sample of rows; 1 where it was exact.",
}
THRESHOLD_METRIC = {
    "class_threshold": "Confident threshold of the class: the mean probability of the class among "
    "the labels given it (Northcutt, Jiang, Chuang 2021, equation 2).",
}


def quality_metrics(rows: str) -> dict[str, str]:
    """Return the metrics of each class of what has a label and a score: rows, or tokens."""
    return {
        f"class_{rows}": f"{rows.capitalize()} given the class.",
        "class_mean_label_quality": f"Mean label quality of the {rows} given the class: 1 clean, "
        "0 suspect.",
        f"class_{rows}_predicted_otherwise": f"{rows.capitalize()} given the class for which the "
        "model finds another one likelier.",
        **CLASS_ISSUE_METRICS,
        **THRESHOLD_METRIC,
    }


Id = Annotated[Name, Field(description="column that tells rows apart")]
PredProbs = Annotated[
    Name | list[Name],
    Field(description="column of the predicted probabilities, or a column a class"),
]
Tolerance = Annotated[
    float, Field(ge=0, lt=1, description="how far a row's probabilities may sum from 1")
]


class ClassesConfig(FittedConfig):
    """A job over labels of K classes."""

    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities; for string labels"
    )
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else the first row)"
    )

    class_counts: ClassVar[str | None] = "class_rows"

    @property
    def class_names(self) -> list[str] | None:
        """Return what metrics of each class call the classes, where the configuration says it."""
        if self.classes is not None:
            return list(self.classes)
        if self.n_classes is None or self.fitted:  # which may have names
            return None
        return [str(k) for k in range(self.n_classes)]


class LabelledConfig(ClassesConfig, RulesConfig):
    """A job over labels and probabilities of K exclusive classes, and the rule of label issues."""

    pred_probs: PredProbs = "pred_probs"
    find_issues: bool = Field(
        False, description="say also which labels are issues, and how healthy each class is"
    )
    tolerance: Tolerance = SUM_TOLERANCE

    for_issues: ClassVar[tuple[str, ...]] = (*RULE_KEYS, "fitted", "save_fitted")

    @model_validator(mode="after")
    def _rules_agree(self) -> LabelledConfig:
        if self.find_issues:
            return self
        for name in self.for_issues:
            value = getattr(self, name) if name in self.model_fields_set else None
            if value is not None and value is not False:
                raise ValueError(f"{name} is given, so find_issues must be true")
        of_issues = {*ISSUE_METRICS, *CLASS_ISSUE_METRICS, "drift_issue_rate", "drift_joint"}
        for condition in self.conditions:
            if named := of_issues.intersection(reading.metric for reading in condition.readings):
                raise ValueError(
                    f"{condition.option}: {condition.text!r} is about {listed(sorted(named))}, so "
                    "find_issues must be true"
                )
        return self

    @property
    def seeks_issues(self) -> bool:
        """Return whether label issues are sought."""
        return self.find_issues


class NeighborsConfig(JobConfig):
    """A job over rows that are compared with each other by their features."""

    id: Id = "id"
    features: Name | list[Name] | None = Field(
        None,
        description="column of the features, an array or a vector, or a column each (default: "
        "features, unless something else says what is near)",
    )
    graph: Place | None = Field(
        None,
        description="path or catalog name of the nearest rows of each row, in the columns id, "
        "neighbor, rank (from 1) and distance; in place of features",
    )
    n_features: int | None = Field(
        None, ge=1, description="how many features a row has (else as many as the first row)"
    )
    k: int | None = Field(None, ge=1, description="how many neighbours count (default: 10)")
    metric: str | None = Field(
        None,
        description=f"distance of features: {', '.join(METRICS)} (default: cosine, of up to 3 "
        "features euclidean)",
    )
    recall: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of the nearest neighbours that must be found; 1 is exact (default: 1, "
        "of tables that are too large 0.95)",
    )
    seed: int = Field(0, ge=0, description="of an approximate search for neighbours")

    compared: ClassVar[tuple[str, ...]] = ("features", "graph")
    """The options one of which says by what rows are compared."""

    is_by_features: ClassVar[bool] = True
    """Whether it is the first by default."""

    of_search: ClassVar[tuple[str, ...]] = ("n_features", "k", "recall", "seed")
    """Those of a search for neighbours, which do not go with a graph of them."""

    @model_validator(mode="before")
    @classmethod
    def _features_by_default(cls, given: Any) -> Any:
        is_told = isinstance(given, dict) and any(given.get(name) for name in cls.compared)
        return given if is_told or not cls.is_by_features else {**given, "features": "features"}

    @model_validator(mode="after")
    def _one_is_compared(self) -> NeighborsConfig:
        given = [name for name in self.compared if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given together; one of them decides")
        agreed_metric(self.metric, 1)
        if self.graph is not None:
            refuse_unused(self, "graph", self.of_search)
        return self

    @property
    def compared_text(self) -> str:
        """Return what a dry run says of classes where there are none: what is compared."""
        return f"none: {'features' if self.graph is None else 'neighbours'} are compared"

    @property
    def inputs(self) -> list[TableSpec]:
        """Return the tables that are read: of rows, and the newest version of their graph."""
        if self.graph is None:
            return super().inputs
        return [*super().inputs, TableSpec(self.graph, "graph", self.input_format)]


Labelled = TypeVar("Labelled", bound=LabelledConfig)
Flagged = TypeVar("Flagged", bound=JobConfig)
Near = TypeVar("Near", bound=NeighborsConfig)


class LabelledTask(Task[Labelled]):
    """A task over labels and probabilities of K exclusive classes."""

    loaded: NoiseModel | None = None
    """What an earlier run has fitted, if issues are found by it."""

    fits_by_sums: ClassVar[bool] = False
    """Whether class thresholds can be fitted anew without all rows."""

    def not_by_itself(self) -> str:
        """Return what is found by all rows, if issues are sought and anything is."""
        config = self.config
        if not config.find_issues:
            return ""
        if self.loaded is None and not self.fits_by_sums:
            return f"class thresholds are fitted on all {self.rows}; give fitted"
        return rows_compared(rule_of(config, self.loaded), issue_rank=config.issue_rank)

    def without_issues(self, scored: DataFrame) -> DataFrame:
        """Return a table without rows with the columns that issues would have."""
        from pyspark.sql import functions as F

        return self.ranked(scored.withColumn(IS_LABEL_ISSUE, F.lit(None).cast("boolean")))


class FlaggedTask(Task[Flagged]):
    """A task whose output has a row, with a score and a flag, for each of ``id``."""

    flag_column = IS_LABEL_ISSUE

    @property
    def shown(self) -> tuple[Input, ...]:
        """Return what is to be shown of the rows of lowest score: by default the id and it."""
        from lq_spark.engine.readings import column_input

        return column_input(self.config.row_id), column_input(self.score_column)

    def reductions(self, option: str) -> Reductions:
        """Return the sums of the output, and its lowest rows."""
        from lq_spark.tasks.shared.sums import score_sums

        if option != "output":
            return {}
        sums = score_sums(self.score_column, self.flag_column)
        return {"scores": sums, **self._lowest.reductions(self.source)}

    def scores(self, output: Reduced) -> Scores:
        """Return the output in short."""
        from lq_spark.job.scores import Scores
        from lq_spark.tasks.shared.sums import ScoreSums

        found = output.states["scores"] or ScoreSums()
        return Scores(found.n, found.n_issues, found.mean, self._lowest.of(output))

    @property
    def _lowest(self) -> Lowest:
        from lq_spark.job.scores import Lowest

        return Lowest(self.config.row_id, self.score_column, self.shown)


class NeighborsTask(FlaggedTask[Near]):
    """A task over rows that are compared with each other by their features."""

    passes = "one for features, which are kept, and one for the output"
    graph: GraphOptions
    """Where the neighbours of a row come from."""

    recall: float | None = None
    """The share of the nearest neighbours that was found."""

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        self.require_new(*self.comments)
        self.graph = compared(self, edges_of(self))

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes."""
        return self.config.compared_text

    def unclear(self, reasons: Mapping[str, int]) -> str:
        """Return that the number of features was guessed, if rows have another one."""
        return unclear_features(n_features_of(self.graph), self.config, reasons)

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        from pyspark.sql import functions as F

        found = self.none.withColumn(self.flag_column, F.lit(None).cast("boolean"))
        return {
            "output": self.output(found.withColumn(self.score_column, F.lit(None).cast("double")))
        }

    @abstractmethod
    def output(self, found: DataFrame) -> DataFrame:
        """Return the columns of the output."""


def refuse_unused(config: JobConfig, by: str, names: Iterable[str]) -> None:
    """Raise ValueError if a key is given that does not go with what decides."""
    for name in names:
        if name in config.model_fields_set and getattr(config, name) is not None:
            raise ValueError(f"{name} is given, which does not go with {by}")


def edges_of(task: Task[Near]) -> DataFrame | None:
    """Return the edges of the graph that a task has in place of features, if it has one."""
    from lq_spark.tables.formats import read_table

    config = task.config
    return None if config.graph is None else read_table(task.spark, config.inputs[1]).df


def compared(task: Task[Near], edges: DataFrame | None) -> GraphOptions:
    """Check by what the rows of a task are compared, features or a graph of their neighbours."""
    from lq_spark.tasks.neighbors.knn import graph_options

    config = task.config
    graph = graph_options(
        task.source,
        config.id,
        config.features,
        config.k if edges is None else None,
        config.metric,
        config.n_features,
        graph=edges,
        recall=config.recall,
        seed=config.seed,
    )
    if n_features := n_features_of(graph):
        task.bound_batches(8 * n_features)
    return graph


def n_features_of(graph: GraphOptions | None) -> int | None:
    """Return how many features a row has, if rows are compared by features."""
    return getattr(graph, "n_features", None)


def unclear_features(
    n_features: int | None, config: NeighborsConfig, reasons: Mapping[str, int]
) -> str:
    """Return that the number of features was guessed, if it was and rows have another one."""
    from lq_spark.tasks.neighbors.batches import WRONG_NUMBER

    if n_features is None or config.n_features is not None or WRONG_NUMBER not in reasons:
        return ""
    return f"; {n_features} features were read off the first row, give n_features to be certain"

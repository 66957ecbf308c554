"""The job of multi-label tables: rows that may have any number of K labels.

Passes over the source beside its keys: those of :func:`lq_spark.multilabel.find_issues`, the last
of which is written down: both tables are made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multiclass.scores import METHODS, require_method
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.core.multilabel.scores import (
    AGGREGATORS,
    DEFAULT_ALPHA,
    DEFAULT_TEMPERATURE,
    aggregator_of,
)
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import require_one_of
from lq_spark.job.config import Name, Place
from lq_spark.job.rules import FilterBy, FracNoise, IssueRank, NumToRemove, rows_compared
from lq_spark.job.summary import N_WORST_CLASSES, Metric, Summary, lowest_table
from lq_spark.job.task import Fitted
from lq_spark.job.tasks.options import (
    CLASS_ISSUE_METRICS,
    ISSUE_METRICS,
    THRESHOLD_METRIC,
    ClassesConfig,
    FlaggedTask,
    Id,
    PredProbs,
)
from lq_spark.report.parts import Part, Section, Table, count
from lq_spark.tables.spec import TableSpec
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.readings import Input
    from lq_spark.engine.reductions import Reduced, Scratch
    from lq_spark.tasks.multilabel.flags import PassResults


class MultilabelConfig(ClassesConfig):
    """A run over rows that may have any number of labels."""

    task: Literal["multilabel"] = Field("multilabel", description="what the labels are")
    id: Id = "id"
    labels: Name = Field("labels", description="column of the given labels: an array")
    pred_probs: PredProbs = "pred_probs"
    issue_output: Place | None = Field(
        None, description="path or name for a row a class suspected (default: OUTPUT_issues)"
    )
    method: str = Field("self_confidence", description=f"score of a class: {', '.join(METHODS)}")
    adjust_pred_probs: bool = Field(
        False, description="correct the probabilities by the thresholds of each class first"
    )
    aggregator: str = Field(
        "exponential_moving_average",
        description=f"what makes one score of a row's classes: {', '.join(AGGREGATORS)}",
    )
    alpha: float | None = Field(
        None,
        description="of exponential_moving_average: weight of the lowest score "
        f"(default: {DEFAULT_ALPHA})",
    )
    temperature: float | None = Field(
        None, description=f"of softmin: 0 the minimum (default: {DEFAULT_TEMPERATURE})"
    )
    filter_by: FilterBy = "prune_by_noise_rate"
    frac_noise: FracNoise = 1.0
    min_examples_per_class: int = Field(
        1, description="classes given to no more rows than this have none flagged"
    )
    num_to_remove_per_class: NumToRemove | None = Field(
        None, description="how many rows given each class to flag for it, not the estimated number"
    )
    issue_rank: IssueRank = False

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "classes": "Number of classes, K.",
        "mean_label_quality": "Mean label quality of the rows: 1 clean, 0 suspect.",
        **ISSUE_METRICS,
        "wrong_labels": "Labels that are given and probably wrong.",
        "missing_labels": "Labels that are not given and probably should be.",
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = {
        "class_rows": "Rows given the class.",
        "class_missing_labels": "Rows that probably lack the class.",
        **CLASS_ISSUE_METRICS,
        **THRESHOLD_METRIC,
    }

    @model_validator(mode="after")
    def _options_agree(self) -> MultilabelConfig:
        require_method(self.method, adjust_pred_probs=self.adjust_pred_probs)
        require_one_of("aggregator", self.aggregator, AGGREGATORS)
        for method, name in AGGREGATORS.items():
            if getattr(self, name) is not None and method != self.aggregator:
                raise ValueError(f"{name} goes with aggregator {method!r}, got {self.aggregator!r}")
        aggregator_of(self.aggregator_kwargs)
        Rule(
            self.filter_by,
            self.frac_noise,
            self.num_to_remove_per_class,
            self.min_examples_per_class,
        )
        return self

    @property
    def outputs(self) -> dict[str, TableSpec]:
        """Return the tables of rows and of suspected classes."""
        keys = (self.id, "class")
        issues = self._beside("issue_output", "_issues", keys=keys, groups=(self.id,))
        return {**super().outputs, "issue_output": issues}

    @property
    def aggregator_kwargs(self) -> dict[str, Any]:
        """Return what :func:`lq_spark.core.multilabel.scores.aggregator_of` takes."""
        name = AGGREGATORS[self.aggregator]
        defaults = {"alpha": DEFAULT_ALPHA, "temperature": DEFAULT_TEMPERATURE}
        value = getattr(self, name)
        return {"method": self.aggregator, name: defaults[name] if value is None else value}


@dataclass(frozen=True, slots=True)
class ScoredSets(Summary):
    """The scores and issues of label sets in short.

    Attributes
    ----------
    n_rows, n_issue_rows : int
        All rows; those with a label issue.
    mean : float or None
        Mean label quality; None without rows.
    names : list of str, length K
    class_counts : ndarray of int64, shape (K, 2)
        Rows not given each class, rows given it.
    issues : ndarray of int64, shape (K, 2)
        Rows that lack each class, rows given it wrongly.
    thresholds : ndarray of float64, shape (K, 2)
    worst : list of tuple
        (id, given labels, suggested labels, label quality) of the lowest, ties by id.
    """

    n_rows: int
    n_issue_rows: int
    mean: float | None
    names: list[str]
    class_counts: NDArray[np.int64]
    issues: NDArray[np.int64]
    thresholds: Float64
    worst: list[tuple[Any, ...]]

    def metrics(self) -> Iterator[Metric]:
        """Yield (metric, class or None, value)."""
        rate = self.n_issue_rows / self.n_rows if self.n_rows else None
        missing, wrong = self.issues.sum(axis=0).tolist()
        yield "classes", None, len(self.names)
        yield "mean_label_quality", None, self.mean
        yield "label_issues", None, self.n_issue_rows
        yield "issue_rate", None, rate
        yield "label_health_score", None, None if rate is None else 1.0 - rate
        yield "wrong_labels", None, wrong
        yield "missing_labels", None, missing
        for k, name in enumerate(self.names):
            n_given, (missing, wrong) = int(self.class_counts[k, 1]), self.issues[k].tolist()
            yield "class_rows", name, n_given
            yield "class_label_issues", name, wrong
            yield "class_issue_rate", name, wrong / n_given if n_given else None
            yield "class_missing_labels", name, missing
            yield "class_threshold", name, float(self.thresholds[k, 1]) if n_given else None

    def parts(self, config: MultilabelConfig) -> list[Part]:
        """Return totals, classes with most issues, and the lowest rows."""
        missing, wrong = self.issues.sum(axis=0).tolist()
        lines = [
            "",
            f"mean label quality {self.mean:.4f}, method {config.method}, {config.aggregator}",
            f"label issues in {self.n_issue_rows:,} of {self.n_rows:,} rows, "
            f"{self.n_issue_rows / self.n_rows:.2%}, by {config.filter_by}: "
            f"{wrong:,} labels given wrongly, {missing:,} missing",
        ]
        order = np.argsort(-self.issues.sum(axis=1), kind="stable")[:N_WORST_CLASSES]
        rows = [
            (self.names[k], *map(count, (self.class_counts[k, 1], *self.issues[k, ::-1])))
            for k in order
        ]
        header = ("class", "rows given it", "wrongly", "missing in")
        bars = {"wrongly": None, "missing in": None}
        classes = Table("classes with most label issues", header, rows, bars)
        worst = [
            (key, ", ".join(map(str, given)), ", ".join(map(str, suggested)), quality)
            for key, given, suggested, quality in self.worst
        ]
        return [
            *lines,
            classes,
            lowest_table((config.id, "given", "suggested", "quality"), worst),
        ]


class MultilabelTask(FlaggedTask[MultilabelConfig]):
    """Rows that may have any number of labels."""

    config_type = MultilabelConfig
    passes = "those that find issues, the last of which is written down"
    comments: ClassVar[Mapping[str, str]] = {
        "suspect_classes": "Classes that the row is given wrongly, or lacks",
        "suggested_labels": "The given labels without the wrong ones, with the missing ones",
        "class": "Class that is suspected",
        "in_given_label": "Whether the row is given the class, wrongly; else it lacks it",
        "class_quality": "How likely it is right that the row has the class, or lacks it",
        "pred_prob": "Predicted probability of the class",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.multilabel.flags import issue_options
        from lq_spark.tasks.multilabel.issues import ISSUE_COLUMNS, require_free_name
        from lq_spark.tasks.shared.classes import agreed_classes

        config = self.config
        loaded = MultilabelModel.load(config.fitted) if config.fitted else None
        self.require_new(*ISSUE_COLUMNS, *[ISSUE_RANK] * config.issue_rank)
        require_free_name(config.id)
        self.columns: dict[str, Any] = {
            "labels": config.labels,
            "pred_probs": config.pred_probs,
            "classes": agreed_classes(config.classes, loaded),
        }
        self.issue_options = issue_options(
            self.source,
            by_row=True,
            id=config.id,
            **self.columns,
            n_classes=config.n_classes,
            filter_by=config.filter_by,
            frac_noise=config.frac_noise,
            num_to_remove_per_class=config.num_to_remove_per_class,
            min_examples_per_class=config.min_examples_per_class,
            fitted=loaded,
            method=config.method,
            adjust_pred_probs=config.adjust_pred_probs,
            aggregator_kwargs=config.aggregator_kwargs,
        )
        self.table = self.issue_options.table
        self.n_classes = self.table.n_classes
        self.classes = self.columns["classes"] = self.table.classes
        self.results: PassResults | None = None
        self.bound_batches(8 * self.n_classes)

    def not_by_itself(self) -> str:
        """Return that issues are judged by all rows, if they are."""
        if self.config.fitted is None:
            return "class thresholds are fitted on all rows; give fitted"
        return rows_compared(self.issue_options.rule, issue_rank=self.config.issue_rank)

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import multilabel

        return multilabel.validate(
            rows, id=self.config.id, **self.columns, n_classes=self.n_classes
        )

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the tables of rows and of suspected classes without rows."""
        from lq_spark.tasks.multilabel.flags import PassResults, with_issues

        nothing = PassResults(None, None, np.zeros((self.n_classes, 2), dtype=np.int64))
        return dict(self._tables(with_issues(self.none, self.issue_options, nothing)))

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with their issues, then their suspected classes."""
        from lq_spark.tasks.multilabel.batches import CELLS
        from lq_spark.tasks.multilabel.flags import run_passes, with_issues

        self.results = run_passes(rows, self.issue_options, count=True)
        names = [self.config.id, self.config.labels, *self.config.keep_columns]
        kept = list(dict.fromkeys(names))
        found = with_issues(rows, self.issue_options, self.results, kept)
        found = self.select(found, *kept, IS_LABEL_ISSUE, LABEL_QUALITY, CELLS)
        yield from self._tables(scratch(found).rows)

    def _tables(self, found: DataFrame) -> Iterator[tuple[str, DataFrame]]:
        from lq_spark.tasks.multilabel.issues import cell_rows, with_label_sets

        carried = dict.fromkeys([self.config.id, self.config.labels, *self.config.keep_columns])
        yield "output", self.ranked(with_label_sets(found, list(carried), self.table))
        yield "issue_output", cell_rows(found, self.config.id, self.table)

    @property
    def shown(self) -> tuple[Input, ...]:
        """Return the given and the suggested labels of a row, and its score."""
        from lq_spark.engine.readings import column_input

        columns = (self.config.id, self.config.labels, "suggested_labels", self.score_column)
        return tuple(map(column_input, columns))

    def summarize(self, tables: Mapping[str, Reduced]) -> ScoredSets:
        """Return the tables in short."""
        found = self.scores(tables["output"])
        names = self._names
        is_named = self.table.label_type.typeName() == "string"
        in_order = (self.classes or ()) if is_named else range(len(names))
        place = {label: k for k, label in enumerate(in_order)}
        issues = np.zeros((len(names), 2), dtype=np.int64)
        by_class = tables["issue_output"].rows.groupBy("class", "in_given_label").count()
        for label, in_given, n in by_class.collect():  # at most 2K rows
            issues[place[label], int(in_given)] = n
        class_counts, thresholds = np.zeros_like(issues), np.zeros((len(names), 2))
        if self.results and self.results.counts and self.results.thresholds is not None:
            class_counts = self.results.counts.class_counts
            thresholds = self.results.thresholds
        return ScoredSets(
            found.n_rows,
            found.n_issues,
            found.mean,
            names,
            class_counts,
            issues,
            thresholds,
            found.worst,
        )

    @property
    def _names(self) -> list[str]:
        return [str(name) for name in self.classes or range(self.n_classes)]

    def report_sections(self, rows: DataFrame) -> list[Section]:
        """Return how far the probabilities can be taken at their word, each label by itself."""
        from lq_spark.job.calibrations import label_calibration_section
        from lq_spark.tasks.multilabel.calibration import label_calibrations_of

        found = label_calibrations_of(rows, self.table)
        return [label_calibration_section(found, self._names)]

    def fitted(self) -> Mapping[str, Fitted | None]:
        """Return thresholds and joints, by the option that says where to save them."""
        found, model = self.results, None
        if found and found.counts and found.thresholds is not None:
            model = MultilabelModel.of_counts(found.thresholds, found.counts, self.table.classes)
        return {"save_fitted": model}


TASK = MultilabelTask

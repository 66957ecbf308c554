"""The job of multi-class labels: a label and K probabilities a row.

Passes over the source: its keys and one probability a row, for the thresholds; all of them once
more for the scores, unless :mod:`lq_spark.tasks.multiclass.first_pass` has all that they take.
Where issues are sought, scores and facts of the rows are made in that pass and written to a scratch
place: the joint is counted and the cuts are found there, and what is written in the end is read
from there too. The source is looked at again only where :mod:`lq_spark.tasks.multiclass.cuts` says
so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import ClassSums, Thresholds
from lq_spark.core.label_issues.quotas import require_a_number_each
from lq_spark.core.label_issues.rules import require_two_classes
from lq_spark.errors import InvalidRowsError
from lq_spark.job.config import Name, Place
from lq_spark.job.refitted import RefittedConfig, RefittedTask
from lq_spark.job.rules import ScoresConfig, rule_of
from lq_spark.job.summary import (
    ClassQuality,
    Metric,
    Summary,
    class_metrics,
    class_parts,
    issue_facts,
    lowest_table,
)
from lq_spark.job.task import Fitted
from lq_spark.job.tasks.options import (
    ISSUE_METRICS,
    Id,
    LabelledConfig,
    LabelledTask,
    quality_metrics,
)
from lq_spark.report.parts import Part, Section
from lq_spark.tasks.shared.names import (
    IS_LABEL_ISSUE,
    ISSUE_RANK,
    LABEL_QUALITY,
    PREDICTED_LABEL,
    WRONG_LENGTH,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.keys import KeySummary
    from lq_spark.engine.reductions import Reduced, Reductions, Scratch
    from lq_spark.job.scores import Lowest
    from lq_spark.tasks.multiclass.first_pass import FirstPass


class MulticlassConfig(LabelledConfig, ScoresConfig, RefittedConfig):
    """A run over rows of one label each, of K classes."""

    task: Literal["multiclass"] = Field("multiclass", description="what the labels are")
    id: Id = "id"
    label: Name = Field("label", description="column of the given label")
    thresholds: Place | None = Field(
        None, description="JSON file of thresholds saved by an earlier run, used as they are"
    )
    save_thresholds: Place | None = Field(
        None, description="JSON file to save this run's thresholds to"
    )

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "classes": "Number of classes, K.",
        "mean_label_quality": "Mean label quality of the rows: 1 clean, 0 suspect.",
        **ISSUE_METRICS,
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = quality_metrics("rows")
    local_files: ClassVar[tuple[str, ...]] = (
        *LabelledConfig.local_files,
        *("thresholds", "save_thresholds"),
    )
    for_fitting: ClassVar[tuple[str, ...]] = ("thresholds", "save_fitted", "save_thresholds")

    @model_validator(mode="after")
    def _scores_agree(self) -> MulticlassConfig:
        if self.save_fitted and self.save_fitted == self.save_thresholds:
            raise ValueError(
                f"save_fitted and save_thresholds must be two files, got {self.save_fitted!r} twice"
            )
        if self.thresholds and self.find_issues:
            raise ValueError("thresholds does not go with find_issues; give fitted")
        if self.thresholds and not self.adjust_pred_probs:
            raise ValueError("thresholds is given, so adjust_pred_probs must be true")
        if self.thresholds and self.save_thresholds:
            raise ValueError("save_thresholds is given, but thresholds are loaded, not fitted")
        return self

    @property
    def fits_thresholds(self) -> bool:
        """Return whether class thresholds are fitted by the rows, and wanted for their scores."""
        wanted = self.adjust_pred_probs or self.find_issues
        return wanted and not (self.thresholds or self.fitted)

    @property
    def class_names(self) -> list[str] | None:
        """Return what metrics of each class call the classes, where the configuration says it."""
        return None if self.thresholds and self.classes is None else super().class_names


@dataclass(frozen=True, slots=True)
class ScoredRows(Summary):
    """The scores of a table in short.

    Attributes
    ----------
    n_classes : int or None
        K; None where only rows could say it, and there is none.
    mean : float or None
        Mean label quality of all rows; None without rows.
    classes : list of ClassQuality
        In the order of the classes.
    worst : list of tuple
        (id, label, predicted label, label quality) of the lowest scores, ties by id.
    thresholds : Thresholds or None
    sought : bool
        Whether label issues were sought.
    noise : NoiseModel or None
        What the rows say of the label noise, where they were.
    """

    n_classes: int | None
    mean: float | None
    classes: list[ClassQuality]
    worst: list[tuple[Any, ...]]
    thresholds: Thresholds | None
    sought: bool
    noise: NoiseModel | None = None

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics that only this task has."""
        yield "classes", None, self.n_classes
        yield "mean_label_quality", None, self.mean
        yield from class_metrics(
            self.classes, self.noise, self.thresholds, rows="rows", sought=self.sought
        )

    def details(self, config: MulticlassConfig) -> str:
        """Return how the first line goes on."""
        adjusted = ", adjusted by class thresholds" if config.adjust_pred_probs else ""
        n_classes = f", {self.n_classes:,} classes" if self.n_classes else ""
        return f"{n_classes}, method {config.method}{adjusted}"

    def facts(self, config: MulticlassConfig) -> Mapping[str, str]:
        """Return where the health of the classes is, and how many issues there are."""
        return issue_facts(self.classes, self.noise, config, "labels")

    def parts(self, config: MulticlassConfig) -> list[Part]:
        """Return the classes and the rows of lowest label quality."""
        same = config.adjust_pred_probs and config.method == "self_confidence"
        note = " (adjusted self-confidence has the same mean in every class)" if same else ""
        title = f"mean label quality {self.mean:.4f}; by given class"
        return [
            *class_parts(title, "rows", self.classes, self.noise, note),
            lowest_table((config.id, "given", "predicted", "quality"), self.worst),
        ]


class MulticlassTask(RefittedTask[MulticlassConfig], LabelledTask[MulticlassConfig]):
    """Rows of one label each."""

    config_type = MulticlassConfig
    passes = "one for class thresholds if wanted, one for scores (or one for both)"
    first: FirstPass | None = None
    """What :meth:`keys` has found of the source, where it has looked at more than these."""

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.tasks.shared.classes import (
            agreed_classes,
            agreed_n_classes,
            require_room,
            resolved_n_classes,
        )
        from lq_spark.tasks.shared.table import labelled_table

        config = self.config
        self.loaded = NoiseModel.load(config.fitted) if config.fitted else None
        self.thresholds = self.loaded.thresholds if self.loaded else None
        if config.thresholds:
            self.thresholds = Thresholds.load(config.thresholds)
        self.noise: NoiseModel | None = None
        added = [LABEL_QUALITY, PREDICTED_LABEL]
        if config.find_issues:
            rule_of(config, self.loaded)
            added += [IS_LABEL_ISSUE] + [ISSUE_RANK] * config.issue_rank
            self.flag_column = IS_LABEL_ISSUE
        self.require_new(*added)
        self.columns: dict[str, Any] = {
            "label": config.label,
            "pred_probs": config.pred_probs,
            "classes": agreed_classes(config.classes, self.thresholds),
        }
        self.table = table = labelled_table(self.source, **self.columns)
        self.classes = self.columns["classes"] = table.classes
        known = self.source, table.probabilities, table.label_type
        if self.loaded:
            self.n_classes = agreed_n_classes(*known, self.loaded, config.n_classes)
        else:
            self.n_classes = resolved_n_classes(*known, config.n_classes, self.thresholds)
        self.is_guessed = not (config.n_classes or self.classes or self.thresholds)
        require_room(table.label_type, config.label, self.n_classes)
        require_a_number_each(config.num_to_remove_per_class, self.n_classes)
        if self.thresholds is not None and self.classes is not None:
            self.thresholds = replace(self.thresholds, classes=tuple(self.classes))
        self.bound_batches(8 * self.n_classes)

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import multiclass

        return multiclass.validate(
            rows,
            id=self.config.id,
            **self.columns,
            n_classes=self.n_classes,
            tolerance=self.config.tolerance,
        )

    def unclear(self, reasons: Mapping[str, int]) -> str:
        """Return that K was guessed, if rows have another number of probabilities."""
        if not self.is_guessed or WRONG_LENGTH not in reasons:
            return ""
        return f"; K = {self.n_classes} was read off the first row, give n_classes to be certain"

    def keys(self, scratch: Scratch) -> KeySummary:
        """Return how many rows there are and whether ids are unique, perhaps with a first pass."""
        from lq_spark.engine.keys import summarize_key
        from lq_spark.tasks.multiclass.first_pass import first_pass

        config = self.config
        if self.fits:
            is_confidence = config.adjust_pred_probs and config.method == "self_confidence"
            with self.timed("thresholds"):
                self.first = first_pass(
                    self.source,
                    self.table,
                    config.id,
                    list(dict.fromkeys([config.id, config.label, *config.keep_columns])),
                    n_classes=self.n_classes,
                    tolerance=config.tolerance,
                    is_confidence=is_confidence and not config.find_issues,
                    write=scratch,
                )
        return summarize_key(self.source, config.id, self.first and self.first.states)

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        scored = self._scored(self.none)
        return {"output": self.without_issues(scored) if self.config.find_issues else scored}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield the rows with their scores, and their issues if sought."""
        from lq_spark.tasks.multiclass.first_pass import with_adjusted

        first = self.first if rows is self.source else None
        if self.fits:
            self.thresholds = self.fitted_thresholds(rows, first and first.sums)
            if self.thresholds.n_classes != self.n_classes:
                raise InvalidRowsError(f"rows have {self.thresholds.n_classes} probabilities")
        if self.config.find_issues and self.thresholds is not None:
            yield "output", self._with_issues(rows, self.thresholds, scratch)
        elif first and first.narrow is not None and self.thresholds is not None:
            adjusted = with_adjusted(first.narrow, self.table, self.thresholds)
            yield "output", self.select(adjusted, *self._columns())
        else:
            yield "output", self._scored(rows)

    def sums_of(self, rows: DataFrame) -> ClassSums:
        """Return the sums of rows that can be scored."""
        from lq_spark.tasks.multiclass.thresholds import sums_of

        config = self.config
        return sums_of(rows, self.table, config.label, config.pred_probs, config.tolerance)

    def thresholds_of(self, sums: ClassSums) -> Thresholds:
        """Return the thresholds that sums make."""
        from lq_spark.tasks.multiclass.thresholds import thresholds_of

        return thresholds_of(sums, self.table, self.config.label, self.config.pred_probs)

    def _with_issues(self, rows: DataFrame, thresholds: Thresholds, scratch: Scratch) -> DataFrame:
        from lq_spark.engine.readings import column_input
        from lq_spark.engine.verbs import select_inputs
        from lq_spark.tasks.multiclass.cuts import flagged
        from lq_spark.tasks.multiclass.facts import (
            counting_facts,
            fact_columns,
            fact_counts,
            with_facts,
        )
        from lq_spark.tasks.multiclass.flags import noise_and_cuts
        from lq_spark.tasks.shared.batches import score_columns

        config, rule = self.config, rule_of(self.config, self.loaded)
        table = self.table
        if self.loaded is None:
            require_two_classes(rule.filter_by, thresholds.class_counts)
        adjusting = thresholds if config.adjust_pred_probs else None
        made = with_facts(
            rows,
            table,
            thresholds,
            rule,
            scores=score_columns(config.method, adjusting, table.label_type, table.classes),
            fail=False,
            tolerance=config.tolerance,
        )
        counting = {"facts": counting_facts(thresholds.n_classes)}
        facts, counted = scratch(self.select(made, *self._columns(), *fact_columns(rule)), counting)
        counts = fact_counts(counted["facts"], thresholds.n_classes)
        whole = select_inputs(
            rows,
            key=column_input(config.id),
            index=table.label,
            pred_probs=table.probabilities.input,
        )
        with self.timed("cuts"):
            self.noise, cuts = noise_and_cuts(
                facts, counts, whole, config.id, rule, thresholds, self.loaded
            )
            found = flagged(facts, config.id, rule, cuts, self.noise.n_classes, IS_LABEL_ISSUE)
        return self.ranked(self.select(found, *self._columns(), IS_LABEL_ISSUE))

    def _scored(self, rows: DataFrame) -> DataFrame:
        from lq_spark.tasks import multiclass

        config = self.config
        adjust = config.adjust_pred_probs and self.thresholds is not None  # None: no rows
        scored = multiclass.score(
            rows,
            **self.columns,
            n_classes=self.n_classes,
            method=config.method,
            adjust_pred_probs=adjust,
            thresholds=self.thresholds if adjust else None,
            predicted_label=True,
            on_invalid="null",
            tolerance=config.tolerance,
        )
        return self.select(scored, *self._columns())

    def _columns(self) -> list[str]:
        return [self.config.label, *self.config.keep_columns, PREDICTED_LABEL, LABEL_QUALITY]

    def report_sections(self, rows: DataFrame) -> list[Section]:
        """Return how far the probabilities can be taken at their word."""
        from lq_spark.job.calibrations import calibration_section
        from lq_spark.tasks.shared.calibration import calibration_of

        tolerance = self.config.tolerance
        return [calibration_section(calibration_of(rows, self.table, self.n_classes, tolerance))]

    def reductions(self, option: str) -> Reductions:
        """Return the sums of the rows by class, and the lowest rows."""
        from lq_spark.job.scores import class_sums

        sums = class_sums(self.config.label, self.classes, sought=self.config.find_issues)
        return {"classes": sums, **self.lowest.reductions(self.source)}

    @property
    def lowest(self) -> Lowest:
        """Return how the rows of lowest label quality are found."""
        from lq_spark.engine.readings import column_input
        from lq_spark.job.scores import Lowest

        shown = (self.config.id, self.config.label, PREDICTED_LABEL, LABEL_QUALITY)
        return Lowest(self.config.id, LABEL_QUALITY, tuple(map(column_input, shown)))

    def summarize(self, tables: Mapping[str, Reduced]) -> ScoredRows:
        """Return the scores in short."""
        from lq_spark.job.scores import class_scores

        output, sought = tables["output"], self.config.find_issues
        sums = output.states["classes"]
        n_classes = self.n_classes if sums or not self.is_guessed else None
        found = class_scores(sums, self.classes, n_classes, sought=sought)
        worst = self.lowest.of(output)
        return ScoredRows(
            n_classes, found.mean, found.classes, worst, self.thresholds, sought, self.noise
        )

    def fitted(self) -> Mapping[str, Fitted | None]:
        """Return what was fitted, by the option that says where to save it."""
        return {"save_thresholds": self.thresholds, "save_fitted": self.noise}


TASK = MulticlassTask

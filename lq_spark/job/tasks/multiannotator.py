"""The job of multi-annotator tables: items, and the labels that several annotators gave them.

Passes: items and annotations are gathered and written down beside the outputs, one row an item;
there they are checked and counted in one Python pass, fitted in one to four, rated in one. What is
rated is written down too, and the three tables are made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from lq_spark.core.multiannotator.api import CONSENSUS_METHODS, QUALITY_METHODS
from lq_spark.core.multiannotator.majority import VoteSummary
from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.core.multiclass.scores import METHODS, require_method
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.errors import require_one_of
from lq_spark.job.config import Name, Place
from lq_spark.job.places import beside
from lq_spark.job.summary import N_WORST_CLASSES, Metric, Summary, lowest_table
from lq_spark.job.task import Fitted, Task
from lq_spark.job.tasks.options import ClassesConfig, Tolerance
from lq_spark.report.parts import Part, Table, count, number
from lq_spark.tables.spec import TableSpec
from lq_spark.tasks.shared.names import INVALID_REASON

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.keys import KeySummary
    from lq_spark.engine.reductions import Reduced, Scratch
    from lq_spark.tasks.multiannotator.checks import MultiannotatorChecks
    from lq_spark.tasks.multiannotator.columns import AnnotationTables
    from lq_spark.tasks.multiannotator.passes import GatheredItems
    from lq_spark.tasks.multiannotator.results import MultiannotatorScores


class MultiannotatorConfig(ClassesConfig):
    """A run over the labels of several annotators.

    ``input`` has a row an item; the annotations are a table of their own.
    """

    task: Literal["multiannotator"] = Field("multiannotator", description="what the labels are")
    annotations: Place = Field(description="path or catalog name of the annotations, a row each")
    item: Name = Field("item", description="column of both tables that tells items apart")
    annotator: Name = Field("annotator", description="column of who gave the label")
    label: Name = Field("label", description="column of the label that was given")
    pred_probs: Name | list[Name | list[Name]] = Field(
        "pred_probs",
        description="column of the predicted probabilities, or one for each model; in YAML for a "
        "model also a list of columns, one a class",
    )
    consensus_method: str = Field(
        "best_quality", description=f"the consensus: {', '.join(CONSENSUS_METHODS)}"
    )
    quality_method: str = Field(
        "crowdlab", description=f"what qualities are of: {', '.join(QUALITY_METHODS)}"
    )
    calibrate_probs: bool = Field(
        False, description="scale the probabilities first by the temperature that fits the labels"
    )
    method: str = Field("self_confidence", description=f"score of a label: {', '.join(METHODS)}")
    adjust_pred_probs: bool = Field(
        False, description="correct probabilities by class thresholds, an annotator's by its own"
    )
    tolerance: Tolerance = SUM_TOLERANCE
    annotation_output: Place | None = Field(
        None, description="path or name of the qualities of annotations (OUTPUT_annotations)"
    )
    annotator_output: Place | None = Field(
        None, description="path or name of the qualities of annotators (OUTPUT_annotators)"
    )
    annotation_quarantine: Place | None = Field(
        None, description="path or name of annotations set aside (QUARANTINE_annotations)"
    )

    key: ClassVar[str] = "item"
    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "annotations_scored": "Annotations that have a score.",
        "annotations_quarantined": "Annotations that could not be scored.",
        "annotators": "Annotators who gave a label.",
        "mean_label_quality": "Mean quality of the annotations: 1 clean, 0 suspect.",
        "mean_consensus_quality": "Mean quality of the consensus, 1 clean (CROWDLAB, Goh 2022).",
        "mean_annotator_agreement": "Mean share of an item's labels that are its consensus.",
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = {
        "class_rows": "Items whose consensus is the class.",
        "class_mean_consensus_quality": "Mean consensus quality of these items.",
    }
    for_fitting: ClassVar[tuple[str, ...]] = (
        *("consensus_method", "quality_method", "calibrate_probs", "save_fitted"),
    )

    @model_validator(mode="after")
    def _options_agree(self) -> MultiannotatorConfig:
        require_one_of("consensus_method", self.consensus_method, CONSENSUS_METHODS)
        require_one_of("quality_method", self.quality_method, QUALITY_METHODS)
        require_method(self.method, adjust_pred_probs=self.adjust_pred_probs)
        if not self.models or len(set(self.model_names)) < len(self.models):
            raise ValueError(f"pred_probs must name columns, each once, got {self.models}")
        return self

    @property
    def models(self) -> Sequence[str | list[str]]:
        """Return the columns of the probabilities: of each model one, or one a class."""
        return [self.pred_probs] if isinstance(self.pred_probs, str) else self.pred_probs

    @property
    def model_names(self) -> list[str]:
        """Return what the models are called: their columns."""
        return [model if isinstance(model, str) else ", ".join(model) for model in self.models]

    @property
    def inputs(self) -> list[TableSpec]:
        """Return the tables that are read: of items, and the newest version of the annotations."""
        annotations = TableSpec(self.annotations, "annotations", self.input_format)
        return [*super().inputs, annotations]

    @property
    def outputs(self) -> dict[str, TableSpec]:
        """Return the tables of items, of annotations and of annotators."""
        keys, groups = (self.item, self.annotator), (self.item,)
        annotations = self._beside("annotation_output", "_annotations", keys=keys, groups=groups)
        annotators = self._beside("annotator_output", "_annotators", keys=keys[1:])
        return {**super().outputs, "annotation_output": annotations, "annotator_output": annotators}

    @property
    def quarantines(self) -> dict[str, TableSpec]:
        """Return where items and annotations go that cannot be scored."""
        tables = super().quarantines
        default = beside(tables["quarantine"].name, "_annotations")
        tables["annotation_quarantine"] = self._set_aside("annotation_quarantine", default)
        return tables


@dataclass(frozen=True, slots=True)
class ScoredItems(Summary):
    """Items, annotations and annotators in short.

    Attributes
    ----------
    n_annotations, n_annotators : int
        Annotations and annotators that could be scored.
    classes : list of tuple
        (consensus label, its items, their mean consensus quality), in the order of the labels.
    quality, agreement, label_quality : float or None
        Means over the items, and over the annotations; None without any.
    models : dict of str to float
        Weight of each model, by its column; empty where the quality is the agreement.
    worst_annotators, worst_items : list of tuple
        The least reliable annotators, the least certain items.
    """

    n_annotations: int
    n_annotators: int
    classes: list[tuple[str, int, float]]
    quality: float | None
    agreement: float | None
    label_quality: float | None
    models: dict[str, float]
    worst_annotators: list[tuple[object, ...]]
    worst_items: list[tuple[object, ...]]

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics that only this task has."""
        yield "annotations_scored", None, self.n_annotations
        yield "annotators", None, self.n_annotators
        yield "mean_label_quality", None, self.label_quality
        yield "mean_consensus_quality", None, self.quality
        yield "mean_annotator_agreement", None, self.agreement
        for name, n_items, mean in self.classes:
            yield "class_rows", name, n_items
            yield "class_mean_consensus_quality", name, mean
        for name, weight in self.models.items():
            yield "model_weight", name, weight

    def details(self, config: MultiannotatorConfig) -> str:
        """Return how the first line goes on."""
        return f", {self.n_annotations:,} annotations by {self.n_annotators:,} annotators"

    def parts(self, config: MultiannotatorConfig) -> list[Part]:
        """Return consensus classes, the least reliable annotators, the least certain items."""
        weights = ", ".join(f"{name} {weight:.4f}" for name, weight in self.models.items())
        shown = sorted(self.classes, key=lambda found: found[2])[:N_WORST_CLASSES]
        means = f"mean consensus quality {self.quality:.4f}, agreement {self.agreement:.4f}"
        rows = [(name, count(n_items), number(mean)) for name, n_items, mean in shown]
        classes = Table(
            f"{means}; by consensus label", ("class", "items", "mean"), rows, {"mean": 1.0}
        )
        header = (config.annotator, "labels", "worst class", "agreement", "quality")
        title = "least reliable annotators (1 good, 0 bad)"
        annotators = Table(title, header, self.worst_annotators, {"quality": 1.0})
        header = (config.item, "consensus", "labels", "agreement", "quality")
        items = lowest_table(header, self.worst_items, "least certain items (1 clean, 0 suspect)")
        return [*([f"model weights: {weights}"] if weights else []), classes, annotators, items]


class MultiannotatorTask(Task[MultiannotatorConfig]):
    """Items labelled by several annotators: a table of items, and one of annotations."""

    config_type = MultiannotatorConfig
    passes = "one that gathers the items, which are written down"
    rows = "items"
    further_rows: ClassVar[Mapping[str, str]] = {"annotation_quarantine": "annotations"}
    score_column = "consensus_quality_score"
    comments: ClassVar[Mapping[str, str]] = {
        "consensus_label": "Label that annotators and models together find most likely",
        "consensus_quality_score": "How likely the consensus label is right: 1 clean, 0 suspect",
        "annotator_agreement": "Share of the item's labels that are the consensus",
        "num_annotations": "Number of labels of the item",
        "annotator_quality": "How likely the annotator's labels are right: 1 good, 0 bad",
        "agreement_with_consensus": "Share of the annotator's labels that are the consensus",
        "worst_class": "Class whose labels by the annotator are the least often the consensus",
        "num_examples_labeled": "Number of labels of the annotator",
        "annotator_weight": "How much the annotator counts beside the others and the models",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the sources."""
        from lq_spark.engine.inputs import column, require_new_columns
        from lq_spark.tables.formats import read_table
        from lq_spark.tasks.multiannotator.columns import annotation_n_classes
        from lq_spark.tasks.multiannotator.options import ConsensusOptions, require_fitted_for
        from lq_spark.tasks.multiannotator.results import ITEM_COLUMNS
        from lq_spark.tasks.shared.classes import agreed_classes

        config = self.config
        require_new_columns(self.source.select(*map(column, config.keep_columns)), ITEM_COLUMNS)
        self.annotations = read_table(self.spark, config.inputs[1]).df
        self.loaded = MultiannotatorModel.load(config.fitted) if config.fitted else None
        self.classes = agreed_classes(config.classes, self.loaded)
        tables = self._tables(self.annotations, self.source)
        self.classes = tables.classes
        if self.loaded is not None:
            require_fitted_for(tables, self.loaded)
        self.n_classes = annotation_n_classes(tables, config.n_classes, self.loaded)
        self.options = ConsensusOptions(
            config.consensus_method, config.quality_method, config.calibrate_probs
        )
        self.model = self.loaded
        self.bound_batches(8 * self.n_classes * len(config.models))

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return items with the reason why they cannot be scored, or null."""
        return self._checks(rows).items

    def keys(self, scratch: Scratch) -> KeySummary:
        """Return how many items there are; of annotations without any item each is looked at."""
        keys = super().keys(scratch)
        is_alone = keys.n_rows == 0 and not self.annotations.isEmpty()
        return replace(keys, is_unique=keys.is_unique and not is_alone)

    def checked(self) -> dict[str, DataFrame]:
        """Return the items and the annotations, validated."""
        checks = self._checks(self.source)
        return {"quarantine": checks.items, "annotation_quarantine": checks.annotations}

    def _tables(self, annotations: DataFrame, items: DataFrame) -> AnnotationTables:
        from lq_spark.tasks.multiannotator.columns import annotation_tables

        config = self.config
        names = config.item, config.annotator, config.label
        return annotation_tables(annotations, items, *names, config.models, self.classes)

    def _checks(self, items: DataFrame) -> MultiannotatorChecks:
        from lq_spark.tasks.multiannotator.checks import checked_annotations

        known = self.loaded.annotators if self.loaded else None
        tables = self._tables(self.annotations, items)
        return checked_annotations(tables, self.n_classes, self.config.tolerance, known=known)

    def _gathered(
        self, tables: AnnotationTables, names: Sequence[Any], n_known: int, scratch: Scratch
    ) -> GatheredItems:
        from lq_spark.tasks.multiannotator.columns import gathered, probability_columns
        from lq_spark.tasks.multiannotator.passes import GatheredItems
        from lq_spark.tasks.multiannotator.reader import ItemReader

        reader = ItemReader(n_known, self.n_classes, self.config.tolerance, fail=True)
        return GatheredItems(
            scratch(gathered(tables, names)).rows, probability_columns(tables), reader
        )

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the tables of items, annotations and annotators without rows."""
        from pyspark.sql import functions as F

        from lq_spark.engine.reductions import unwritten
        from lq_spark.tasks.multiannotator.results import MultiannotatorScores, rated_items

        tables = self._tables(self.annotations.where(F.lit(False)), self.none)
        items = self._gathered(tables, (), 0, unwritten)
        nobody, nothing = np.zeros(0), np.zeros(self.n_classes, dtype=np.int64)
        model = MultiannotatorModel(
            annotators=(),
            n_classes=self.n_classes,
            classes=None if self.classes is None else tuple(self.classes),
            consensus_method="majority_vote",
            quality_method="agreement",
            temperatures=(None,) * len(self.config.models),
            votes=VoteSummary(nothing, nobody, nobody, 0.0),
            majority_weights=None,
            weights=None,
        )
        rated = rated_items(items, model, self.config.method, None).where(F.lit(False))
        return dict(self._made(MultiannotatorScores(rated, model, tables, ()), self.none))

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield the tables of items, of annotations and of annotators."""
        from lq_spark.engine.inputs import column
        from lq_spark.tasks.multiannotator.columns import annotator_names
        from lq_spark.tasks.multiannotator.passes import (
            count_faults,
            fit_annotators,
            sum_thresholds,
        )
        from lq_spark.tasks.multiannotator.results import MultiannotatorScores, rated_items

        config, annotations = self.config, self.annotations
        if rows is not self.source:  # some were set aside, and so may be annotations
            checked = self._checks(self.source).annotations
            annotations = checked.where(column(INVALID_REASON).isNull()).drop(INVALID_REASON)
        tables = self._tables(annotations, rows)
        with self.timed("gather"):
            names = known = annotator_names(tables)
            if self.loaded is not None:
                known = self.loaded.annotators
                names = (*known, *sorted(set(names) - set(known)))
            items = self._gathered(tables, names, len(known), scratch)
            counts, faults = count_faults(items)
        if faults:
            raise items.reader.error(faults)
        with self.timed("fit"):
            self.model = model = self.loaded or fit_annotators(
                items, counts, names, tables.classes, self.options
            )
            thresholds = sum_thresholds(items, model) if config.adjust_pred_probs else None
        rated = scratch(rated_items(items, model, config.method, thresholds)).rows
        yield from self._made(MultiannotatorScores(rated, model, tables, names), rows)

    def _made(self, made: MultiannotatorScores, rows: DataFrame) -> Iterator[tuple[str, DataFrame]]:
        from lq_spark.engine.inputs import column

        items, item = made.items, self.config.item
        if kept := [name for name in self.config.keep_columns if name not in items.columns]:
            items = rows.select(column(item), *map(column, kept)).join(items, item)
        yield "output", items
        yield "annotation_output", made.annotations
        yield "annotator_output", made.annotators

    def summarize(self, tables: Mapping[str, Reduced]) -> ScoredItems:
        """Return the three tables in short."""
        from pyspark.sql import functions as F

        from lq_spark.engine.inputs import column
        from lq_spark.job.scores import lowest, mean, sums
        from lq_spark.tasks.shared.labels import class_name

        items, annotators = tables["output"].rows, tables["annotator_output"].rows
        item, annotator = self.config.item, self.config.annotator
        quality, agreement = F.col(self.score_column), F.col("annotator_agreement")
        groups = (
            items.groupBy(F.col("consensus_label").alias("name"))
            .agg(*sums(quality), *sums(agreement, "agreement"))
            .orderBy("name")
            .collect()  # one row a class
        )
        [of_labels] = tables["annotation_output"].rows.agg(*sums(F.col("label_quality"))).collect()
        of_annotator = [
            *(column(annotator), "num_examples_labeled", "worst_class"),
            *("agreement_with_consensus", "annotator_quality"),
        ]
        of_item = [column(item), "consensus_label", "num_annotations", agreement, quality]
        worst_first = F.col("annotator_quality").asc_nulls_last()
        weights = self.model.weights if self.model else None
        by_model = [] if weights is None else weights.models.tolist()
        return ScoredItems(
            of_labels["score_n"],
            annotators.count(),
            [(class_name(g["name"], None), g["score_n"], mean([g]) or 0.0) for g in groups],
            mean(groups),
            mean(groups, "agreement"),
            mean([of_labels]),
            dict(zip(self.config.model_names, by_model, strict=False)),
            lowest(annotators, annotator, of_annotator, worst_first),
            lowest(items, item, of_item, quality),
        )

    def fitted(self) -> Mapping[str, Fitted | None]:
        """Return what was fitted, by the option that says where to save it."""
        return {"save_fitted": self.model}


TASK = MultiannotatorTask

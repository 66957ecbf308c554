"""The job of training: from features to label issues, and to a model trained without them.

Passes over the source beside its keys: those of :func:`lq_spark.training.cross_val_predict`, on its
features and labels, which are kept. With the probabilities that come of it the rows are those of a
multi-class job, whose parts do the rest: one pass for thresholds, one for scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from lq_spark.core.training.folds import N_FOLDS
from lq_spark.core.training.noise import MIN_EXAMPLES_PER_CLASS
from lq_spark.core.training.samples import n_trained, training_quotas
from lq_spark.errors import DataError, InvalidRowsError
from lq_spark.job.config import FittedConfig, Name, Place
from lq_spark.job.estimators import EstimatorConfig, estimator_of
from lq_spark.job.rules import RULE_KEYS, RulesConfig, ScoresConfig
from lq_spark.job.summary import Metric
from lq_spark.job.task import Fitted, Task
from lq_spark.job.tasks.multiclass import MulticlassConfig, MulticlassTask, ScoredRows
from lq_spark.job.tasks.options import Id
from lq_spark.report.parts import Part, Section, count
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.reductions import Reduced, Reductions, Scratch
    from lq_spark.tables.spec import TableSpec
    from lq_spark.tasks.training import CleanLearning

PRED_PROBS, FOLD = "pred_probs", "fold"
_OF_SCORES = (
    *("input", "output", "id", "label", "classes", "fitted", "method", "adjust_pred_probs"),
    *RULE_KEYS,
)
"""The keys that a multi-class job has too."""


class TrainConfig(FittedConfig, EstimatorConfig, RulesConfig, ScoresConfig):
    """A run over rows of features and a label each, of K classes."""

    task: Literal["train"] = Field("train", description="what is done with the labels")
    id: Id = "id"
    label: Name = Field("label", description="column of the given label")
    features: Name | list[Name] = Field(
        "features", description="column of the features, an array or a vector, or a column each"
    )
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities; for string labels"
    )
    groups: Name | None = Field(
        None, description="column of what rows have in common: held out together"
    )
    n_folds: int = Field(N_FOLDS, ge=2, description="folds of the cross-validation")
    seed: int = Field(0, ge=0, description="of the folds, and of an estimator that has none")
    max_train_rows: int | None = Field(
        None,
        ge=2,
        description="with so many rows a model is trained at most; of more they are drawn "
        "(default: 200000)",
    )
    batch_rows: int | None = Field(
        None,
        ge=1,
        description="train with all rows, so many at a time, by the estimator's partial_fit",
    )
    min_examples_per_class: int = Field(
        MIN_EXAMPLES_PER_CLASS, description="classes with no more rows than this have none flagged"
    )
    cleaned_output: Place | None = Field(
        None,
        description="path or name for the rows of the input that are no label issues, with all of "
        "its columns",
    )
    save_model: Place | None = Field(
        None, description="folder to save a model to that is trained without the label issues"
    )
    model_format: Literal["skops", "joblib"] = Field(
        "skops",
        description="of its files, unless it is of pyspark.ml; to read one of joblib runs code",
    )

    metrics_of_task: ClassVar[Mapping[str, str]] = {
        **MulticlassConfig.metrics_of_task,
        "out_of_fold_accuracy": "Share of the rows whose label is predicted by the model that has "
        "not seen them.",
        "folds": "Number of folds, of a model each.",
        "rows_trained": "Rows that a model of a fold is trained with, at most.",
    }
    metrics_of_classes: ClassVar[Mapping[str, str]] = MulticlassConfig.metrics_of_classes
    class_counts: ClassVar[str | None] = MulticlassConfig.class_counts
    for_fitting: ClassVar[tuple[str, ...]] = ("save_fitted", "save_model")

    @model_validator(mode="after")
    def _options_agree(self) -> TrainConfig:
        if self.batch_rows and self.max_train_rows:
            raise ValueError("max_train_rows is given, which does not go with batch_rows")
        if "model_format" in self.model_fields_set and not self.save_model:
            raise ValueError("model_format is given, so save_model must be given")
        if self.cleaned_output and self.write_mode == "merge":
            raise ValueError(
                "cleaned_output does not go with write_mode 'merge': a row that has become a label "
                "issue would stay in it"
            )
        return self

    @property
    def class_names(self) -> list[str] | None:
        """Return what metrics of each class call the classes, where the configuration says it."""
        return self.classes

    @property
    def outputs(self) -> dict[str, TableSpec]:
        """Return the tables that are written, by option: scores, and rows without issues."""
        cleaned = self.cleaned_output
        more = (
            {}
            if cleaned is None
            else {"cleaned_output": self._set_aside("cleaned_output", cleaned)}
        )
        return {**super().outputs, **more}

    @property
    def folders(self) -> dict[str, str]:
        """Return the folder that the run writes, beside its tables."""
        return {} if self.save_model is None else {"save_model": self.save_model}

    @property
    def of_scores(self) -> MulticlassConfig:
        """Return the configuration of what is done with the probabilities."""
        return MulticlassConfig(
            **{name: getattr(self, name) for name in _OF_SCORES},
            task="multiclass",
            pred_probs=PRED_PROBS,
            find_issues=True,
            keep_columns=[*self.keep_columns, PRED_PROBS, FOLD],
        )


@dataclass(frozen=True, kw_only=True)
class TrainedRows(ScoredRows):
    """The scores of a table in short, and how its models were trained.

    Attributes
    ----------
    estimator : str
        The name of its class.
    n_folds, n_trained : int
        Folds; rows that a model was trained with, at most. 0 without rows.
    """

    estimator: str
    n_folds: int
    n_trained: int

    @property
    def accuracy(self) -> float | None:
        """Return the share of the rows whose label is the predicted one; None without rows."""
        n_rows = sum(quality.n_rows for quality in self.classes)
        n_wrong = sum(quality.n_disagreeing for quality in self.classes)
        return (n_rows - n_wrong) / n_rows if n_rows else None

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics that only this task has."""
        yield from ScoredRows.metrics(self)
        yield "out_of_fold_accuracy", None, self.accuracy
        yield "folds", None, self.n_folds
        yield "rows_trained", None, self.n_trained

    def parts(self, config: Any) -> list[Part]:
        """Return how the models were trained, the classes, and the lowest rows."""
        trained = (
            f"out-of-fold accuracy {self.accuracy:.4f}: {self.estimator} in {self.n_folds} folds, "
            f"each trained with {count(self.n_trained).text} rows at most"
        )
        return ["", trained, *ScoredRows.parts(self, config)]


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model that was trained without label issues, and the format of its files."""

    model: CleanLearning
    format: str

    def save(self, path: str) -> None:
        """Write it to a folder."""
        self.model.save(path, format=self.format)


class TrainTask(Task[TrainConfig]):
    """Rows of features and a label each."""

    config_type = TrainConfig
    flag_column = IS_LABEL_ISSUE
    passes = "those that train a model a fold, one for class thresholds, one for scores"
    comments: ClassVar[Mapping[str, str]] = {
        PRED_PROBS: "Probabilities of the classes, by a model that has not seen the row",
        FOLD: "Which rows were held out together with it",
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from pyspark.sql import functions as F

        from lq_spark.tasks.neighbors.columns import resolved_n_features
        from lq_spark.tasks.training.columns import training_table
        from lq_spark.tasks.training.estimators import agreed_max_rows, checked_estimator
        from lq_spark.tasks.training.saved import require_savable

        config = self.config
        self.require_new(PRED_PROBS, FOLD)
        self.columns: dict[str, Any] = {
            "label": config.label,
            "features": config.features,
            "classes": config.classes,
            "groups": config.groups,
        }
        table = training_table(self.source, id=config.id, **self.columns)
        self.classes = config.classes
        self.estimator = estimator_of(self.spark, config)
        self.max_rows = agreed_max_rows(
            checked_estimator(self.estimator, config.seed), config.max_train_rows, config.batch_rows
        )
        if config.save_model is not None:
            require_savable(config.save_model, config.model_format, self.estimator)
        self.n_features = resolved_n_features(self.source, table.features, None)
        unscored = self.none.withColumn(PRED_PROBS, F.lit(None).cast("array<double>"))
        numbers = config.num_to_remove_per_class
        known = None if numbers is None or config.classes or config.fitted else len(numbers)
        self.scored = self._with_probabilities(
            unscored.withColumn(FOLD, F.lit(None).cast("int")), known
        )
        self.model: SavedModel | None = None

    def _with_probabilities(self, df: DataFrame, n_classes: int | None = None) -> MulticlassTask:
        """Return the multi-class job of rows that have probabilities."""
        config = self.config.of_scores.model_copy(update={"n_classes": n_classes})
        return MulticlassTask(self.spark, config, df, self.timed)

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes."""
        if self.config.classes is None:
            return "as many as the labels say"
        self.n_classes = len(self.config.classes)
        return super().classes_text

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        from lq_spark.tasks import training

        return training.validate(rows, id=self.config.id, **self.columns)

    def unclear(self, reasons: Mapping[str, int]) -> str:
        """Return that the number of features was guessed, if rows have another one."""
        from lq_spark.tasks.neighbors.batches import WRONG_NUMBER

        if WRONG_NUMBER not in reasons:
            return ""
        return (
            f"; {self.n_features} features were read off the first row, leave out the rows that "
            "have another number"
        )

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the tables without rows."""
        tables = {**self.scored.no_rows(), "cleaned_output": self.none}
        return {option: tables[option] for option in self.config.outputs}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield the rows with their issues, and those without."""
        config = self.config
        self.scored = self._with_probabilities(self._cross_validated(rows))
        try:
            [(_, found)] = self.scored.score(self.scored.source, scratch)
        except InvalidRowsError as error:  # the rows are sound: they have been trained with
            raise DataError(f"estimator {self._name}: {error}") from error
        yield "output", found
        if config.cleaned_output is not None:
            yield "cleaned_output", self._without_issues(rows, found)
        if config.save_model is not None:
            with self.timed("model"):
                self.model = self._trained()

    def _cross_validated(self, rows: DataFrame) -> DataFrame:
        from lq_spark.tasks import training

        with self.timed("cross-validation"):
            return training.cross_val_predict(
                rows, self.estimator, n_folds=self.config.n_folds, **self._options
            )

    def _without_issues(self, rows: DataFrame, found: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        from lq_spark.engine.inputs import column

        key = "__lq_key"
        clean = found.where(~F.col(IS_LABEL_ISSUE)).select(column(self.config.id).alias(key))
        return rows.join(clean, column(self.config.id) == F.col(key), "left_semi")

    def _trained(self) -> SavedModel:
        """Return the model of the rows without their issues, weighed as they are without these."""
        from lq_spark.tasks import training

        config = self.config
        rule = {name: getattr(config, name) for name in RULE_KEYS if name != "issue_rank"}
        if config.collision_rule is None:
            del rule["collision_rule"]
        model = training.CleanLearning(
            self.estimator,
            cv_n_folds=config.n_folds,
            **self._options,
            find_label_issues_kwargs=rule,
            label_quality_scores_kwargs={
                "method": config.method,
                "adjust_pred_probs": config.adjust_pred_probs,
            },
        )
        model.fit(self.scored.source, pred_probs=PRED_PROBS)
        return SavedModel(model, config.model_format)

    @property
    def _options(self) -> dict[str, Any]:
        """Return what all trainings have in common."""
        names = ("id", "seed", "max_train_rows", "batch_rows")
        return {**self.columns, **{name: getattr(self.config, name) for name in names}}

    @property
    def _name(self) -> str:
        return type(self.estimator).__name__

    def reductions(self, option: str) -> Reductions:
        """Return the sums of the rows by class, and the lowest rows."""
        return self.scored.reductions(option) if option == "output" else {}

    def report_sections(self, rows: DataFrame) -> list[Section]:
        """Return how far the probabilities can be taken at their word."""
        return self.scored.report_sections(self.scored.source)

    def summarize(self, tables: Mapping[str, Reduced]) -> TrainedRows:
        """Return the scores in short, and how the models were trained."""
        found = self.scored.summarize(tables)
        said: dict[str, Any] = {field.name: getattr(found, field.name) for field in fields(found)}
        n_folds, n_rows = self._folds(tables["output"].rows)
        return TrainedRows(**said, estimator=self._name, n_folds=n_folds, n_trained=n_rows)

    def _folds(self, output: DataFrame) -> tuple[int, int]:
        """Return how many folds there are, and with how many rows a model is trained at most."""
        from lq_spark.engine.inputs import column

        cells = output.groupBy(FOLD, column(self.config.label)).count().collect()
        if not cells:
            return 0, 0
        labels = {label: k for k, label in enumerate({label for _, label, _ in cells})}
        counts = np.zeros((max(fold for fold, _, _ in cells) + 1, len(labels)), dtype=np.int64)
        for fold, label, n in cells:
            counts[fold, labels[label]] = n
        quotas = counts
        if self.config.batch_rows is None:
            quotas = training_quotas(counts, self.max_rows)
        return len(counts), int(n_trained(quotas).max())

    def fitted(self) -> Mapping[str, Fitted | None]:
        """Return what was fitted, by the option that says where to save it."""
        return {"save_fitted": self.scored.noise, "save_model": self.model}


TASK = TrainTask

"""A classifier that was trained with the rows of a table, and the classes that it predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DoubleType, StructField, StructType

from lq_spark.core.training.folds import require_two_classes
from lq_spark.core.training.models import class_probabilities, in_blocks
from lq_spark.engine.inputs import column, column_type, require_new_columns
from lq_spark.engine.verbs import select
from lq_spark.errors import DataError, InvalidRowsError
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.columns import Features, feature_table, resolved_n_features
from lq_spark.tasks.shared.class_counts import checked_labels, class_counts
from lq_spark.tasks.shared.labels import label_array, label_of
from lq_spark.tasks.shared.names import PREDICTED_LABEL
from lq_spark.tasks.training.batches import CODE, FOLD, LABEL, PRED_PROBS, predicted_column
from lq_spark.tasks.training.columns import training_table
from lq_spark.tasks.training.estimators import agreed_max_rows, is_of_spark, told_failures
from lq_spark.tasks.training.final import (
    Predicted,
    TrainingTask,
    trained_model,
    with_predicted,
    with_weights,
)
from lq_spark.tasks.training.passes import IS_TRAINED, rows_to_train, with_trained
from lq_spark.tasks.training.spark_ml import (
    FOUND_PROBS,
    INDEX,
    require_spark,
    spark_model,
    with_spark_predicted,
)
from lq_spark.tasks.training.streamed import StreamedTask, streamed_model

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


_PREDICTED = "__lq_predicted"


@dataclass(frozen=True)
class ClassModel:
    """A trained classifier, and how it reads a table.

    Attributes
    ----------
    model : object
        As scikit-learn's are, of class indices; or a model of Spark ML.
    features : str or sequence of str
    n_features, n_classes : int
        Of a row; K.
    label_type : DataType
        Of a label, and so of a predicted one.
    classes : tuple of str, or None
    """

    model: Any
    features: Features
    n_features: int
    n_classes: int
    label_type: DataType
    classes: tuple[str, ...] | None

    LABELS: ClassVar[str] = "classes"

    def content(self) -> dict[str, Any]:
        """Return what is saved beside the model and the names of the features, as JSON has it."""
        return {
            "n_features": self.n_features,
            "n_classes": self.n_classes,
            "label_type": self.label_type.jsonValue(),
            "classes": self.classes,
        }

    @classmethod
    def of(cls, model: Any, features: Features, content: Mapping[str, Any]) -> ClassModel:
        """Return what was saved."""
        label = {"name": "", "type": content["label_type"], "nullable": True, "metadata": {}}
        kind = StructType.fromJson({"type": "struct", "fields": [label]})[0].dataType
        names = None if content["classes"] is None else tuple(content["classes"])
        return cls(model, features, content["n_features"], content["n_classes"], kind, names)

    def predict(self, df: DataFrame, **names: str) -> DataFrame:
        """Return the table with predicted_label, pred_probs, or both, under these names. Lazy."""
        table = feature_table(df, self.features)
        require_new_columns(df, names.values())
        if is_of_spark(self.model):
            require_spark(df.sparkSession)
            made = with_spark_predicted(df, table, self.features, self.model, self.n_classes)
            label = label_of(F.col(INDEX), self.label_type, self.classes)
            found = {PREDICTED_LABEL: label, PRED_PROBS: F.col(FOUND_PROBS)}
            added = (found[of].alias(name) for of, name in names.items())
            return made.select(*map(column, df.columns), *added)
        n_features = resolved_n_features(df, table, self.n_features)
        kinds = {PREDICTED_LABEL: self.label_type, PRED_PROBS: ArrayType(DoubleType())}
        schema = StructType([StructField(name, kinds[of]) for of, name in names.items()])
        return with_predicted(df, self.model, table, n_features, self._predicted(names), schema)

    def _predicted(self, names: Mapping[str, str]) -> Predicted:
        n_classes, kind, classes = self.n_classes, self.label_type, self.classes

        def run(model: Any, features: NDArray[np.floating]) -> dict[str, pa.Array]:
            made = {}
            if PREDICTED_LABEL in names:
                index = in_blocks(model.predict, features).astype(np.int64)
                made[names[PREDICTED_LABEL]] = label_array(index, kind, classes)
            if PRED_PROBS in names:
                found = in_blocks(
                    lambda block: class_probabilities(model, block, n_classes), features
                )
                made[names[PRED_PROBS]] = predicted_column(found)
            return made

        return run


def train_class_model(
    df: DataFrame,
    estimator: Any,
    *,
    id: str,
    label: str,
    features: Features,
    classes: Sequence[str] | None,
    n_classes: int | None,
    seed: int,
    max_train_rows: int | None,
    batch_rows: int | None,
    class_weights: NDArray[np.float64] | None,
    sample_weight: str | None,
    fit_kwargs: Mapping[str, Any],
    rows: str,
    stacklevel: int = 2,
) -> ClassModel:
    """Return the model of all rows of a table, trained now; ``estimator`` has been checked.

    ``n_classes`` is K, where it is known: the rows, which messages call ``rows``, may be without
    some class.
    """
    table = training_table(df, id=id, label=label, features=features, classes=classes, groups=None)
    n_features = resolved_n_features(df, table.features, None)
    with told_failures(), ExitStack() as stack:
        vectors = rows_to_train(df, table, n_features, seed, stack)
        of_classes = class_counts(
            select(df, label), table.labels, fail=True, validate="training.validate"
        )
        require_two_classes(of_classes, rows)
        k = max(n_classes or 0, len(of_classes))
        weight = _weight(table.labels.index, class_weights, sample_weight)
        dtype = table.features.dtype
        max_rows = agreed_max_rows(estimator, max_train_rows, batch_rows)
        if batch_rows is None and of_classes.sum() > max_rows:
            # Of one fold: what is trained with, of those not in the other, empty one.
            whole = vectors.select(ROW, LABEL, CODE, F.lit(0).alias(FOLD))
            counts = np.stack([of_classes, np.zeros_like(of_classes)])
            drawn = with_trained(whole, counts, max_rows, stacklevel).where(IS_TRAINED).select(ROW)
            vectors = vectors.join(drawn, ROW)
            df = df.join(drawn, column(id) == column(ROW), "left_semi")
        if is_of_spark(estimator):
            model = spark_model(df, table, features, label, estimator, seed, weight)
        else:
            if weight is not None:
                vectors = with_weights(vectors, df, id, weight)
            if batch_rows is None:
                task = TrainingTask(estimator, n_features, dtype, fit_kwargs)
                model = trained_model(vectors.drop(CODE), task)
            else:
                streamed = StreamedTask(estimator, k, batch_rows, n_features, dtype)
                model = streamed_model(vectors, streamed)
    return ClassModel(model, features, n_features, k, column_type(df, label), table.labels.classes)


def accuracy(model: ClassModel, df: DataFrame, label: str, classes: Sequence[str] | None) -> float:
    """Return the share of the rows whose label is the predicted one; one pass, now."""
    given = checked_labels(df, label, classes, None)
    rows = model.predict(df, **{PREDICTED_LABEL: _PREDICTED})
    found = checked_labels(rows, _PREDICTED, classes, None)
    is_right = (given.index == found.index).cast("bigint")
    counts = rows.agg(F.count(F.lit(1)), F.count(given.reason), F.sum(is_right))
    [(n_rows, n_bad, n_right)] = counts.collect()
    if not n_rows:
        raise DataError("the table is empty; its accuracy needs at least 1 row")
    if n_bad:
        raise InvalidRowsError(
            f"{n_bad} of {n_rows} rows have no class to compare with; training.validate says which "
            "and why"
        )
    return int(n_right) / int(n_rows)


def _weight(
    index: Column, class_weights: NDArray[np.float64] | None, sample_weight: str | None
) -> Column | None:
    if sample_weight is not None:
        return column(sample_weight).cast("double")
    if class_weights is None:
        return None
    return F.get(F.lit(class_weights.tolist()), index.cast("int"))

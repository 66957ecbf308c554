"""One model of all rows of a table, trained in one task, and what it predicts of other rows."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray
from pyspark import cloudpickle
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StructField, StructType

from lq_spark.engine.arrow import byte_rows
from lq_spark.engine.inputs import column
from lq_spark.engine.numbers import bytes_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.engine.verbs import map_groups, with_mapped
from lq_spark.tasks.neighbors.batches import ROW, VECTOR, read_features
from lq_spark.tasks.neighbors.columns import FeatureTable
from lq_spark.tasks.shared.batches import require_usable
from lq_spark.tasks.training.batches import LABEL, TASK
from lq_spark.tasks.training.estimators import failing_in

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

WEIGHT = "__lq_weight"

MODEL = StructType([StructField("model", BinaryType())])


@dataclass(frozen=True)
class TrainingTask:
    """What the task does that trains a model with all rows.

    Attributes
    ----------
    estimator : object
        As scikit-learn's are, not trained.
    n_features : int
        Of a row.
    dtype : dtype
        Of a feature.
    fit_kwargs : mapping
        What else ``fit`` is given.
    """

    estimator: Any
    n_features: int
    dtype: DTypeLike
    fit_kwargs: Mapping[str, Any]

    def group(self) -> Callable[[pa.Table], pa.Table]:
        """Return (ROW, LABEL, VECTOR and, if rows have one, WEIGHT) -> the pickled model.

        LABEL is a class index or a number.
        """
        task = self

        def run(group: pa.Table) -> pa.Table:
            place, options = order_of_ids(group), dict(task.fit_kwargs)
            if WEIGHT in group.column_names:
                options["sample_weight"] = values_of(group[WEIGHT])[place]
            features = byte_rows(group[VECTOR], task.dtype, task.n_features)
            with failing_in("the last training", task.estimator):
                labels = values_of(group[LABEL])
                model = fitted(task.estimator, features[place], labels[place], options)
            return pa.table({"model": pickled(model)})

        return run


def order_of_ids(group: pa.Table) -> NDArray[np.int64]:
    """Return the places of rows in the order of their ids, in which they are trained with.

    Sums of floating-point numbers depend on it, and so do random draws.
    """
    ordered = pc.sort_indices(group, sort_keys=[(ROW, "ascending")])
    return values_of(ordered).astype(np.int64)


def fitted(
    estimator: Any, features: NDArray[np.floating], labels: NDArray[Any], options: Mapping[str, Any]
) -> Any:
    """Return a copy of an estimator that is trained with rows, in their order."""
    from sklearn.base import clone

    model = clone(estimator)
    model.fit(features, labels, **options)
    return model


def pickled(model: Any) -> pa.Array:
    """Return a model in one row; by cloudpickle, as workers may be unable to import its class."""
    content: bytes = cloudpickle.dumps(model)  # type: ignore[no-untyped-call]
    return bytes_of([content])


def with_weights(rows: DataFrame, df: DataFrame, id: str, weight: Column) -> DataFrame:
    """Return rows with WEIGHT, that of the row of a table with the same id."""
    return rows.join(df.select(column(id).alias(ROW), weight.alias(WEIGHT)), ROW)


def trained_model(rows: DataFrame, task: TrainingTask) -> Any:
    """Return the model of rows, which hold ROW, LABEL, VECTOR and, if they have one, WEIGHT."""
    whole = rows.withColumn(TASK, F.lit(0))
    made = map_groups(whole, [TASK], task.group(), MODEL, n_tasks=1)
    [(model,)] = made.collect()
    return pickle.loads(model)


Predicted = Callable[[Any, NDArray[np.floating]], dict[str, pa.Array]]
"""(trained model, features of rows (m, d)) -> new columns."""


def with_predicted(
    df: DataFrame,
    model: Any,
    features: FeatureTable,
    n_features: int,
    predicted: Predicted,
    schema: StructType,
) -> DataFrame:
    """Return the table with what a model predicts of each row. Lazy.

    A row whose features cannot be used fails its batch, in a worker.
    """
    function = _predicted_batch(model, n_features, predicted, schema)
    return with_mapped(df, function, [features.input], schema)


def _predicted_batch(
    model: Any, n_features: int, predicted: Predicted, schema: StructType
) -> BatchFunction:
    def run(features: pa.Array) -> dict[str, pa.Array]:
        matrix, reasons = read_features(features, n_features)
        require_usable(reasons, None, of="training")
        return predicted(model, matrix)

    return run

"""A regressor that was trained with the rows of a table, and what it predicts of others."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StructField, StructType

from lq_spark.core.regression.moments import r_squared
from lq_spark.core.training.models import in_blocks, predicted_numbers
from lq_spark.engine.inputs import column, require_new_columns
from lq_spark.engine.numbers import array_of
from lq_spark.errors import DataError, InvalidRowsError
from lq_spark.tasks.neighbors.batches import ROW, VECTOR
from lq_spark.tasks.neighbors.columns import Features, feature_table, resolved_n_features
from lq_spark.tasks.regression.columns import LABEL_NOT_FINITE, checked_number
from lq_spark.tasks.shared.names import NO_LABEL
from lq_spark.tasks.training.batches import CODE, LABEL
from lq_spark.tasks.training.columns import number_table
from lq_spark.tasks.training.estimators import told_failures
from lq_spark.tasks.training.final import (
    TrainingTask,
    trained_model,
    with_predicted,
    with_weights,
)
from lq_spark.tasks.training.passes import IS_TRAINED, rows_to_train, warn_of_drawn, with_drawn
from lq_spark.tasks.training.rounds import moments_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PREDICTED = "__lq_predicted"


@dataclass(frozen=True)
class NumberModel:
    """A trained regressor, and how it reads a table.

    Attributes
    ----------
    model : object
        As scikit-learn's are.
    features : str or sequence of str
    n_features : int
        Of a row.
    """

    model: Any
    features: Features
    n_features: int

    LABELS: ClassVar[str] = "numbers"

    def content(self) -> dict[str, Any]:
        """Return what is saved beside the model and the names of the features, as JSON has it."""
        return {"n_features": self.n_features}

    @classmethod
    def of(cls, model: Any, features: Features, content: Mapping[str, Any]) -> NumberModel:
        """Return what was saved."""
        return cls(model, features, content["n_features"])

    def predict(self, df: DataFrame, name: str) -> DataFrame:
        """Return the table with what is predicted, under a name. Lazy."""
        table = feature_table(df, self.features)
        require_new_columns(df, [name])
        n_features = resolved_n_features(df, table, self.n_features)
        schema = StructType([StructField(name, DoubleType())])

        def predicted(model: Any, features: NDArray[np.floating]) -> dict[str, pa.Array]:
            found = in_blocks(lambda block: predicted_numbers(model, block), features)
            return {name: array_of(found)}

        return with_predicted(df, self.model, table, n_features, predicted, schema)


def train_number_model(
    df: DataFrame,
    estimator: Any,
    *,
    id: str,
    label: str,
    features: Features,
    seed: int,
    max_train_rows: int,
    sample_weight: str | None,
    stacklevel: int = 2,
) -> NumberModel:
    """Return the model of all rows of a table, trained now; ``estimator`` has been checked."""
    table = number_table(df, id=id, label=label, features=features, groups=None)
    n_features = resolved_n_features(df, table.features, None)
    with told_failures(), ExitStack() as stack:
        rows = rows_to_train(df, table, n_features, seed, stack)
        n_rows = rows.count()
        if not n_rows:
            raise DataError("no rows are left to train with: all are label issues")
        chosen = rows
        if n_rows > max_train_rows:
            counts, quotas = np.array([[n_rows], [0]]), np.array([[max_train_rows], [0]])
            warn_of_drawn(max_train_rows, quotas, counts, "", stacklevel=stacklevel + 1)
            cell = F.lit(0).cast("bigint")
            drawn = with_drawn(rows.select(ROW, CODE), cell, [max_train_rows], [])
            chosen = rows.join(drawn.where(IS_TRAINED).select(ROW), ROW)
        chosen = chosen.select(ROW, LABEL, VECTOR)
        if sample_weight is not None:
            chosen = with_weights(chosen, df, id, column(sample_weight).cast("double"))
        task = TrainingTask(estimator, n_features, table.features.dtype, {})
        return NumberModel(trained_model(chosen, task), features, n_features)


def explained_share(model: NumberModel, df: DataFrame, label: str) -> float:
    """Return R² of what a model predicts; two passes, now, of which one predicts.

    Where labels are all equal, as in scikit-learn, it is 1 if all are predicted, else 0.
    """
    number, reason = checked_number(df, "label", label, NO_LABEL, LABEL_NOT_FINITE)
    [(n_rows, n_bad)] = df.agg(F.count(F.lit(1)), F.count(reason)).collect()
    if not n_rows:
        raise DataError("the table is empty; its R² needs at least 1 row")
    if n_bad:
        raise InvalidRowsError(
            f"{n_bad} of {n_rows} rows have no finite label to compare with; training.validate "
            "says which and why"
        )
    rows = model.predict(df, _PREDICTED)
    residual = (F.col(_PREDICTED) - number).alias("residual")
    labels, residuals = moments_of(rows.select(number.alias(LABEL), residual))
    explained = r_squared(labels, residuals)
    return float(residuals.rms == 0.0) if explained is None else explained

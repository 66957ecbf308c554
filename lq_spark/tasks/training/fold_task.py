"""What the tasks of a fold do: train a model with the other folds, predict the rows held out."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from lq_spark.core.training.models import class_probabilities, in_blocks, predicted_numbers
from lq_spark.engine.arrow import byte_rows
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.tasks.neighbors.batches import ROW, VECTOR
from lq_spark.tasks.training.batches import (
    FOLD,
    LABEL,
    LEFT_OUT,
    PRED_PROBS,
    PREDICTION,
    TASK,
    predicted_column,
)
from lq_spark.tasks.training.estimators import failing_in
from lq_spark.tasks.training.final import fitted, order_of_ids, pickled


@dataclass(frozen=True)
class FoldTask:
    """What is done for each fold: in one task, or the model is trained in one, and used in many.

    Attributes
    ----------
    estimator : object
        As scikit-learn's classifiers and regressors are, not trained.
    n_classes : int or None
        K; None where labels are numbers.
    n_folds, n_features : int
        Of a round of models, of which there may be several: their folds are counted on; of a row.
    dtype : dtype
        Of a feature.
    fit_kwargs : mapping
        What else ``fit`` is given.
    """

    estimator: Any
    n_classes: int | None
    n_folds: int
    n_features: int
    dtype: DTypeLike
    fit_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def predicted_name(self) -> str:
        """Return the name of the column that is made."""
        return PREDICTION if self.n_classes is None else PRED_PROBS

    def group(self) -> Callable[[pa.Table], pa.Table]:
        """Return (ROW, LABEL, FOLD, TASK, VECTOR) -> ROW, what is predicted, FOLD of the held out.

        The others are trained with.
        """
        task = self

        def run(group: pa.Table) -> pa.Table:
            fold, place = group[TASK][0].as_py(), order_of_ids(group)
            folds = values_of(group[FOLD])[place]
            is_held_out = (folds == fold) | (folds == LEFT_OUT)
            held_out = place[is_held_out]
            found = task.nothing(0)
            if len(held_out):
                model = task.trained(fold, group, place[~is_held_out])
                found = task.predicted(fold, model, task.features(group[VECTOR])[held_out])
            return task.made(group[ROW].take(array_of(held_out)), found, fold)

        return run

    def model_group(self) -> Callable[[pa.Table], pa.Table]:
        """Return (ROW, LABEL, TASK, VECTOR), all to train with -> TASK, the model as VECTOR."""
        task = self

        def run(group: pa.Table) -> pa.Table:
            fold = group[TASK][0].as_py()
            model = task.trained(fold, group, order_of_ids(group))
            with task.failing_in(fold):
                return pa.table({TASK: group[TASK][:1], VECTOR: pickled(model)})

        return run

    def part_group(self) -> Callable[[pa.Table], pa.Table]:
        """Return (ROW, TASK, VECTOR) of rows held out -> ROW, what is predicted, FOLD.

        The VECTOR of one more row, whose ROW is null, is the model.
        """
        task = self

        def run(group: pa.Table) -> pa.Table:
            fold, is_model = group[TASK][0].as_py(), group[ROW].is_null()
            held_out, found = group.filter(pc.invert(is_model)), task.nothing(0)
            if len(held_out):
                with task.failing_in(fold):
                    model = pickle.loads(group.filter(is_model)[VECTOR][0].as_buffer())
                predicted = functools.partial(task.predicted, fold, model)
                found = in_blocks(predicted, task.features(held_out[VECTOR]))
            return task.made(held_out[ROW], found, fold)

        return run

    def made(self, rows: pa.ChunkedArray, found: NDArray[np.float64], fold: int) -> pa.Table:
        """Return ROW, what is predicted of rows, and FOLD."""
        folds = array_of(np.full(len(found), fold, dtype=np.int32))
        return pa.table({ROW: rows, self.predicted_name: predicted_column(found), FOLD: folds})

    def trained(self, fold: int, rows: pa.Table, place: NDArray[np.int64]) -> Any:
        """Return a model of some rows of a table that holds LABEL and VECTOR, in this order."""
        features, labels = self.features(rows[VECTOR])[place], values_of(rows[LABEL])[place]
        with self.failing_in(fold):
            return fitted(self.estimator, features, labels, self.fit_kwargs)

    def predicted(
        self, fold: int, model: Any, features: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Return what a model predicts of rows, shape (m,) or (m, K)."""
        with self.failing_in(fold):
            if self.n_classes is None:
                return predicted_numbers(model, features)
            return class_probabilities(model, features, self.n_classes)

    def features(self, vectors: pa.Array | pa.ChunkedArray) -> NDArray[np.floating]:
        """Return the features of rows, shape (m, d)."""
        return byte_rows(vectors, self.dtype, self.n_features)

    def nothing(self, n_rows: int) -> NDArray[np.float64]:
        """Return room for what is predicted of some rows."""
        return np.zeros(n_rows if self.n_classes is None else (n_rows, self.n_classes))

    def failing_in(self, fold: int) -> AbstractContextManager[None]:
        """Raise DataError that names the estimator and the fold of its round, if it raises."""
        return failing_in(f"fold {fold % self.n_folds}", self.estimator)

"""The functions of batches of rows and of the task of a fold: Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray
from pyspark.sql.types import BinaryType, LongType, StructField, StructType

from lq_spark.core.training.folds import reseeded, seeded_codes
from lq_spark.core.training.models import held_out_numbers, held_out_probabilities
from lq_spark.engine.arrow import byte_rows
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.neighbors.batches import ROW, VECTOR, vectors_batch
from lq_spark.tasks.shared.batches import list_array
from lq_spark.tasks.training.estimators import failing_in

LABEL, CODE, GROUP, TASK = "__lq_label", "__lq_code", "__lq_group", "__lq_task"
PRED_PROBS, PREDICTION, FOLD = "pred_probs", "prediction", "fold"

LEFT_OUT = -1
"""The fold of a row that no model of its round is trained with: all of them predict it."""

CODES = StructType([StructField(CODE, LongType())])
ROWS = StructType([StructField(CODE, LongType()), StructField(VECTOR, BinaryType())])


def codes_batch(seed: int) -> BatchFunction:
    """Return (number of a key) -> CODE."""

    def run(keys: pa.Array) -> dict[str, pa.Array]:
        return {CODE: array_of(seeded_codes(values_of(keys), seed))}

    return run


def round_codes_batch(numbers: Sequence[int]) -> BatchFunction:
    """Return (CODE, round, int) -> CODE of the round; ``numbers`` are those of the rounds."""

    def run(codes: pa.Array, rounds: pa.Array) -> dict[str, pa.Array]:
        given, of_row = values_of(codes), values_of(rounds)
        made = np.empty(len(given), dtype=np.int64)
        for place, number in enumerate(numbers):
            here = of_row == place
            made[here] = reseeded(given[here], number)
        return {CODE: array_of(made)}

    return run


def rows_batch(n_features: int, seed: int) -> BatchFunction:
    """Return (number of a key, features) -> CODE; VECTOR, null where features cannot be used."""
    codes, vectors = codes_batch(seed), vectors_batch(n_features)

    def run(keys: pa.Array, features: pa.Array) -> dict[str, pa.Array]:
        return {**codes(keys), **vectors(features)}

    return run


@dataclass(frozen=True)
class FoldTask:
    """What the task of a part of the rows of a fold does.

    Attributes
    ----------
    estimator : object
        As scikit-learn's classifiers and regressors are, not trained.
    n_classes : int or None
        K; None where labels are numbers.
    n_folds, n_parts, n_features : int
        Of a round of models, of which there may be several: their folds are counted on; into how
        many parts the rows of a fold are cut; of a row.
    dtype : dtype
        Of a feature.
    fit_kwargs : mapping
        What else ``fit`` is given.
    """

    estimator: Any
    n_classes: int | None
    n_folds: int
    n_parts: int
    n_features: int
    dtype: DTypeLike
    fit_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def predicted_name(self) -> str:
        """Return the name of the column that is made."""
        return PREDICTION if self.n_classes is None else PRED_PROBS

    def group(self) -> Callable[[pa.Table], pa.Table]:
        """Return (ROW, LABEL, FOLD, TASK, VECTOR) -> ROW, what is predicted, FOLD of the held out.

        The others are trained with, in the order of their ids: sums of floating-point numbers
        depend on it, and so do random draws.
        """
        task = self

        def run(group: pa.Table) -> pa.Table:
            ordered = pc.sort_indices(group, sort_keys=[(ROW, "ascending")])
            place = values_of(ordered).astype(np.int64)
            fold = group[TASK][0].as_py() // task.n_parts
            folds = values_of(group[FOLD])[place]
            is_held_out = (folds == fold) | (folds == LEFT_OUT)
            held_out, trained = place[is_held_out], place[~is_held_out]
            found = np.zeros(0 if task.n_classes is None else (0, task.n_classes))
            if len(held_out):
                features, labels = (
                    byte_rows(group[VECTOR], task.dtype, task.n_features),
                    values_of(group[LABEL]),
                )
                found = task.predicted(fold, features[trained], labels[trained], features[held_out])
            columns = {
                ROW: group[ROW].take(array_of(held_out)),
                task.predicted_name: predicted_column(found),
                FOLD: array_of(np.full(len(found), fold, dtype=np.int32)),
            }
            return pa.table(columns)

        return run

    def predicted(
        self,
        fold: int,
        features: NDArray[np.floating],
        labels: NDArray[Any],
        held_out: NDArray[np.floating],
    ) -> NDArray[np.float64]:
        """Return what is predicted of rows that are held out, shape (m,) or (m, K)."""
        from sklearn.base import clone

        with failing_in(f"fold {fold % self.n_folds}", self.estimator):
            model, rows = clone(self.estimator), (features, labels, held_out, self.fit_kwargs)
            if self.n_classes is None:
                return held_out_numbers(model, *rows)
            return held_out_probabilities(model, *rows, self.n_classes)


def predicted_column(found: NDArray[np.float64]) -> pa.Array:
    """Return what is predicted, a number or a list a row."""
    if found.ndim == 1:
        return array_of(found)
    ends = np.arange(len(found) + 1, dtype=np.int64) * found.shape[1]
    return list_array(array_of(found.reshape(-1)), ends)

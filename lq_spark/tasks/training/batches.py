"""The functions of batches of rows and of the task of a fold: Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray
from pyspark.sql.types import BinaryType, LongType, StructField, StructType

from lq_spark.core.training.folds import seeded_codes
from lq_spark.core.training.models import held_out_probabilities
from lq_spark.engine.arrow import byte_rows
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.errors import DataError
from lq_spark.tasks.neighbors.batches import ROW, VECTOR, vectors_batch
from lq_spark.tasks.shared.batches import list_array

CLASS, CODE, GROUP, TASK = "__lq_class", "__lq_code", "__lq_group", "__lq_task"
PRED_PROBS, FOLD = "pred_probs", "fold"

CODES = StructType([StructField(CODE, LongType())])
ROWS = StructType([StructField(CODE, LongType()), StructField(VECTOR, BinaryType())])


def codes_batch(seed: int) -> BatchFunction:
    """Return (number of a key) -> CODE."""

    def run(keys: pa.Array) -> dict[str, pa.Array]:
        return {CODE: array_of(seeded_codes(values_of(keys), seed))}

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
        As scikit-learn's classifiers are, not trained.
    n_classes, n_parts, n_features : int
        K; into how many parts the rows of a fold are cut; of a row.
    dtype : dtype
        Of a feature.
    """

    estimator: Any
    n_classes: int
    n_parts: int
    n_features: int
    dtype: DTypeLike

    def group(self) -> Callable[[pa.Table], pa.Table]:
        """Return (ROW, CLASS, FOLD, TASK, VECTOR) -> ROW, PRED_PROBS, FOLD of the rows held out.

        The others are trained with, in the order of their ids: sums of floating-point numbers
        depend on it, and so do random draws.
        """
        task = self

        def run(group: pa.Table) -> pa.Table:
            ordered = pc.sort_indices(group, sort_keys=[(ROW, "ascending")])
            place = values_of(ordered).astype(np.int64)
            fold = group[TASK][0].as_py() // task.n_parts
            is_held_out = values_of(group[FOLD])[place] == fold
            held_out, trained = place[is_held_out], place[~is_held_out]
            found = np.zeros((0, task.n_classes))
            if len(held_out):
                features, labels = (
                    byte_rows(group[VECTOR], task.dtype, task.n_features),
                    values_of(group[CLASS]),
                )
                found = task.predicted(fold, features[trained], labels[trained], features[held_out])
            ends = np.arange(len(found) + 1, dtype=np.int64) * task.n_classes
            columns = {
                ROW: group[ROW].take(array_of(held_out)),
                PRED_PROBS: list_array(array_of(found.reshape(-1)), ends),
                FOLD: array_of(np.full(len(found), fold, dtype=np.int32)),
            }
            return pa.table(columns)

        return run

    def predicted(
        self,
        fold: int,
        features: NDArray[np.floating],
        labels: NDArray[np.int64],
        held_out: NDArray[np.floating],
    ) -> NDArray[np.float64]:
        """Return the probabilities of rows that are held out, shape (m, K)."""
        from sklearn.base import clone

        try:
            return held_out_probabilities(
                clone(self.estimator), features, labels, held_out, self.n_classes
            )
        except Exception as error:
            kind = "" if isinstance(error, DataError) else f"{type(error).__name__}: "
            name = type(self.estimator).__name__
            raise DataError(f"estimator {name} failed in fold {fold}: {kind}{error}") from error

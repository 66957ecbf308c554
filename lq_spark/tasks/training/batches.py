"""The functions of batches of rows to train with: Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.types import BinaryType, LongType, StructField, StructType

from lq_spark.core.training.folds import reseeded, seeded_codes
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.neighbors.batches import VECTOR, vectors_batch
from lq_spark.tasks.shared.batches import list_array

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


def predicted_column(found: NDArray[np.float64]) -> pa.Array:
    """Return what is predicted, a number or a list a row."""
    if found.ndim == 1:
        return array_of(found)
    ends = np.arange(len(found) + 1, dtype=np.int64) * found.shape[1]
    return list_array(array_of(found.reshape(-1)), ends)

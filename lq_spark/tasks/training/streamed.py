"""Models that are trained by batches of rows, one after the other, with however many there are.

The rows of a model come sorted: first those to train with, then those that are held out, both in
the order of a hash of their ids. So neither they nor the model are ever in another place than the
one task, which holds a few batches of them.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DoubleType,
    IntegerType,
    StructField,
    StructType,
)

from lq_spark.core.training.models import class_probabilities
from lq_spark.engine.arrow import byte_rows, recut
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.verbs import map_sorted
from lq_spark.tasks.neighbors.batches import ROW, VECTOR
from lq_spark.tasks.training.batches import CODE, FOLD, LABEL, PRED_PROBS, TASK, predicted_column
from lq_spark.tasks.training.estimators import failing_in
from lq_spark.tasks.training.final import MODEL, WEIGHT, pickled

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

IS_HELD_OUT = "__lq_is_held_out"


@dataclass(frozen=True)
class StreamedTask:
    """What a task does with the rows of a model, or of several, one after the other.

    Attributes
    ----------
    estimator : object
        As scikit-learn's classifiers with ``partial_fit`` are, not trained.
    n_classes, batch_rows, n_features : int
        K; of a batch, except the last one; of a row.
    dtype : dtype
        Of a feature.
    """

    estimator: Any
    n_classes: int
    batch_rows: int
    n_features: int
    dtype: DTypeLike

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield ROW, PRED_PROBS, FOLD of the rows held out, of TASK, IS_HELD_OUT, ROW, LABEL, …."""
        model: Any = None  # the first rows of each are to train with
        for (fold, is_held_out), parts in itertools.groupby(_runs(batches), lambda run: run[0]):
            cut = recut((part for _, part in parts), self.batch_rows)
            if not is_held_out:
                model = self.trained(f"fold {fold}", cut)
                continue
            for batch in cut:
                with failing_in(f"fold {fold}", model):
                    found = class_probabilities(model, self.features(batch), self.n_classes)
                columns = {
                    ROW: batch[ROW],
                    PRED_PROBS: predicted_column(found),
                    FOLD: array_of(np.full(len(found), fold, dtype=np.int32)),
                }
                yield from pa.table(columns).to_batches()

    def model(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the pickled model of LABEL, VECTOR and, if rows have one, WEIGHT."""
        made = self.trained("the last training", recut(batches, self.batch_rows))
        yield pa.RecordBatch.from_arrays([pickled(made)], names=["model"])

    def trained(self, where: str, batches: Iterable[pa.Table]) -> Any:
        """Return a model of batches, in their order; ``where`` it is trained, a message says."""
        from sklearn.base import clone

        model, classes = clone(self.estimator), np.arange(self.n_classes)
        for batch in batches:
            labels = values_of(batch[LABEL]).astype(np.int64)
            options = {}
            if WEIGHT in batch.column_names:
                options["sample_weight"] = values_of(batch[WEIGHT]).copy()
            with failing_in(where, model):
                model.partial_fit(self.features(batch), labels, classes=classes, **options)
        return model

    def features(self, batch: pa.Table) -> NDArray[np.floating]:
        """Return a copy of the features, so that where they lay in memory cannot matter."""
        return np.array(byte_rows(batch[VECTOR], self.dtype, self.n_features))


def _runs(
    batches: Iterable[pa.RecordBatch],
) -> Iterator[tuple[tuple[int, bool], pa.RecordBatch]]:
    """Yield TASK and IS_HELD_OUT, and the rows that follow each other and have these."""
    for batch in batches:
        task, is_held_out = values_of(batch[TASK]), values_of(batch[IS_HELD_OUT])
        begins = np.flatnonzero((np.diff(task) != 0) | np.diff(is_held_out)) + 1
        for begin, end in itertools.pairwise([0, *begins.tolist(), len(task)]):
            yield (int(task[begin]), bool(is_held_out[begin])), batch.slice(begin, end - begin)


def streamed_predictions(
    rows: DataFrame, folds: DataFrame, n_folds: int, task: StreamedTask, kind: DataType
) -> DataFrame:
    """Return ROW, PRED_PROBS and FOLD of all rows, by models of all rows of other folds. Lazy.

    Each row goes to the task of each fold; what does not fit there in memory is sorted on disk, on
    Spark. ``rows`` has ROW, CODE, LABEL and VECTOR, ``folds`` ROW and FOLD; ``kind`` is the type of
    an id.
    """
    placed = rows.select(ROW, CODE, LABEL, VECTOR).join(folds.select(ROW, FOLD), ROW)
    copied = placed.withColumn(TASK, F.explode(F.sequence(F.lit(0), F.lit(n_folds - 1))))
    schema = StructType(
        [
            StructField(ROW, kind),
            StructField(PRED_PROBS, ArrayType(DoubleType())),
            StructField(FOLD, IntegerType()),
        ]
    )
    return map_sorted(
        copied.withColumn(IS_HELD_OUT, F.col(TASK) == F.col(FOLD)),
        [TASK],
        {IS_HELD_OUT: "ascending", CODE: "ascending", ROW: "ascending"},
        [TASK, IS_HELD_OUT, ROW, LABEL, VECTOR],
        task.run,
        schema,
        n_tasks=n_folds,
    )


def streamed_model(rows: DataFrame, task: StreamedTask) -> Any:
    """Return the model of all rows, which hold ROW, CODE, LABEL, VECTOR and, if any, WEIGHT."""
    given = [LABEL, VECTOR, *({WEIGHT} & set(rows.columns))]
    order: dict[str, Literal["ascending", "descending"]] = {CODE: "ascending", ROW: "ascending"}
    whole = rows.withColumn(TASK, F.lit(0))
    [(model,)] = map_sorted(whole, [TASK], order, given, task.model, MODEL, n_tasks=1).collect()
    return pickle.loads(model)

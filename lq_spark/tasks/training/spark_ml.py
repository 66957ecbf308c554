"""Classifiers of Spark ML: a model a fold, trained by Spark itself."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F

from lq_spark.engine.inputs import column
from lq_spark.engine.kept import kept
from lq_spark.engine.kinds import engine_of, is_sail
from lq_spark.engine.vectors import float_array
from lq_spark.errors import DataError, EngineError
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.columns import Features
from lq_spark.tasks.training.batches import FOLD, PRED_PROBS
from lq_spark.tasks.training.columns import ClassTable
from lq_spark.tasks.training.estimators import classifier_of
from lq_spark.tasks.training.passes import IS_TRAINED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_CODED = "__lq_fold"


def require_spark(spark: SparkSession) -> None:
    """Raise EngineError on an engine that has no Spark ML."""
    if is_sail(spark):
        raise EngineError(
            f"an estimator of pyspark.ml needs Apache Spark, and this session is {engine_of(spark)}"
            "; give one of scikit-learn, or a session of Spark"
        )


def spark_predictions(
    df: DataFrame,
    table: ClassTable,
    features: Features,
    label: str,
    folds: DataFrame,
    counts: NDArray[np.int64],
    estimator: Any,
    seed: int,
    stack: ExitStack,
) -> DataFrame:
    """Return ROW, PRED_PROBS and FOLD of all rows; ``folds`` has ROW, FOLD and IS_TRAINED.

    Raises
    ------
    DataError
        If an estimator fails, or gives something else than K probabilities.
    """
    n_folds, n_classes = counts.shape
    classifier = classifier_of(estimator)
    coded = folds.select(ROW, F.col(FOLD).alias(_CODED), IS_TRAINED)
    given = _table_for(df, table, features, label, estimator, classifier)
    data = stack.enter_context(kept(given.join(coded, ROW)))
    found = []
    for fold in range(n_folds):
        is_held_out = F.col(_CODED) == fold
        trained = data.where(~is_held_out & F.col(IS_TRAINED)).drop(_CODED, IS_TRAINED)
        try:
            model = estimator.fit(trained, _seeds(estimator, seed))
            made = model.transform(data.where(is_held_out).drop(_CODED, IS_TRAINED))
            array = float_array(made, "estimator", classifier.getProbabilityCol())
        except Exception as error:
            name = type(estimator).__name__
            raise DataError(
                f"estimator {name} failed in fold {fold}: {type(error).__name__}: {error}"
            ) from error
        found.append(made.select(ROW, array.alias(PRED_PROBS), F.lit(fold).cast("int").alias(FOLD)))
    whole = stack.enter_context(kept(functools.reduce(lambda a, b: a.unionByName(b), found)))
    sizes = sorted(row[0] for row in whole.select(F.size(PRED_PROBS)).distinct().collect())
    if sizes != [n_classes]:
        raise DataError(
            f"estimator {type(estimator).__name__} gives {sizes[0]} probabilities, and there are "
            f"K = {n_classes} classes"
        )
    return whole


def _table_for(
    df: DataFrame,
    table: ClassTable,
    features: Features,
    label: str,
    estimator: Any,
    classifier: Any,
) -> DataFrame:
    """Return ROW and what an estimator reads: all columns, if it is no classifier itself."""
    from pyspark.ml.functions import array_to_vector

    row, index = column(table.id).alias(ROW), table.labels.index.cast("double")
    vector = array_to_vector(F.transform(table.features.input.column, lambda x: x.cast("double")))
    if classifier is estimator:
        return df.select(
            row,
            index.alias(classifier.getLabelCol()),
            vector.alias(classifier.getFeaturesCol()),
        )
    made = {label: index}
    if isinstance(features, str):
        made[features] = vector
    return df.select(row, *(made.get(n, column(n)).alias(n) for n in df.columns))


def _seeds(estimator: Any, seed: int) -> dict[Any, int]:
    """Return the seeds that have not been set, with a value: Spark's own differ in each process."""
    found, left = {}, [estimator]
    while left:
        stage = left.pop()
        if stage.hasParam("seed") and not stage.isSet("seed"):
            found[stage.getParam("seed")] = seed
        if hasattr(stage, "getStages"):
            left += [each for each in stage.getStages() if hasattr(each, "fit")]
    return found

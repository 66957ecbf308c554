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
from lq_spark.tasks.neighbors.columns import Features, FeatureTable
from lq_spark.tasks.training.batches import FOLD, PRED_PROBS
from lq_spark.tasks.training.columns import ClassTable
from lq_spark.tasks.training.estimators import classifier_of
from lq_spark.tasks.training.final import WEIGHT
from lq_spark.tasks.training.passes import IS_TRAINED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

INDEX, FOUND_PROBS = "__lq_index", "__lq_found"
_CODED, _VECTOR, _PROBABILITY, _RAW = (
    f"__lq_{name}" for name in ("fold", "vector", "probability", "raw")
)

_READ_TOO = ("weightCol", "validationIndicatorCol")


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
    highest = int(counts.sum(axis=0).nonzero()[0].max()) + 1  # Spark ML knows of no others
    if sizes not in ([highest], [n_classes]):
        raise DataError(
            f"estimator {type(estimator).__name__} gives {sizes[0]} probabilities, and there are "
            f"K = {n_classes} classes"
        )
    return whole.withColumn(PRED_PROBS, _padded(F.col(PRED_PROBS), n_classes))


def _padded(probabilities: Column, n_classes: int) -> Column:
    """Return K probabilities: 0 of the classes after those that a model knows."""
    missing = F.lit(n_classes) - F.size(probabilities)
    return F.concat(probabilities, F.array_repeat(F.lit(0.0), missing))


def _table_for(
    df: DataFrame,
    table: ClassTable,
    features: Features,
    label: str,
    estimator: Any,
    classifier: Any,
    weight: Column | None = None,
) -> DataFrame:
    """Return ROW and what an estimator reads: all columns, if it is no classifier itself.

    And WEIGHT, if rows have one.
    """
    from pyspark.ml.functions import array_to_vector

    others = [] if weight is None else [weight.alias(WEIGHT)]
    row, index = column(table.id).alias(ROW), table.labels.index.cast("double")
    vector = array_to_vector(F.transform(table.features.input.column, lambda x: x.cast("double")))
    if classifier is estimator:
        return df.select(
            row,
            index.alias(classifier.getLabelCol()),
            vector.alias(classifier.getFeaturesCol()),
            *_read_too(df, classifier),
            *others,
        )
    made = {label: index}
    if isinstance(features, str):
        made[features] = vector
    return df.select(row, *(made.get(n, column(n)).alias(n) for n in df.columns), *others)


def _read_too(df: DataFrame, classifier: Any) -> list[Column]:
    """Return the columns that params of a classifier name beside its label and features."""
    set_ones = (n for n in _READ_TOO if classifier.hasParam(n) and classifier.isSet(n))
    names = [classifier.getOrDefault(n) for n in set_ones]
    return [column(name) for name in dict.fromkeys(names) if name in df.columns]


def spark_model(
    df: DataFrame,
    table: ClassTable,
    features: Features,
    label: str,
    estimator: Any,
    seed: int,
    weight: Column | None,
) -> Any:
    """Return the model of all rows; ``weight`` is that of a row.

    Raises
    ------
    DataError
        If the estimator fails.
    """
    classifier = classifier_of(estimator)
    given = _table_for(df, table, features, label, estimator, classifier, weight)
    params: dict[Any, Any] = _seeds(estimator, seed)
    if weight is not None:
        params[classifier.getParam("weightCol")] = WEIGHT
    try:
        return estimator.fit(given, params)
    except Exception as error:
        raise DataError(
            f"estimator {type(estimator).__name__} failed in the last training: "
            f"{type(error).__name__}: {error}"
        ) from error


def with_spark_predicted(
    df: DataFrame,
    table: FeatureTable,
    features: Features,
    model: Any,
    n_classes: int,
) -> DataFrame:
    """Return the table with INDEX, the class index, and FOUND_PROBS, by a model of Spark. Lazy."""
    from pyspark.ml.functions import array_to_vector

    vector = array_to_vector(F.transform(table.input.column, lambda x: x.cast("double")))
    classifier = last_stage(model)
    restored = {}
    if classifier is model:
        made = df.withColumn(_VECTOR, vector)
        names = {"featuresCol": _VECTOR, "probabilityCol": _PROBABILITY, "predictionCol": INDEX}
        if model.hasParam("rawPredictionCol"):
            names["rawPredictionCol"] = _RAW
        found = model.transform(made, {model.getParam(name): to for name, to in names.items()})
        probability, prediction = _PROBABILITY, INDEX
    else:
        made = df
        if isinstance(features, str):
            made = df.withColumn(_VECTOR, column(features)).withColumn(features, vector)
            restored[features] = F.col(_VECTOR).alias(features)
        found = model.transform(made)
        probability, prediction = classifier.getProbabilityCol(), classifier.getPredictionCol()
    array = float_array(found, "estimator", probability)
    result: DataFrame = found.select(
        *(restored.get(name, column(name)) for name in df.columns),
        column(prediction).cast("bigint").alias(INDEX),
        _padded(array, n_classes).alias(FOUND_PROBS),
    )
    return result


def last_stage(model: Any) -> Any:
    """Return the model of the classifier within that of a pipeline, or of a search."""
    while True:
        if getattr(model, "stages", None):
            model = model.stages[-1]
        elif hasattr(model, "bestModel"):
            model = model.bestModel
        else:
            return model


def _seeds(estimator: Any, seed: int) -> dict[Any, int]:
    """Return the seeds that have not been set, with a value: Spark's own differ in each process."""
    found, left = {}, [estimator]
    while left:
        stage = left.pop()
        if stage.hasParam("seed") and not stage.isSet("seed"):
            found[stage.getParam("seed")] = seed
        if hasattr(stage, "getStages"):
            left += [each for each in stage.getStages() if hasattr(each, "fit")]
        if hasattr(stage, "getEstimator"):
            left.append(stage.getEstimator())
    return found

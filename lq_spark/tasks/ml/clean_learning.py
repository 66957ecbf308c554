"""CleanLearning as an estimator of Spark ML: a classifier trained without label issues."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from pyspark import keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasPredictionCol, HasSeed, HasWeightCol
from pyspark.sql import functions as F

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.training.folds import N_FOLDS
from lq_spark.engine.inputs import column, require_new_columns
from lq_spark.engine.vectors import ml_vector
from lq_spark.errors import OptionError
from lq_spark.tasks import training
from lq_spark.tasks.ml.params import (
    CommonParams,
    number_param,
    require_id,
    require_numbers_as_labels,
    text_param,
)
from lq_spark.tasks.ml.saved import Kept
from lq_spark.tasks.shared.names import PREDICTED_LABEL
from lq_spark.tasks.training.batches import PRED_PROBS
from lq_spark.tasks.training.class_model import ClassModel
from lq_spark.tasks.training.estimators import is_of_spark

if TYPE_CHECKING:
    from pyspark.ml._typing import P, ParamMap
    from pyspark.sql import DataFrame


class _CleanLearningModelParams(CommonParams, HasFeaturesCol, HasPredictionCol):
    def setFeaturesCol(self: P, value: str) -> P:
        """Set the column of features."""
        return self._set(featuresCol=value)

    def setPredictionCol(self: P, value: str) -> P:
        """Set the name of the column of predicted labels."""
        return self._set(predictionCol=value)


class _CleanLearningParams(_CleanLearningModelParams, HasSeed, HasWeightCol):
    estimator: Param[Any] = Param(Params._dummy(), "estimator", "the classifier")
    groupCol = text_param("groupCol", "column of what rows have in common")
    numFolds = number_param("numFolds", "folds of the cross-validation")
    fracNoise: Param[float] = Param(
        Params._dummy(),
        "fracNoise",
        "share of the estimated label issues that are pruned",
        typeConverter=TypeConverters.toFloat,
    )
    pulearning = number_param("pulearning", "the class whose given labels are all right")
    maxTrainRows = number_param("maxTrainRows", "rows that a model is trained with at most")
    batchRows = number_param("batchRows", "rows that partial_fit is given at a time")

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(
            idCol="id",
            seed=0,
            numFolds=N_FOLDS,
            filterBy="prune_by_noise_rate",
            fracNoise=1.0,
        )

    def getEstimator(self) -> Any:
        """Return the classifier."""
        return self.getOrDefault(self.estimator)

    def setEstimator(self: P, value: Any) -> P:
        """Set the classifier."""
        return self._set(estimator=value)

    def getGroupCol(self) -> str:
        """Return the column of what rows have in common."""
        return self.getOrDefault(self.groupCol)

    def setGroupCol(self: P, value: str) -> P:
        """Set the column of what rows have in common."""
        return self._set(groupCol=value)

    def getNumFolds(self) -> int:
        """Return the number of folds."""
        return self.getOrDefault(self.numFolds)

    def setNumFolds(self: P, value: int) -> P:
        """Set the number of folds."""
        return self._set(numFolds=value)

    def getFracNoise(self) -> float:
        """Return the share of the estimated label issues that are pruned."""
        return self.getOrDefault(self.fracNoise)

    def setFracNoise(self: P, value: float) -> P:
        """Set the share of the estimated label issues that are pruned."""
        return self._set(fracNoise=value)

    def getPulearning(self) -> int:
        """Return the class whose given labels are all right."""
        return self.getOrDefault(self.pulearning)

    def setPulearning(self: P, value: int) -> P:
        """Set the class whose given labels are all right."""
        return self._set(pulearning=value)

    def getMaxTrainRows(self) -> int:
        """Return how many rows a model is trained with at most."""
        return self.getOrDefault(self.maxTrainRows)

    def setMaxTrainRows(self: P, value: int) -> P:
        """Set how many rows a model is trained with at most."""
        return self._set(maxTrainRows=value)

    def getBatchRows(self) -> int:
        """Return how many rows ``partial_fit`` is given at a time."""
        return self.getOrDefault(self.batchRows)

    def setBatchRows(self: P, value: int) -> P:
        """Set how many rows ``partial_fit`` is given at a time."""
        return self._set(batchRows=value)

    def setSeed(self: P, value: int) -> P:
        """Set the seed."""
        return self._set(seed=value)

    def setWeightCol(self: P, value: str) -> P:
        """Set the column of weights."""
        return self._set(weightCol=value)


class CleanLearning(Estimator["CleanLearningModel"], _CleanLearningParams, Kept):
    """A classifier that is trained without the label issues of its rows, as an estimator.

    Its folds and issues are those of :class:`lq_spark.training.CleanLearning`.

    Parameters
    ----------
    estimator : object
        The classifier: one of ``pyspark.ml`` with a probability column, or a ``Pipeline`` that ends
        with one, on Apache Spark; or one with ``fit`` and ``predict_proba``, as scikit-learn's and
        XGBoost's have them. It must be set.
    idCol : str
        Column that tells the rows apart: it says which fold a row is in. "id".
    labelCol : str
        Given labels, 0 to K - 1, in any type of number: "label".
    featuresCol : str
        A vector of Spark ML, or an array of numbers: "features".
    probabilityCol, predictionCol : str
        The columns that the model adds, as the classifiers of Spark ML do; "" for none.
    groupCol : str, optional
        Column of what rows have in common: rows of one group are in one fold.
    weightCol : str, optional
        Weights of the rows in the last training. Where there is none, rows of class k weigh
        1 / P(given k | true k), if the classifier takes weights and has not set its own.
    numFolds : int
        Folds of the cross-validation: 5.
    seed : int
        Of the folds, and of a classifier that has none: 0.
    filterBy, fracNoise
        What is a label issue, as for :func:`lq_spark.multiclass.find_issues`.
    pulearning : {0, 1}, optional
        The class, of two, whose given labels are all right.
    maxTrainRows : int, optional
        With so many rows a model of the cross-validation is trained at most; and, of a classifier
        that is not of Spark ML, the last. 200,000 where it is not set.
    batchRows : int, optional
        Trains with all rows by ``partial_fit`` of the classifier, so many at a time.

    Notes
    -----
    ``CrossValidator`` and ``TrainValidationSplit`` tune its own params, such as ``filterBy``, and
    those of the estimator of Spark ML within, such as ``lr.regParam``. Spark ML does not save a
    search over the latter, which it does not look for here: save its ``bestModel``.

    ``BinaryClassificationEvaluator`` is to have ``rawPredictionCol="probability"``.

    Errors are those of :meth:`lq_spark.training.CleanLearning.fit`.

    Examples
    --------
    On Spark::

        from pyspark.ml.classification import LogisticRegression
        from pyspark.ml.evaluation import MulticlassClassificationEvaluator
        from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
        from lq_spark import ml

        lr = LogisticRegression()
        cleaned = ml.CleanLearning(estimator=lr, idCol="id")
        grid = ParamGridBuilder().addGrid(lr.regParam, [0.0, 0.1])
        grid = grid.addGrid(cleaned.filterBy, ["confident_learning", "prune_by_class"]).build()
        f1 = MulticlassClassificationEvaluator()
        search = CrossValidator(estimator=cleaned, estimatorParamMaps=grid, evaluator=f1)
        best = search.fit(df).bestModel
        best.labelIssues.where("is_label_issue")

    On any engine:

    >>> import pandas as pd
    >>> from lq_spark import local, ml
    >>> from sklearn.naive_bayes import GaussianNB
    >>> rows = [(n, float(n % 2) if n != 7 else 0.0, [5.0 * (n % 2) + n / 90]) for n in range(60)]
    >>> df = local.session().createDataFrame(rows, "id int, label double, features array<double>")
    >>> model = ml.CleanLearning(estimator=GaussianNB()).fit(df)
    >>> model.labelIssues.where("is_label_issue").select("id").collect()
    [Row(id=7)]
    >>> model.transform(df).where("id = 7").select("label", "prediction").collect()
    [Row(label=0.0, prediction=1.0)]
    """

    @keyword_only
    def __init__(
        self,
        *,
        estimator: Any = None,
        idCol: str = "id",
        labelCol: str = "label",
        featuresCol: str = "features",
        probabilityCol: str = "probability",
        predictionCol: str = "prediction",
        groupCol: str | None = None,
        weightCol: str | None = None,
        numFolds: int = N_FOLDS,
        seed: int = 0,
        filterBy: str = "prune_by_noise_rate",
        fracNoise: float = 1.0,
        pulearning: int | None = None,
        maxTrainRows: int | None = None,
        batchRows: int | None = None,
    ) -> None:
        super().__init__()
        self._set(**self._input_kwargs)

    def copy(self, extra: ParamMap | None = None) -> CleanLearning:
        """Return a copy, with a copy of an estimator of Spark ML; ``extra`` params are for both."""
        made = Params.copy(self, extra)
        if made.isSet(made.estimator) and is_of_spark(made.getEstimator()):
            made.setEstimator(made.getEstimator().copy(extra))
        return made

    def parts(self) -> dict[str, Any]:
        """Return the classifier by the name of its folder."""
        return {"estimator": self.getEstimator()} if self.isSet(self.estimator) else {}

    def restore(self, content: dict[str, Any], parts: dict[str, Any]) -> None:
        """Take what was written."""
        self._set(**parts)

    def _fit(self, dataset: DataFrame) -> CleanLearningModel:
        if not self.isSet(self.estimator):
            raise OptionError(
                "estimator is not set; give a classifier of pyspark.ml, or one as scikit-learn's"
            )
        require_numbers_as_labels(dataset, self.getLabelCol())
        require_id(dataset, self.getIdCol(), "they say which fold a row is in")
        cleaned = training.CleanLearning(
            self.getEstimator(),
            id=self.getIdCol(),
            label=self.getLabelCol(),
            features=self.getFeaturesCol(),
            groups=self._if_set(self.groupCol),
            seed=self.getSeed(),
            cv_n_folds=self.getNumFolds(),
            max_train_rows=self._if_set(self.maxTrainRows),
            batch_rows=self._if_set(self.batchRows),
            pulearning=self._if_set(self.pulearning),
            find_label_issues_kwargs={
                "filter_by": self.getFilterBy(),
                "frac_noise": self.getFracNoise(),
            },
        ).fit(dataset, sample_weight=self._if_set(self.weightCol))
        made = CleanLearningModel(cleaned.trained, cleaned.noise_model, cleaned.get_label_issues())
        return self._copyValues(made._resetUid(self.uid))

    def _if_set(self, param: Param[Any]) -> Any:
        return self.getOrDefault(param) if self.isDefined(param) else None


class CleanLearningModel(Model, _CleanLearningModelParams, Kept):
    """What :class:`CleanLearning` has trained; adds probabilities and predictions to new rows.

    ``transform`` adds ``probabilityCol`` (a vector of Spark ML; on the embedded engine, which has
    none, array<double>) and ``predictionCol`` (double). Lazy.

    Attributes
    ----------
    labelIssues : DataFrame or None
        The rows that it was fitted on, as :meth:`lq_spark.training.CleanLearning.find_label_issues`
        gives them; None of a model that was loaded.
    noiseModel : NoiseModel
        What those rows say of the noise of their labels.
    """

    def __init__(
        self,
        classModel: ClassModel | None = None,
        noiseModel: NoiseModel | None = None,
        labelIssues: DataFrame | None = None,
    ) -> None:
        super().__init__()
        self._class_model: Any = classModel
        self.noiseModel: Any = noiseModel
        self.labelIssues = labelIssues

    @property
    def model(self) -> Any:
        """Return the trained classifier, a model of Spark ML or as scikit-learn's are."""
        return self._class_model.model

    def parts(self) -> dict[str, Any]:
        """Return the trained classifier by the name of its folder."""
        return {"model": self.model}

    def content(self) -> dict[str, Any]:
        """Return what is fitted, as JSON has it."""
        return {**self._class_model.content(), "noise_model": self.noiseModel.to_json()}

    def restore(self, content: dict[str, Any], parts: dict[str, Any]) -> None:
        """Take what was written."""
        self.noiseModel = NoiseModel.from_json(content["noise_model"])
        self._class_model = ClassModel.of(parts["model"], self.getFeaturesCol(), content)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        new = {PRED_PROBS: self.getProbabilityCol(), PREDICTED_LABEL: self.getPredictionCol()}
        require_new_columns(dataset, filter(None, new.values()))
        trained = dataclasses.replace(self._class_model, features=self.getFeaturesCol())
        own = {name: f"__lq_{name}" for name in new}
        made: DataFrame = trained.predict(dataset, **own)
        columns = {
            PRED_PROBS: ml_vector(dataset.sparkSession, F.col(own[PRED_PROBS])),
            PREDICTED_LABEL: F.col(own[PREDICTED_LABEL]).cast("double"),
        }
        added = [columns[of].alias(name) for of, name in new.items() if name]
        return made.select(*map(column, dataset.columns), *added)

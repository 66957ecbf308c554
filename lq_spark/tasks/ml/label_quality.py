"""Label quality of rows with probabilities: an estimator that fits what the scores need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark import keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.sql import functions as F

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.engine.inputs import column, require_new_columns
from lq_spark.tasks.ml.params import (
    CommonParams,
    require_id,
    require_numbers_as_labels,
    text_param,
)
from lq_spark.tasks.ml.saved import Kept
from lq_spark.tasks.multiclass import find_issues, fit
from lq_spark.tasks.multiclass.cuts import Cuts, flagged
from lq_spark.tasks.multiclass.facts import with_facts
from lq_spark.tasks.shared.batches import score_columns
from lq_spark.tasks.shared.classes import agreed_n_classes, require_room
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.table import labelled_table

if TYPE_CHECKING:
    from pyspark.ml._typing import P
    from pyspark.sql import DataFrame


class _LabelQualityParams(CommonParams):
    labelQualityCol = text_param("labelQualityCol", "new column: 1 clean, 0 suspect; '' for none")
    labelIssueCol = text_param("labelIssueCol", "new column: is it an issue; '' for none")
    predictedLabelCol = text_param(
        "predictedLabelCol", "new column: the class of the highest probability; '' for none"
    )
    method = text_param("method", "the score of label quality")
    adjustPredProbs: Param[bool] = Param(
        Params._dummy(),
        "adjustPredProbs",
        "whether class thresholds correct the probabilities",
        typeConverter=TypeConverters.toBoolean,
    )

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(
            idCol="id",
            labelQualityCol="labelQuality",
            labelIssueCol="isLabelIssue",
            predictedLabelCol="predictedLabel",
            method="self_confidence",
            adjustPredProbs=False,
            filterBy="confident_learning",
        )

    def getLabelQualityCol(self) -> str:
        """Return the name of the column of label quality."""
        return self.getOrDefault(self.labelQualityCol)

    def setLabelQualityCol(self: P, value: str) -> P:
        """Set the name of the column of label quality."""
        return self._set(labelQualityCol=value)

    def getLabelIssueCol(self) -> str:
        """Return the name of the column that says whether a label is an issue."""
        return self.getOrDefault(self.labelIssueCol)

    def setLabelIssueCol(self: P, value: str) -> P:
        """Set the name of the column that says whether a label is an issue."""
        return self._set(labelIssueCol=value)

    def getPredictedLabelCol(self) -> str:
        """Return the name of the column of predicted labels."""
        return self.getOrDefault(self.predictedLabelCol)

    def setPredictedLabelCol(self: P, value: str) -> P:
        """Set the name of the column of predicted labels."""
        return self._set(predictedLabelCol=value)

    def getMethod(self) -> str:
        """Return the score."""
        return self.getOrDefault(self.method)

    def setMethod(self: P, value: str) -> P:
        """Set the score."""
        return self._set(method=value)

    def getAdjustPredProbs(self) -> bool:
        """Return whether class thresholds correct the probabilities."""
        return self.getOrDefault(self.adjustPredProbs)

    def setAdjustPredProbs(self: P, value: bool) -> P:
        """Set whether class thresholds correct the probabilities."""
        return self._set(adjustPredProbs=value)

    def _checked_rule(self, dataset: DataFrame) -> Rule:
        """Check options and columns; return the rule."""
        rule = Rule(self.getFilterBy())
        require_method(self.getMethod(), adjust_pred_probs=self.getAdjustPredProbs())
        require_numbers_as_labels(dataset, self.getLabelCol())
        if rule.needs_cuts:
            why = f"filterBy {rule.filter_by!r} compares rows, and ids decide between equal ones"
            require_id(dataset, self.getIdCol(), why)
        return rule

    def _new_columns(self) -> dict[str, str]:
        """Return what the functions call the columns that are wanted, and their names here."""
        names = {
            LABEL_QUALITY: self.getLabelQualityCol(),
            IS_LABEL_ISSUE: self.getLabelIssueCol(),
            PREDICTED_LABEL: self.getPredictedLabelCol(),
        }
        return {of: name for of, name in names.items() if name}


class LabelQuality(Estimator["LabelQualityModel"], _LabelQualityParams, Kept):
    """How good the label of each row is, by a classifier's probabilities, as an estimator.

    It stands in a ``Pipeline`` behind a classifier, or is fitted on out-of-sample probabilities by
    themselves: those of rows that the classifier was trained with are too sure of their labels.

    Parameters
    ----------
    labelCol : str
        Given labels, 0 to K - 1, in any type of number: "label".
    probabilityCol : str
        K probabilities, as a vector of Spark ML or an array: "probability".
    labelQualityCol, labelIssueCol, predictedLabelCol : str
        The columns that the model adds; "" for none. "labelQuality" (1 clean, 0 suspect),
        "isLabelIssue", and "predictedLabel", the class of the highest probability, in the type of
        the labels: "prediction" is the classifier's own column.
    idCol : str
        Column that tells the rows apart, "id"; read by rules that compare rows alone.
    method, adjustPredProbs
        The score, as for :func:`lq_spark.multiclass.score`: "self_confidence", False.
    filterBy : str
        What is a label issue, as for :func:`lq_spark.multiclass.find_issues`. The default
        "confident_learning" and "predicted_neq_given" judge each row by itself. The others compare
        the rows of the table that is transformed: then it is read by ``transform``.

    Notes
    -----
    ``fit`` is :func:`lq_spark.multiclass.fit`, and raises what that raises. Errors of options and
    columns are raised by ``fit`` and ``transform``, before a Spark job starts.

    Examples
    --------
    On Spark::

        from pyspark.ml import Pipeline
        from pyspark.ml.classification import LogisticRegression
        from lq_spark import ml

        stages = [LogisticRegression(), ml.LabelQuality(method="normalized_margin")]
        model = Pipeline(stages=stages).fit(train)
        suspects = model.transform(new).where("isLabelIssue").orderBy("labelQuality")

    On any engine:

    >>> import pandas as pd
    >>> from lq_spark import local, ml
    >>> rows = {"label": [0.0, 1.0, 1.0, 0.0], "probability": [[0.9, 0.1], [0.2, 0.8], [0.8, 0.2]]}
    >>> rows["probability"].append([0.7, 0.3])
    >>> df = local.session().createDataFrame(pd.DataFrame(rows))
    >>> model = ml.LabelQuality().fit(df)
    >>> model.transform(df).where("labelQuality < 0.5").select("labelQuality").collect()
    [Row(labelQuality=0.2)]
    """

    @keyword_only
    def __init__(
        self,
        *,
        labelCol: str = "label",
        probabilityCol: str = "probability",
        labelQualityCol: str = "labelQuality",
        labelIssueCol: str = "isLabelIssue",
        predictedLabelCol: str = "predictedLabel",
        idCol: str = "id",
        method: str = "self_confidence",
        adjustPredProbs: bool = False,
        filterBy: str = "confident_learning",
    ) -> None:
        super().__init__()
        self._set(**self._input_kwargs)

    def _fit(self, dataset: DataFrame) -> LabelQualityModel:
        self._checked_rule(dataset)
        noise = fit(dataset, label=self.getLabelCol(), pred_probs=self.getProbabilityCol())
        return self._copyValues(LabelQualityModel(noise)._resetUid(self.uid))


class LabelQualityModel(Model, _LabelQualityParams, Kept):
    """What :class:`LabelQuality` has fitted; scores new rows by it, as its params say.

    Attributes
    ----------
    noiseModel : NoiseModel
        Class thresholds and confident joint of the rows that it was fitted on.
    """

    def __init__(self, noiseModel: NoiseModel | None = None) -> None:
        super().__init__()
        self.noiseModel: Any = noiseModel

    def content(self) -> dict[str, Any]:
        """Return what is fitted, as JSON has it."""
        return {"noise_model": self.noiseModel.to_json()}

    def restore(self, content: dict[str, Any], parts: dict[str, Any]) -> None:
        """Take what was written."""
        self.noiseModel = NoiseModel.from_json(content["noise_model"])

    def _transform(self, dataset: DataFrame) -> DataFrame:
        rule, named = self._checked_rule(dataset), self._new_columns()
        require_new_columns(dataset, named.values())
        columns: dict[str, Any] = {
            "label": self.getLabelCol(),
            "pred_probs": self.getProbabilityCol(),
        }
        if rule.needs_cuts:
            found = find_issues(
                dataset,
                id=self.getIdCol(),
                **columns,
                filter_by=rule.filter_by,
                fitted=self.noiseModel,
                method=self.getMethod(),
                adjust_pred_probs=self.getAdjustPredProbs(),
            )
        else:
            found = self._judged_alone(dataset, rule, columns)
        new = [F.col(of).alias(name) for of, name in named.items()]
        return found.select(*map(column, dataset.columns), *new)

    def _judged_alone(self, df: DataFrame, rule: Rule, columns: dict[str, Any]) -> DataFrame:
        """Return the table with its scores and issues, each row by itself. Lazy."""
        require_new_columns(df, [LABEL_QUALITY, IS_LABEL_ISSUE, PREDICTED_LABEL])
        thresholds = self.noiseModel.thresholds
        table = labelled_table(df, **columns, classes=None)
        k = agreed_n_classes(df, table.probabilities, table.label_type, self.noiseModel)
        require_room(table.label_type, columns["label"], k)
        adjusted = thresholds if self.getAdjustPredProbs() else None
        scores = score_columns(self.getMethod(), adjusted, table.label_type, None)
        found = with_facts(
            df, table, thresholds, rule, scores=scores, fail=True, tolerance=SUM_TOLERANCE
        )
        return flagged(found, self.getIdCol(), rule, Cuts(), k, IS_LABEL_ISSUE)

"""Params that estimators have in common, and checks of the columns that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasLabelCol, HasProbabilityCol
from pyspark.sql.types import NumericType

from lq_spark.engine.inputs import column_type, require_columns
from lq_spark.errors import ColumnError

if TYPE_CHECKING:
    from pyspark.ml._typing import P
    from pyspark.sql import DataFrame


def text_param(name: str, doc: str) -> Param[str]:
    """Return a param that is a text."""
    return Param(Params._dummy(), name, doc, typeConverter=TypeConverters.toString)


def number_param(name: str, doc: str) -> Param[int]:
    """Return a param that is a whole number."""
    return Param(Params._dummy(), name, doc, typeConverter=TypeConverters.toInt)


class CommonParams(HasLabelCol, HasProbabilityCol):
    """The columns and the rule that label issues are found by."""

    _input_kwargs: dict[str, Any]

    idCol = text_param("idCol", "column that tells the rows apart")
    filterBy = text_param("filterBy", "rule of what is a label issue")

    def getIdCol(self) -> str:
        """Return the column that tells the rows apart."""
        return self.getOrDefault(self.idCol)

    def setIdCol(self: P, value: str) -> P:
        """Set the column that tells the rows apart."""
        return self._set(idCol=value)

    def getFilterBy(self) -> str:
        """Return the rule of what is a label issue."""
        return self.getOrDefault(self.filterBy)

    def setFilterBy(self: P, value: str) -> P:
        """Set the rule of what is a label issue."""
        return self._set(filterBy=value)

    def setLabelCol(self: P, value: str) -> P:
        """Set the column of given labels."""
        return self._set(labelCol=value)

    def setProbabilityCol(self: P, value: str) -> P:
        """Set the column of predicted probabilities."""
        return self._set(probabilityCol=value)


def require_numbers_as_labels(df: DataFrame, name: str) -> None:
    """Raise ColumnError unless labels are numbers, as all of Spark ML takes them."""
    require_columns(df, labelCol=name)
    kind = column_type(df, name)
    if not isinstance(kind, NumericType):
        raise ColumnError(
            f"labelCol: column {name!r} is {kind.simpleString()}; allowed are the numbers of "
            "classes, from 0, as StringIndexer makes them"
        )


def require_id(df: DataFrame, name: str, why: str) -> None:
    """Raise ColumnError, which says why there must be ids, unless a table has them."""
    try:
        require_columns(df, idCol=name)
    except ColumnError as error:
        raise ColumnError(
            f"{error}; set idCol to a column that tells the rows apart: {why}"
        ) from None

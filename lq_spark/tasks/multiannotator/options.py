"""What is made of the labels of several annotators; whether something fitted goes with a table."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pyspark.sql.types import StringType

from lq_spark.core.multiannotator.api import CONSENSUS_METHODS, QUALITY_METHODS
from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.errors import OptionError, listed, require_one_of
from lq_spark.tasks.multiannotator.columns import AnnotationTables


@dataclass(frozen=True)
class ConsensusOptions:
    """What consensus and weights are made by; see :func:`lq_spark.multiannotator.fit`.

    Raises
    ------
    OptionError
        If one is unknown.
    """

    consensus_method: str = "best_quality"
    quality_method: str = "crowdlab"
    calibrate_probs: bool = False
    cleanlab_compatible: bool = False

    def __post_init__(self) -> None:
        require_one_of("consensus_method", self.consensus_method, CONSENSUS_METHODS)
        require_one_of("quality_method", self.quality_method, QUALITY_METHODS)

    def require_none(self) -> None:
        """Raise OptionError if one is given beside what was fitted with its own."""
        given = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        if given:
            raise OptionError(f"{listed(given)} is for fitting; fitted has its own")


def require_fitted_for(tables: AnnotationTables, fitted: MultiannotatorModel) -> None:
    """Raise OptionError if what was fitted has other models or names of another kind."""
    if len(tables.pred_probs) != fitted.n_models:
        raise OptionError(
            f"fitted has {fitted.n_models} models, pred_probs names the columns "
            f"{listed(tables.model_name(m) for m in range(len(tables.pred_probs)))}"
        )
    is_text = isinstance(tables.annotator_type, StringType)
    if any(isinstance(name, str) != is_text for name in fitted.annotators):
        raise OptionError(
            f"fitted has annotators such as {fitted.annotators[0]!r}, column {tables.annotator!r} "
            f"is {tables.annotator_type.simpleString()}"
        )

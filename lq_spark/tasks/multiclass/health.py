"""How healthy the labels of a table are: a few numbers for each class and pair of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lq_spark.core.health.tables import DatasetHealth, dataset_health
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.tasks.multiclass.issues import fit
from lq_spark.tasks.shared.probabilities import PredProbs
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def summarize(
    df: DataFrame,
    *,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    asymmetric: bool = False,
    tolerance: float = SUM_TOLERANCE,
) -> DatasetHealth:
    """Return how healthy the labels of a table are: in all, by class, by pair of classes.

    Two passes over the table, now: those of :func:`lq_spark.multiclass.fit`. Of what that returned,
    :func:`lq_spark.core.health.tables.dataset_health` makes the same tables without another.

    Parameters
    ----------
    df, label, pred_probs, classes, tolerance
        As for :func:`lq_spark.multiclass.fit`.
    asymmetric : bool
        Whether (a, b) and (b, a) are two rows of the overlaps, a being the given class.

    Returns
    -------
    DatasetHealth
        A score and two pandas tables, with class names where ``classes`` has them.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`lq_spark.multiclass.fit`.
    """
    refuse_stream(df, "multiclass.summarize")
    model = fit(df, label=label, pred_probs=pred_probs, classes=classes, tolerance=tolerance)
    return dataset_health(model, asymmetric=asymmetric)

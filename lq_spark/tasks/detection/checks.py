"""Which images of a table cannot be scored, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lq_spark.tasks.detection.batches import reason_batch
from lq_spark.tasks.detection.columns import detection_columns, resolved_n_classes
from lq_spark.tasks.shared.columns import REASON_SCHEMA, with_mapped
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    labels: str = "labels",
    predictions: str = "predictions",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why an image cannot be scored, else null. Lazy.

    An image with several faults has one of them as its reason, of boxes that of the first one:
    ``label box 3: x2 below x1``.

    Parameters
    ----------
    id : str, optional
        Column that must tell the images apart: a null in it and a value that occurs twice are
        faults (of every row that has it).
    df, labels, predictions, classes, n_classes
        As for :func:`score`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    columns = detection_columns(df, labels=labels, predictions=predictions, classes=classes)
    require_to_validate(df, id, "detection.validate")
    n_classes = resolved_n_classes(df, columns, n_classes)
    function = reason_batch(n_classes, columns.names)
    checked = with_mapped(df, function, columns.inputs, REASON_SCHEMA)
    return checked if id is None else with_key_reasons(checked, df, id)

"""Which images of a table cannot be scored, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.engine.keys import duplicate_keys
from lq_spark.engine.verbs import map_rows
from lq_spark.tasks.detection.batches import reason_batch
from lq_spark.tasks.detection.columns import detection_columns, resolved_n_classes
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.table import DUPLICATE_ID, INVALID_REASON, NULL_ID

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NEW, _JOINED = "__lq_spark", "__lq_joined"


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
    if id is not None:
        refuse_stream(df, "detection.validate with id")
        require_key(df, "id", id)
    require_new_columns(df, [INVALID_REASON, _NEW, _JOINED])
    n_classes = resolved_n_classes(df, columns, n_classes)
    schema = StructType([StructField(INVALID_REASON, StringType())])
    new = map_rows(reason_batch(n_classes, columns.names), columns.inputs, schema)
    checked = df.withColumn(_NEW, new)
    reason = F.col(f"{_NEW}.{INVALID_REASON}")
    if id is not None:
        twice = duplicate_keys(df, id).select(column(id).alias(_JOINED))
        checked = checked.join(twice, column(id) == F.col(_JOINED), "left")
        key_reason = F.when(column(id).isNull(), NULL_ID)
        key_reason = key_reason.when(F.col(_JOINED).isNotNull(), DUPLICATE_ID)
        reason = F.coalesce(key_reason, reason)
    return checked.select(*map(column, df.columns), reason.alias(INVALID_REASON))

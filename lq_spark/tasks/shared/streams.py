"""What can be done on a stream: rows are scored one by one, but nothing is found out from all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lq_spark.errors import OptionError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SCORES_STREAMS = {
    "multiclass": "with n_classes or classes, and thresholds to adjust by",
    "tokens": "of one row a sentence, or at level 'token', with n_classes or classes",
    "multilabel": "with n_classes or classes, or fitted",
    "regression": "with method 'residual'",
    "detection": "with fitted",
    "segmentation": "with n_classes or fitted",
    "nulls": "as it is",
}
"""With what the function ``score`` of a task takes a stream."""


def refuse_stream(df: DataFrame, call: str) -> None:
    """Raise OptionError if a table is a stream, for a call that has to see all its rows.

    ``call`` begins with the name of the task: "multiclass.validate with id".
    """
    if not df.isStreaming:
        return
    task = call.partition(".")[0]
    others = "call it in foreachBatch, whose batches are tables"
    if task in _SCORES_STREAMS:
        others = f"{task}.score takes a stream {_SCORES_STREAMS[task]}, and foreachBatch has tables"
    raise OptionError(f"{call} has to see all rows, and this table is a stream: {others}")


def refuse_streams(call: str, *tables: DataFrame | None) -> None:
    """Raise OptionError as :func:`refuse_stream`, if one of the tables there are is a stream."""
    for table in tables:
        if table is not None:
            refuse_stream(table, call)


def require_given_n_classes(df: DataFrame, *options: str) -> None:
    """Raise OptionError if a table of which nobody says K is a stream: its rows cannot tell now."""
    if df.isStreaming:
        raise OptionError(
            f"this table is a stream, so its first row cannot say K: give {' or '.join(options)}"
        )

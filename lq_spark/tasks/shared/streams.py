"""What can be done before rows are there: each is scored by itself, nothing is found out from all.

That is so of a stream, and of any table in a query function of a declarative pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lq_spark.engine.pipelines import is_stream
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
    "outliers": "with fitted, if the reference rows are few",
}
"""With what the function ``score`` of a task takes a stream, or works in a pipeline."""


def comes_later(df: DataFrame) -> bool:
    """Return whether the rows of a table cannot be read now, but by a query that runs later."""
    return is_stream(df) is not False


def refuse_stream(df: DataFrame, call: str, *, lazy: bool = False) -> None:
    """Raise OptionError if the rows of a table come later, for a call that has to see all of them.

    ``call`` begins with the name of the task: "multiclass.validate with id". One that is ``lazy``
    sees them in its query: it works in a pipeline, but for streams.
    """
    stream = is_stream(df)
    if stream is False or (lazy and stream is None):
        return
    task = call.partition(".")[0]
    with_what = _SCORES_STREAMS.get(task)
    if stream:
        table = "this table is a stream"
        others = "call it in foreachBatch, whose batches are tables"
        if with_what:
            others = f"{task}.score takes a stream {with_what}, and foreachBatch has tables"
    else:
        table = "a query function of a pipeline reads none"
        others = "call it before, in a job"
        if with_what:
            others = f"{task}.score works there {with_what}; call the rest before, in a job"
    raise OptionError(f"{call} has to see all rows, and {table}: {others}")


def refuse_streams(call: str, *tables: DataFrame | None) -> None:
    """Raise OptionError as :func:`refuse_stream`, if one of the tables there are is a stream."""
    for table in tables:
        if table is not None:
            refuse_stream(table, call)


def require_told(df: DataFrame, what: str, *options: str) -> None:
    """Raise OptionError if the rows of a table, which would tell what is not given, come later."""
    stream = is_stream(df)
    if stream is False:
        return
    table = "this table is a stream" if stream else "a query function of a pipeline reads no rows"
    raise OptionError(f"{table}, so its first row cannot say {what}: give {' or '.join(options)}")

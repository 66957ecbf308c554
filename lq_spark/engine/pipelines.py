"""What Spark refuses in the query functions of a declarative pipeline (``pyspark.pipelines``).

The functions say how tables are made of each other, before there are any: no job runs in them, and
a table is not analysed, so that Spark does not say which columns it has, or whether it is a stream.

On the server, Spark Connect resolves the tables below some methods at once: below ``withColumn``,
``drop``, ``to`` and others. Where a table is not there yet this fails; where an earlier run has
written it, the pipeline does not see that it is read, and reads it before it is made anew, or
while it is empty. What is done to a table in a pipeline is a ``select``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_REFUSED = "[ATTEMPT_ANALYSIS_IN_PIPELINE_QUERY_FUNCTION]"


def is_refused(error: PySparkException) -> bool:
    """Return whether an error is that of Spark for what it refuses in a query function."""
    return _REFUSED in str(error)


def is_stream(df: DataFrame) -> bool | None:
    """Return whether a table is a stream; None in a query function, where Spark does not say."""
    try:
        return df.select("*").isStreaming  # not what a client knows of the table itself from before
    except PySparkException as error:
        if not is_refused(error):
            raise
        return None

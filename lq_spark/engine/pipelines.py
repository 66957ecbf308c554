"""What Spark refuses in the query functions of a declarative pipeline (``pyspark.pipelines``).

The functions say how tables are made of each other, before there are any: no job runs in them, and
a table is not analysed, so that Spark does not say which columns it has, or whether it is a stream.

On the server, Spark Connect resolves the tables below some methods at once: below ``withColumn``,
``drop``, ``to`` and others. Where a table is not there yet this fails; where an earlier run has
written it, the pipeline does not see that it is read, and reads it before it is made anew, or
while it is empty. What is done to a table in a pipeline is a ``select``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pyspark.errors import PySparkException
from pyspark.sql.types import StructType

from lq_spark.errors import ColumnError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_REFUSED = "[ATTEMPT_ANALYSIS_IN_PIPELINE_QUERY_FUNCTION]"

_SCHEMAS: WeakKeyDictionary[DataFrame, StructType] = WeakKeyDictionary()


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


def with_schema(df: DataFrame, schema: StructType) -> DataFrame:
    """Return the table, whose schema is known without asking Spark."""
    _SCHEMAS[df] = schema
    return df


def with_added_schema(
    made: DataFrame, df: DataFrame, kept: Iterable[str], added: StructType
) -> None:
    """Make the schema of a table known if that of another one is, of which it has some columns."""
    known = _SCHEMAS.get(df)
    if known is not None:
        with_schema(made, StructType([*(known[name] for name in kept), *added.fields]))


def schema_of(df: DataFrame) -> StructType:
    """Return the schema of a table.

    Raises
    ------
    ColumnError
        If it is not known, and Spark may not be asked.
    """
    known = _SCHEMAS.get(df)
    if known is not None:
        return known
    try:
        return df.schema
    except PySparkException as error:
        if not is_refused(error):
            raise
        raise ColumnError(
            "a query function of a pipeline cannot ask which columns a table has: say it by "
            "lq_spark.declared(df, schema), of a schema that is made outside the function"
        ) from error

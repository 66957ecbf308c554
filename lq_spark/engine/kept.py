"""Rows that several passes read: made once, not once a pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lq_spark.engine.kinds import is_sail

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@contextmanager
def kept(df: DataFrame) -> Iterator[DataFrame]:
    """Give the rows of a table, kept where they are made until the context ends.

    Spark persists them. Sail has no such thing: there they are a file of this machine.
    """
    if is_sail(df.sparkSession):
        with TemporaryDirectory(prefix="lq_spark_") as folder:
            yield written(df, f"file://{folder}/rows")
        return
    rows = df.persist()
    try:
        yield rows
    finally:
        rows.unpersist()


def written(df: DataFrame, uri: str, *partition_by: str) -> DataFrame:
    """Write rows to a Parquet folder, and return them read from there."""
    df.write.mode("overwrite").partitionBy(*partition_by).parquet(uri)
    # The schema told: that of partition columns would be guessed from the folders' names.
    return df.sparkSession.read.schema(df.schema).parquet(uri)

"""Ranks over a whole table without sorting it in one task."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from lq_spark.engine.select import one_zero
from lq_spark.engine.small_tables import small_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

N_BUCKETS = 8192


def ranked(rows: DataFrame, *, share: str = "value") -> DataFrame:
    """Return the rows with ``rank``: 1 for the lowest value, of equal ones for the lowest key.

    Reads the rows once now, to count them in buckets, and once in the result.

    Parameters
    ----------
    rows : DataFrame
        Columns ``value`` (double, no NaN) and ``key`` (any type that can be ordered, different in
        every row), and any others.
    share : str
        A column from 0 to 1 that does not decrease as the value increases.
    """
    # A higher value is never in a lower bucket; buckets are finer near 0, where suspect rows are.
    fine = F.pow(F.greatest(F.col(share), F.lit(0.0)), F.lit(1.0 / 16.0))
    rows = rows.withColumn("value", one_zero("value"))
    bucketed = rows.withColumn("__bucket", F.floor(fine * F.lit(float(N_BUCKETS))))
    # Ordered here: the engine would take two more jobs to sort the few buckets.
    counts = sorted(map(tuple, bucketed.groupBy("__bucket").count().collect()))
    before = itertools.accumulate((count for _, count in counts), initial=0)
    offsets = [(bucket, n) for (bucket, _), n in zip(counts, before, strict=False)]
    schema = StructType([StructField(name, LongType()) for name in ("__bucket", "__before")])
    table = small_table(rows.sparkSession, offsets, schema)
    place = F.row_number().over(Window.partitionBy("__bucket").orderBy("value", "key"))
    return (
        bucketed.join(table.hint("broadcast"), "__bucket")
        .withColumn("rank", F.col("__before") + place)
        .drop("__bucket", "__before")
    )

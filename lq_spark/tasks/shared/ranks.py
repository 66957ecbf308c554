"""The ranks of label issues: 1 for the worst."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.engine.inputs import column
from lq_spark.engine.rank import ranked
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def with_issue_rank(df: DataFrame, key: str, value: Column | None = None) -> DataFrame:
    """Return a table of label issues with ``issue_rank``: by label quality, ties by key.

    Reads the table once now, and once more in the result.

    Parameters
    ----------
    df : DataFrame
    key : str
        Column that tells the rows apart.
    value : Column, optional
        What the issues are ordered by instead, lowest first, where label quality does not tell all
        apart; never lower for a higher label quality.
    """
    quality = F.col(LABEL_QUALITY)
    issues = df.where(F.col(IS_LABEL_ISSUE)).select(
        (quality if value is None else value).alias("value"),
        column(key).alias("key"),
        quality.alias("share"),
    )
    ranks = ranked(issues, share="share").select(
        F.col("key").alias("__lq_key"), F.col("rank").alias(ISSUE_RANK)
    )
    return df.join(ranks, column(key) == F.col("__lq_key"), "left").drop("__lq_key")

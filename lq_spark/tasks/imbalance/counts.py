"""What the rows of each class make of the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.imbalance.classes import Imbalance
from lq_spark.tasks.shared.class_counts import Labels

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

IS_ISSUE, SCORE = "is_class_imbalance_issue", "class_imbalance_score"


def with_imbalance(df: DataFrame, labels: Labels, found: Imbalance | None) -> DataFrame:
    """Return a table with IS_ISSUE and SCORE, null where a label is no class. Lazy."""
    if found is None:
        flag, score = F.lit(None).cast("boolean"), F.lit(None).cast("double")
        return df.withColumns({IS_ISSUE: flag, SCORE: score})
    is_class, is_rarest = labels.reason.isNull(), labels.index == found.rarest
    flag = F.when(is_class, is_rarest & F.lit(found.is_issue))
    score = F.when(is_class, F.when(is_rarest, F.lit(found.score)).otherwise(F.lit(1.0)))
    return df.withColumns({IS_ISSUE: flag, SCORE: score})

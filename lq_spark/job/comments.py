"""What the columns of the outputs are, for whoever looks at the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lq_spark.engine.readings import partial_reading_of, with_reading
from lq_spark.tasks.shared.names import (
    INVALID_REASON,
    IS_LABEL_ISSUE,
    ISSUE_RANK,
    LABEL_QUALITY,
    PREDICTED_LABEL,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COMMON = {
    LABEL_QUALITY: "How likely the given label is right: 1 clean, 0 suspect",
    PREDICTED_LABEL: "Class of the highest predicted probability, or the predicted number",
    IS_LABEL_ISSUE: "Whether the given label is probably wrong",
    ISSUE_RANK: "Place among the label issues, 1 the worst; null where there is none",
    INVALID_REASON: "Why the row cannot be scored",
}
"""The columns that several tasks add; a task comments on those of its own."""


def commented(df: DataFrame, comments: Mapping[str, str]) -> DataFrame:
    """Return the rows with comments at the columns that the package adds."""
    reading = partial_reading_of(df)
    for name, comment in {**COMMON, **comments}.items():
        if name in df.columns:
            df = df.withMetadata(name, {"comment": comment})
    return with_reading(df, reading)

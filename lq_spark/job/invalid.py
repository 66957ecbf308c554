"""What is said of the rows that cannot be scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.engine.inputs import column
from lq_spark.tasks.labelled import INVALID_REASON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame

N_EXAMPLES = 5


def count_reasons(checked: DataFrame) -> dict[str, int]:
    """Return how many rows there are for each reason, most first; fit rows have None."""
    counts = checked.groupBy(INVALID_REASON).count().collect()  # a dozen reasons at most
    ordered = sorted(counts, key=lambda row: (-row["count"], row[INVALID_REASON] or ""))
    return {row[INVALID_REASON]: row["count"] for row in ordered}


def reasons_text(invalid: DataFrame, id: str, reasons: Mapping[str, int]) -> str:
    """Return each reason with its number of rows and the lowest few of their ids."""
    parts = []
    for reason, count in reasons.items():
        rows = invalid.where(F.col(INVALID_REASON) == reason).select(column(id)).distinct()
        ids = [str(row[0]) for row in rows.orderBy(column(id)).limit(N_EXAMPLES + 1).collect()]
        more = ", …" if len(ids) > N_EXAMPLES else ""
        parts.append(f"{reason}: {count} ({id} {', '.join(ids[:N_EXAMPLES])}{more})")
    return "; ".join(parts)

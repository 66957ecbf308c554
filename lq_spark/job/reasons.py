"""Which rows cannot be scored, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lq_spark.engine.inputs import column
from lq_spark.tasks.shared.names import INVALID_REASON, NO_CLASS
from lq_spark.tasks.shared.reasons import N_EXAMPLES, shown_label, without_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame


def count_reasons(invalid: DataFrame) -> dict[str, int]:
    """Return how many rows there are for each reason, most first.

    Labels that reasons show are left out.
    """
    kind = without_label(column(INVALID_REASON)).alias(INVALID_REASON)
    counts = invalid.groupBy(kind).count().collect()  # a dozen reasons at most
    ordered = sorted(counts, key=lambda row: (-row["count"], row[INVALID_REASON]))
    return {row[INVALID_REASON]: row["count"] for row in ordered}


def reasons_text(invalid: DataFrame, id: str, reasons: Mapping[str, int]) -> str:
    """Return each reason with its number of rows, and a few of their labels and ids."""
    parts = []
    for reason, count in reasons.items():
        rows = invalid.where(without_label(column(INVALID_REASON)) == reason)
        shown = f"{id} {_few(rows, column(id))}"
        if reason.endswith(NO_CLASS):
            labels = _few(rows, shown_label(column(INVALID_REASON)))
            shown = f"{labels}; {shown}"
        parts.append(f"{reason}: {count} ({shown})")
    return "; ".join(parts)


def _few(rows: DataFrame, value: Column) -> str:
    """Return the lowest few different values, as text."""
    found = rows.select(value.alias("value")).distinct().orderBy("value")
    values = [str(row[0]) for row in found.limit(N_EXAMPLES + 1).collect()]
    return ", ".join(values[:N_EXAMPLES]) + (", …" if len(values) > N_EXAMPLES else "")

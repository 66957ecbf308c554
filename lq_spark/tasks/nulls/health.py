"""How many values of a table are missing, where, and which together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.shared.display import N_SHOWN, Displayed, SmallTable
from lq_spark.engine.inputs import column, require_key
from lq_spark.tasks.nulls.columns import is_null, looked_at, n_there
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, repr=False)
class NullHealth(Displayed):
    """How many values of a table are missing.

    Attributes
    ----------
    n_rows, n_issues : int
        All rows, and those without any value.
    score : float or None
        The share of the values that are there, which is the mean score: 1 all, 0 none; None without
        rows.
    column_nulls : dict of str to int
        How many values of each column are null, in the order of the columns.
    pattern : tuple of str
        The columns that are null together in most rows; of equally common ones, in the row of
        lowest id. None where no value is null.
    pattern_rows : int
        In how many rows these, and no others, are null.
    """

    n_rows: int
    n_issues: int
    score: float | None
    column_nulls: dict[str, int]
    pattern: tuple[str, ...]
    pattern_rows: int

    @property
    def column_shares(self) -> dict[str, float | None]:
        """Return the share of each column's values that is null; None without rows."""
        n_rows = self.n_rows
        return {name: n / n_rows if n_rows else None for name, n in self.column_nulls.items()}

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "columns": len(self.column_nulls),
            "rows without values": self.n_issues,
            "share of values there": self.score,
        }

    def _tables(self) -> list[SmallTable]:
        most = sorted(self.column_nulls, key=lambda name: -self.column_nulls[name])[:N_SHOWN]
        columns: dict[str, list[Any]] = {
            "column": most,
            "nulls": [self.column_nulls[name] for name in most],
            "share": [self.column_shares[name] for name in most],
        }
        return [SmallTable("most nulls", columns, {"share": 1.0})]


def summarize(df: DataFrame, *, id: str = "id", columns: Sequence[str] | None = None) -> NullHealth:
    """Return how many values are null, in which columns, and which of them most often together.

    Parameters
    ----------
    df, columns
        As for :func:`find_issues`.
    id : str
        Column that tells the rows apart, which is not looked at.

    Raises
    ------
    ColumnError, OptionError
        As :func:`find_issues`.
    """
    refuse_stream(df, "nulls.summarize")
    require_key(df, "id", id)
    return null_health(df, id, looked_at(df, id, columns))


def null_health(df: DataFrame, id: str, names: Sequence[str]) -> NullHealth:
    """Return it of some columns, in two passes over them."""
    nulls = [is_null(df, name) for name in names]
    counts = [F.count_if(null) for null in nulls]
    [total] = df.agg(F.count(F.lit(1)), F.count_if(n_there(df, names) == 0), *counts).collect()
    n_rows, n_issues, *by_column = total
    score = 1.0 - sum(by_column) / (n_rows * len(names)) if n_rows else None
    column_nulls = dict(zip(names, by_column, strict=True))
    if not any(by_column):
        return NullHealth(n_rows, n_issues, score, column_nulls, (), 0)
    # A letter a column: patterns are counted where the rows are, and the first alone is fetched.
    pattern = F.concat(*(null.cast("int").cast("string") for null in nulls)).alias("pattern")
    rows = df.select(pattern, column(id).alias("id")).where(F.col("pattern").contains("1"))
    counted = rows.groupBy("pattern").agg(F.count(F.lit(1)).alias("n"), F.min("id").alias("first"))
    [most] = counted.orderBy(F.col("n").desc(), "first").limit(1).collect()
    letters = zip(names, most["pattern"], strict=True)
    together = tuple(name for name, letter in letters if letter == "1")
    return NullHealth(n_rows, n_issues, score, column_nulls, together, most["n"])

"""A table of scores and issues in short, whatever its rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import functions as F

from lq_spark.core.shared.exact import SCALE_BITS, exact_mean
from lq_spark.engine.inputs import column
from lq_spark.engine.sums import scaled_halves
from lq_spark.tasks.multiclass.flags import IS_LABEL_ISSUE
from lq_spark.tasks.shared.table import LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

N_WORST = 10


class InShort(NamedTuple):
    """How many rows there are, with a label issue, and which score lowest.

    Attributes
    ----------
    n_rows, n_issues : int
    mean : float or None
        Mean label quality, the same in any partitions; None without rows.
    worst : list of tuple
        What was asked for of the rows of lowest label quality, ties by id.
    """

    n_rows: int
    n_issues: int
    mean: float | None
    worst: list[tuple[Any, ...]]


def in_short(scores: DataFrame, id: str, *shown: Column | str) -> InShort:
    """Return a table of scores in short; ``shown`` are the columns told of its lowest rows."""
    quality = F.col(LABEL_QUALITY)
    high, low = scaled_halves(quality, SCALE_BITS)
    [(n, n_issues, high_sum, low_sum)] = scores.agg(
        F.count(F.lit(1)), F.count_if(IS_LABEL_ISSUE), F.sum(high), F.sum(low)
    ).collect()
    worst = scores.orderBy(quality, column(id)).limit(N_WORST).select(*shown).collect()
    mean = exact_mean(high_sum, low_sum, n) if n else None
    return InShort(n, n_issues, mean, [tuple(row) for row in worst])

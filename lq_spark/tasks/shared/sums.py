"""Sums of the scores of a table, made as its rows are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from lq_spark.core.shared.exact import exact_mean, scaled_halves
from lq_spark.engine.numbers import values_of
from lq_spark.engine.readings import column_input
from lq_spark.engine.reductions import Reduction, reduce_all
from lq_spark.engine.verbs import select

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class ScoreSums(NamedTuple):
    """How many rows have a score, its exact sum, how many are issues.

    Attributes
    ----------
    n, high, low : int
        The sum in halves of :mod:`lq_spark.core.shared.exact`.
    n_issues : int
    """

    n: int = 0
    high: int = 0
    low: int = 0
    n_issues: int = 0

    @property
    def mean(self) -> float | None:
        """Return the mean score, the same in any partitions; None without rows."""
        return exact_mean(self.high, self.low, self.n) if self.n else None


def score_sums(quality: str, flag: str | None = None) -> Reduction[ScoreSums]:
    """Return what sums up the scores and, if a column flags them, the issues."""
    columns = [quality] if flag is None else [quality, flag]
    inputs = dict(zip(("quality", "issue"), map(column_input, columns), strict=False))
    return Reduction(inputs, _sums, _both)


def summed_scores(df: DataFrame, quality: str, flag: str) -> ScoreSums:
    """Return the sums of a table, from one pass over these two columns."""
    states = reduce_all(select(df, quality, flag), {"scores": score_sums(quality, flag)})
    return states["scores"] or ScoreSums()


def _sums(batch: pa.RecordBatch) -> ScoreSums:
    quality, *issue = scored_rows(batch).columns
    high, low = (int(half.sum()) for half in scaled_halves(values_of(quality)))
    return ScoreSums(len(quality), high, low, *(flags.true_count for flags in issue))


def _both(a: ScoreSums, b: ScoreSums) -> ScoreSums:
    return ScoreSums(*(x + y for x, y in zip(a, b, strict=True)))


def scored_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows that could be scored: where one could not, what is found is not used."""
    quality = batch.column("quality")
    return batch.filter(quality.is_valid()) if quality.null_count else batch

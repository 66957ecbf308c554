"""How the scores of a table lie between 0 and 1, in bins of equal width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lq_spark.engine.numbers import values_of
from lq_spark.engine.readings import column_input
from lq_spark.engine.reductions import Reduction, reduce_all
from lq_spark.engine.verbs import select
from lq_spark.report.parts import Histogram
from lq_spark.tasks.shared.sums import scored_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

N_BINS = 40

Counts = NDArray[np.int64]
"""Shape (2, N_BINS): rows that are no issues, rows that are."""


def binned_scores(score: str, flag: str | None = None) -> Reduction[Counts]:
    """Return what counts rows by their scores and, if a column flags them, the issues apart."""
    columns = {"quality": score} | ({} if flag is None else {"issue": flag})
    inputs = {name: column_input(of) for name, of in columns.items()}
    return Reduction(inputs, _binned, np.add)


def score_histograms(
    df: DataFrame, scores: Mapping[str, tuple[str, str | None]]
) -> list[Histogram]:
    """Return how scores lie, from one pass over their columns.

    Parameters
    ----------
    df : DataFrame
    scores : mapping of str to (str, str or None)
        What the scores are -> their column, and the one that flags issues.
    """
    columns = dict.fromkeys(name for pair in scores.values() for name in pair if name)
    reductions = {name: binned_scores(*pair) for name, pair in scores.items()}
    states = reduce_all(select(df, *columns), reductions)
    return [histogram_of(name, states[name], scores[name][1]) for name in scores]


def histogram_of(name: str, counts: Counts | None, flag: str | None) -> Histogram:
    """Return the chart of what :func:`binned_scores` has counted; None stands for no rows."""
    if counts is None:
        counts = np.zeros((2, N_BINS), dtype=np.int64)
    kinds = {"other rows": counts[0], "issues": counts[1]} if flag else {"rows": counts[0]}
    kinds = {kind: of_kind for kind, of_kind in kinds.items() if kind != "issues" or of_kind.any()}
    return Histogram(
        name.replace("_", " "), {kind: of_kind.tolist() for kind, of_kind in kinds.items()}
    )


def _binned(batch: pa.RecordBatch) -> Counts:
    scored = scored_rows(batch)
    places = np.floor(values_of(scored["quality"]) * N_BINS).clip(0, N_BINS - 1).astype(np.int64)
    is_issue = np.zeros(len(places), dtype=np.int64)
    if "issue" in scored.schema.names:
        is_issue = values_of(pc.fill_null(scored["issue"], False)).astype(np.int64)
    counts = np.bincount(is_issue * N_BINS + places, minlength=2 * N_BINS)
    return counts.reshape(2, N_BINS)

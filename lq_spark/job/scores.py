"""A table of scores in short: how many rows, their exact means, the lowest ones."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F

from lq_spark.core.shared.exact import SCALE_BITS, exact_mean
from lq_spark.core.shared.exact import scaled_halves as scaled_halves_of
from lq_spark.engine.inputs import column
from lq_spark.engine.sums import scaled_halves
from lq_spark.engine.verbs import reduce_rows, select
from lq_spark.job.summary import ClassQuality
from lq_spark.tasks.shared.labels import class_name, comparable
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, LABEL_QUALITY, PREDICTED_LABEL

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row

N_LOWEST = 10


def sums(value: Column, name: str = "score") -> list[Column]:
    """Return the number and the exact sum of values, as columns that begin with a name."""
    high, low = scaled_halves(value, SCALE_BITS)
    parts = {"n": F.count(value), "high": F.sum(high), "low": F.sum(low)}
    return [part.alias(f"{name}_{end}") for end, part in parts.items()]


def mean(rows: Sequence[Row], name: str = "score") -> float | None:
    """Return the mean of the values that rows have sums of, the same in any partitions."""
    n, high, low = (sum(row[f"{name}_{end}"] or 0 for row in rows) for end in ("n", "high", "low"))
    return exact_mean(high, low, n) if n else None


def lowest(
    rows: DataFrame, key: str, shown: Sequence[Any], *order: Column | str
) -> list[tuple[Any, ...]]:
    """Return what is to be shown of the first few rows in an order, ties by the key."""
    found = rows.orderBy(*order, column(key)).limit(N_LOWEST).select(*shown)
    return [tuple(row) for row in found.collect()]


class Scores(NamedTuple):
    """How many rows have a label issue, and which score lowest.

    Attributes
    ----------
    n_rows, n_issues : int
    mean : float or None
        Mean label quality; None without rows.
    worst : list of tuple
        What is to be shown of the rows of lowest label quality, ties by id.
    """

    n_rows: int
    n_issues: int
    mean: float | None
    worst: list[tuple[Any, ...]]


def scores_of(output: DataFrame, id: str, *shown: Column | str) -> Scores:
    """Return a table of scores and issues in short; ``shown`` is kept of its lowest rows."""
    quality = F.col(LABEL_QUALITY)
    [row] = output.agg(F.count_if(IS_LABEL_ISSUE).alias("issues"), *sums(quality)).collect()
    worst = lowest(output, id, [column(id), *shown], quality)
    return Scores(row["score_n"], row["issues"], mean([row]), worst)


def scores_of_classes(
    scores: DataFrame,
    label: str,
    classes: Sequence[str] | None,
    n_classes: int | None,
    *,
    sought: bool,
) -> tuple[list[ClassQuality], float | None]:
    """Return the scores by given class, in the order of the classes, and the mean of all.

    Where K is known, with the classes that no row is given; ``sought`` says whether issues were.
    """
    columns = [label, PREDICTED_LABEL, LABEL_QUALITY, *[IS_LABEL_ISSUE] * sought]
    count = functools.partial(_sums_of_classes, classes=classes)
    groups = reduce_rows(select(scores, *columns), count, _added) or {}
    found = {}
    for value in sorted(groups):
        n, high, low, otherwise, issues = groups[value].tolist()
        name = class_name(value, classes)
        mean_quality = exact_mean(high, low, n) if n else None
        found[name] = ClassQuality(name, n, mean_quality, otherwise, issues if sought else None)
    n, high, low, *_ = sum(groups.values(), np.zeros(_N_SUMS, dtype=np.int64)).tolist()
    names = list(found) if n_classes is None else list(map(str, classes or range(n_classes)))
    without = (0, None, 0, 0 if sought else None)
    of_classes = [found.get(name) or ClassQuality(name, *without) for name in names]
    return of_classes, exact_mean(high, low, n) if n else None


_N_SUMS = 5
"""Of a class: rows, the halves of the sum of their scores, rows predicted otherwise, issues."""


def _sums_of_classes(
    batch: pa.RecordBatch, classes: Sequence[str] | None
) -> dict[Any, NDArray[np.int64]]:
    labels, predicted, quality, *issues = batch.columns
    given = comparable(labels, classes)
    encoded = given.dictionary_encode()
    otherwise = pc.not_equal(given, comparable(predicted, classes))
    counted = (
        np.ones(batch.num_rows),
        *scaled_halves_of(quality.to_numpy(zero_copy_only=False)),
        *(flags.to_numpy(zero_copy_only=False) for flags in (otherwise, *issues)),
    )
    sums = np.zeros((len(encoded.dictionary), _N_SUMS), dtype=np.int64)
    for place, weights in enumerate(counted):
        # In float64, and exact: a batch has fewer than 2^21 rows.
        sums[:, place] = np.bincount(encoded.indices, weights, len(sums))
    return dict(zip(encoded.dictionary.to_pylist(), sums, strict=True))


def _added(
    a: dict[Any, NDArray[np.int64]], b: dict[Any, NDArray[np.int64]]
) -> dict[Any, NDArray[np.int64]]:
    none = np.zeros(_N_SUMS, dtype=np.int64)
    return {value: a.get(value, none) + b.get(value, none) for value in a | b}

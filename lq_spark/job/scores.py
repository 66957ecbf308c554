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
from pyspark.sql.types import DateType, DecimalType, IntegralType, StringType

from lq_spark.core.shared.exact import SCALE_BITS, exact_mean
from lq_spark.core.shared.exact import scaled_halves as scaled_halves_of
from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.readings import column_input
from lq_spark.engine.sums import scaled_halves
from lq_spark.engine.verbs import reduce_rows, select_inputs
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


class ClassScores(NamedTuple):
    """The scores of a table by given class, and its lowest.

    Attributes
    ----------
    classes : list of ClassQuality
        In the order of the classes; where K is known, with those that no row is given.
    mean : float or None
        Mean label quality of all rows; None without rows.
    worst : list of tuple
        (key, label, predicted label, label quality) of the lowest scores, ties by key; empty where
        no key is named.
    """

    classes: list[ClassQuality]
    mean: float | None
    worst: list[tuple[Any, ...]]


def scores_of_classes(
    scores: DataFrame,
    label: str,
    classes: Sequence[str] | None,
    n_classes: int | None,
    *,
    sought: bool,
    key: str | None = None,
) -> ClassScores:
    """Return the scores of a table by given class, and its lowest, from one pass.

    ``sought`` says whether issues were.
    """
    with_key = key is not None and isinstance(column_type(scores, key), _SORTED_KEYS)
    columns = {"label": label, "predicted": PREDICTED_LABEL, "quality": LABEL_QUALITY}
    columns |= {"issue": IS_LABEL_ISSUE} if sought else {}
    columns |= {"key": str(key)} if with_key else {}
    # Under our names: Sail finds no column with a dot in its name for a Python function.
    read = select_inputs(scores, **{name: column_input(of) for name, of in columns.items()})
    count = functools.partial(_class_sums, classes=classes, with_key=with_key)
    found = reduce_rows(read, count, _added)
    groups, lowest_rows = found or ({}, None)
    by_name = {}
    for value in sorted(groups):
        n, high, low, otherwise, issues = groups[value].tolist()
        name = class_name(value, classes)
        of_class = exact_mean(high, low, n) if n else None
        by_name[name] = ClassQuality(name, n, of_class, otherwise, issues if sought else None)
    n, high, low, *_ = sum(groups.values(), np.zeros(_N_SUMS, dtype=np.int64)).tolist()
    names = list(by_name) if n_classes is None else list(map(str, classes or range(n_classes)))
    without = (0, None, 0, 0 if sought else None)
    worst = []
    if lowest_rows is not None:
        worst = list(zip(*(values.to_pylist() for values in lowest_rows.columns), strict=True))
    elif key is not None:
        shown = [column(key), column(label), PREDICTED_LABEL, LABEL_QUALITY]
        worst = lowest(scores, key, shown, LABEL_QUALITY)
    return ClassScores(
        [by_name.get(name) or ClassQuality(name, *without) for name in names],
        exact_mean(high, low, n) if n else None,
        worst,
    )


_SORTED_KEYS = (IntegralType, StringType, DateType, DecimalType)
"""Types whose values Arrow orders, and gives to Python, as Spark does."""

_Found = tuple[dict[Any, NDArray[np.int64]], pa.Table | None]
"""The sums of each class, and the lowest rows."""


_N_SUMS = 5
"""Of a class: rows, the halves of the sum of their scores, rows predicted otherwise, issues."""


def _class_sums(batch: pa.RecordBatch, classes: Sequence[str] | None, *, with_key: bool) -> _Found:
    labels, predicted, quality, *others = batch.columns
    keys, issues = (others[-1:], others[:-1]) if with_key else ([], others)
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
    of_classes = dict(zip(encoded.dictionary.to_pylist(), sums, strict=True))
    if not with_key:
        return of_classes, None
    table = pa.table([*keys, labels, predicted, quality], ["key", "label", "predicted", "quality"])
    return of_classes, _lowest_rows(table)


def _lowest_rows(table: pa.Table) -> pa.Table:
    quality = table["quality"].to_numpy() + 0.0  # one zero
    if len(table) > N_LOWEST:
        cut = np.partition(quality, N_LOWEST - 1)[N_LOWEST - 1]
        table = table.filter(pa.array(quality <= cut))
    order = [("quality", "ascending"), ("key", "ascending")]
    return table.sort_by(order).slice(0, N_LOWEST)


def _added(a: _Found, b: _Found) -> _Found:
    none = np.zeros(_N_SUMS, dtype=np.int64)
    sums = {value: a[0].get(value, none) + b[0].get(value, none) for value in a[0] | b[0]}
    if a[1] is None or b[1] is None:
        return sums, None
    return sums, _lowest_rows(pa.concat_tables([a[1], b[1]]))

"""A table of scores in short: how many rows, their exact means, the lowest ones.

They are sums over the rows of an output, made as these are written: see
:mod:`lq_spark.engine.reductions`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
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
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import Input, column_input
from lq_spark.engine.reductions import Reduced, Reduction, Reductions
from lq_spark.engine.sums import scaled_halves
from lq_spark.job.summary import ClassQuality
from lq_spark.tasks.shared.labels import class_name, comparable
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.sums import scored_rows

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


@dataclass(frozen=True)
class Lowest:
    """The rows of lowest scores in a table, ties by its key.

    Attributes
    ----------
    key : str
    quality : str
    shown : tuple of Input
        What is to be shown of them.
    apart : tuple of Input
        Two numbers: of rows of one score those where they lie furthest apart come first.
    """

    key: str
    quality: str
    shown: tuple[Input, ...]
    apart: tuple[Input, ...] = ()

    def reductions(self, source: DataFrame) -> Reductions:
        """Return what finds them; nothing where only the engine orders such keys."""
        kind = column_type(source, self.key)
        if not isinstance(kind, _SORTED_KEYS) or "collate" in kind.simpleString():
            return {}
        inputs = {"quality": column_input(self.quality), "key": column_input(self.key)}
        inputs |= {f"shown_{place}": made for place, made in enumerate(self.shown)}
        inputs |= dict(zip(_APART, self.apart, strict=False))
        return {_LOWEST: Reduction(inputs, _lowest_rows, _lowest_of_both)}

    def of(self, found: Reduced) -> list[tuple[Any, ...]]:
        """Return what is to be shown of the lowest rows of a table, the lowest first."""
        if _LOWEST not in found.states:
            shown = [made.column for made in self.shown]
            order = [F.col(self.quality)]
            if self.apart:
                a, b = (made.column for made in self.apart)
                order.append(F.abs(a - b).desc())
            return lowest(found.rows, self.key, shown, *order)
        rows: pa.Table | None = found.states[_LOWEST]
        if rows is None:
            return []
        shown = [rows[f"shown_{place}"].to_pylist() for place in range(len(self.shown))]
        return list(zip(*shown, strict=True))


_LOWEST = "lowest"
_APART = ("apart_a", "apart_b")

_SORTED_KEYS = (IntegralType, StringType, DateType, DecimalType)
"""Types whose values Arrow orders, and gives to Python, as Spark does."""


def _lowest_rows(batch: pa.RecordBatch) -> pa.Table:
    return _lowest_of(pa.Table.from_batches([scored_rows(batch)]))


def _lowest_of_both(a: pa.Table, b: pa.Table) -> pa.Table:
    return _lowest_of(pa.concat_tables([a, b]))


def _lowest_of(table: pa.Table) -> pa.Table:
    by, numbers = {"quality": "ascending"}, [values_of(table["quality"]) + 0.0]  # one zero
    if _APART[0] in table.column_names:
        away = pc.abs(pc.subtract(*(table[name] for name in _APART)))
        table = table.append_column("away", away)
        by["away"] = "descending"
        numbers.append(-values_of(away))
    by["key"] = "ascending"
    if pa.types.is_integer(table["key"].type):
        numbers.append(values_of(table["key"]))
    if len(table) > N_LOWEST:
        table = table.filter(array_of(_may_be_lowest(numbers)))
    order = pc.sort_indices(table, list(by.items()))
    table = table.take(order[:N_LOWEST])  # a slice would take along what it is cut from
    return table.drop_columns(["away"]) if "away" in by else table


def _may_be_lowest(numbers: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Return which rows may be lowest in the order of these numbers and then others: a few.

    Without it many rows of one score would be sorted by all that comes after.
    """
    found, n, tied = np.zeros(len(numbers[0]), dtype=bool), N_LOWEST, np.arange(len(numbers[0]))
    for of_rows in numbers:
        if len(tied) <= n:
            break
        values = of_rows[tied]
        cut = np.partition(values, n - 1)[n - 1]
        below = tied[values < cut]
        found[below] = True
        n, tied = n - len(below), tied[values == cut]
    found[tied] = True
    return found


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


class ClassScores(NamedTuple):
    """The scores of a table by given class.

    Attributes
    ----------
    classes : list of ClassQuality
        In the order of the classes; where K is known, with those that no row is given.
    mean : float or None
        Mean label quality of all rows; None without rows.
    """

    classes: list[ClassQuality]
    mean: float | None


def class_sums(
    label: str, classes: Sequence[str] | None, *, sought: bool
) -> Reduction[dict[Any, NDArray[np.int64]]]:
    """Return what sums up the scores by given class, and the issues if they were sought."""
    columns = {"label": label, "predicted": PREDICTED_LABEL, "quality": LABEL_QUALITY}
    columns |= {"issue": IS_LABEL_ISSUE} if sought else {}
    inputs = {name: column_input(of) for name, of in columns.items()}
    return Reduction(inputs, functools.partial(_class_sums, classes=classes), _sums_of_both)


def class_scores(
    sums: dict[Any, NDArray[np.int64]] | None,
    classes: Sequence[str] | None,
    n_classes: int | None,
    *,
    sought: bool,
) -> ClassScores:
    """Return the scores by given class, from their sums."""
    sums, by_name = sums or {}, {}
    for value in sorted(sums):
        n, high, low, otherwise, issues = sums[value].tolist()
        name = class_name(value, classes)
        mean = exact_mean(high, low, n) if n else None
        by_name[name] = ClassQuality(name, n, mean, otherwise, issues if sought else None)
    n, high, low, *_ = sum(sums.values(), np.zeros(_N_SUMS, dtype=np.int64)).tolist()
    names = list(by_name) if n_classes is None else list(map(str, classes or range(n_classes)))
    without = (0, None, 0, 0 if sought else None)
    return ClassScores(
        [by_name.get(name) or ClassQuality(name, *without) for name in names],
        exact_mean(high, low, n) if n else None,
    )


_N_SUMS = 5
"""Of a class: rows, the halves of the sum of their scores, rows predicted otherwise, issues."""


def _class_sums(
    batch: pa.RecordBatch, classes: Sequence[str] | None
) -> dict[Any, NDArray[np.int64]]:
    labels, predicted, quality, *issues = scored_rows(batch).columns
    given = comparable(labels, classes)
    encoded = given.dictionary_encode()
    otherwise = pc.not_equal(given, comparable(predicted, classes))
    counted = (
        np.ones(len(labels)),
        *scaled_halves_of(values_of(quality)),
        *map(values_of, (otherwise, *issues)),
    )
    sums = np.zeros((len(encoded.dictionary), _N_SUMS), dtype=np.int64)
    for place, weights in enumerate(counted):
        # In float64, and exact: a batch has fewer than 2^21 rows.
        sums[:, place] = np.bincount(values_of(encoded.indices), weights, len(sums))
    return dict(zip(encoded.dictionary.to_pylist(), sums, strict=True))


def _sums_of_both(
    a: dict[Any, NDArray[np.int64]], b: dict[Any, NDArray[np.int64]]
) -> dict[Any, NDArray[np.int64]]:
    none = np.zeros(_N_SUMS, dtype=np.int64)
    return {value: a.get(value, none) + b.get(value, none) for value in a | b}

"""A table of scores in short: how many rows, their exact means, the lowest ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import functions as F

from lq_spark.core.shared.exact import SCALE_BITS, exact_mean
from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.sums import scaled_halves
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
    scores: DataFrame, label: str, classes: Sequence[str] | None, n_classes: int | None
) -> tuple[list[ClassQuality], float | None]:
    """Return the scores by given class, in the order of the classes, and the mean of all.

    Where K is known, with the classes that no row is given.
    """
    sought = IS_LABEL_ISSUE in scores.columns
    is_issue = F.col(IS_LABEL_ISSUE) if sought else F.lit(None).cast("boolean")
    kind = column_type(scores, label)
    given = comparable(column(label), kind, classes)
    predicted = comparable(column(PREDICTED_LABEL), kind, classes)
    groups = (
        scores.groupBy(given.alias("name"))
        .agg(
            *sums(column(LABEL_QUALITY)),
            F.count_if(given != predicted).alias("otherwise"),
            F.count_if(is_issue).alias("issues"),
        )
        .collect()
    )
    groups.sort(key=lambda group: group["name"])
    found = {}
    for group in groups:
        name, issues = class_name(group["name"], classes), group["issues"] if sought else None
        found[name] = ClassQuality(
            name, group["score_n"], mean([group]), group["otherwise"], issues
        )
    names = list(found) if n_classes is None else list(map(str, classes or range(n_classes)))
    without = (0, None, 0, 0 if sought else None)
    return [found.get(name) or ClassQuality(name, *without) for name in names], mean(groups)

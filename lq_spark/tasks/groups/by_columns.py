"""The slices of a table, by its columns, whose label quality is lower than that of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DateType,
    DecimalType,
    IntegralType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from lq_spark.core.groups.slices import ALPHA, MIN_ROWS, finish_group_tests
from lq_spark.core.groups.sums import GroupSums
from lq_spark.core.groups.tails import CORRECTIONS
from lq_spark.core.shared.exact import SCALE_BITS
from lq_spark.engine.inputs import column, column_type, columns_alone, require_number_column
from lq_spark.engine.kept import kept
from lq_spark.errors import (
    ColumnError,
    DataError,
    InvalidRowsError,
    require_number,
    require_one_of,
    require_whole_number,
)
from lq_spark.tasks import multiclass
from lq_spark.tasks.shared.columns import require_listed
from lq_spark.tasks.shared.names import LABEL_QUALITY
from lq_spark.tasks.shared.probabilities import PredProbs, probability_names
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column, DataFrame

_MOST_SLICES: Final = 100_000

_GROUPED = (
    *(BooleanType, IntegralType, StringType, DecimalType),
    *(DateType, TimestampType, TimestampNTZType),
)

_N, _SUM, _HIGH, _LOW = "__lq_n", "__lq_sum", "__lq_high", "__lq_low"
_WHOLE = "__lq_whole"


def slices(
    df: DataFrame,
    *,
    by: Sequence[str],
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    label_quality: str | None = None,
    max_columns: int = 2,
    alpha: float = ALPHA,
    correction: str = "holm",
    min_rows: int = MIN_ROWS,
) -> pd.DataFrame:
    """Return the slices of a table, by some columns, and where label quality is lower than beside.

    A slice is the rows of one value of a column, or of several columns together; null is a value.
    Each is compared with all other rows by Welch's test, on sums that are exact: nothing depends on
    how the table is partitioned. Computed now.

    Parameters
    ----------
    df : DataFrame
    by : sequence of str
        The columns: of whole numbers, decimals, booleans, texts, dates or timestamps.
    label, pred_probs, classes, n_classes
        As for :func:`lq_spark.multiclass.score`, whose self-confidence is the label quality.
    label_quality : str, optional
        Or a column of label quality, 0 suspect to 1 clean, as any ``score`` of this package adds
        it.
    max_columns : int
        Of how many columns a slice has values, at most.
    alpha : float
        From 0 to 1: a slice is worse if its adjusted p-value is below.
    correction : {"holm", "benjamini_hochberg"}
        What alpha bounds, over all slices: the probability that any is wrongly called worse, or the
        share of those called worse that are expected to be wrongly so.
    min_rows : int
        Slices of fewer rows are not compared, nor those that leave fewer; at least 2.

    Returns
    -------
    pandas.DataFrame
        A row a slice, the worst first: the columns ``by``, with None where any value is in it, or a
        null (``slice`` tells them apart), ``slice`` (a text), ``rows``, ``mean_label_quality``,
        ``mean_of_rest``, ``difference``, ``p_value``, ``adjusted_p_value`` and ``is_worse``.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If there are more than 100,000 slices of enough rows.
    InvalidRowsError
        If a row has no label quality.
    """
    refuse_stream(df, "groups.slices")
    names = checked_columns(df, by)
    require_whole_number("max_columns", max_columns, 1)
    require_number("alpha", alpha, 0.0, 1.0)
    require_one_of("correction", correction, CORRECTIONS)
    require_whole_number("min_rows", min_rows, 2)
    if label_quality is None:
        scored = multiclass.score(
            columns_alone(df, dict.fromkeys([*names, label, *probability_names(pred_probs)])),
            label=label,
            pred_probs=pred_probs,
            classes=classes,
            n_classes=n_classes,
            on_invalid="null",
        )
        quality = F.col(LABEL_QUALITY)
    else:
        scored, quality = df, _given_quality(df, label_quality)
    whole = F.rint(quality * F.lit(2.0**SCALE_BITS)).cast("bigint").alias(_WHOLE)
    chosen = [tuple(c) for n in range(1, max_columns + 1) for c in combinations(names, n)]
    with kept(scored.select(*map(column, names), whole)) as rows:
        without = F.count_if(F.col(_WHOLE).isNull())
        total = _sums_of([tuple(row) for row in rows.agg(*_sums(), without).collect()])
        n_bad = int(total.sums[3, 0])
        if n_bad:
            n_rows, which = int(total.counts[0]), label_quality or "groups.validate"
            raise InvalidRowsError(
                f"{n_bad} of {n_rows} rows cannot be scored, for want of a label quality from 0 to "
                f"1; {which} says which"
            )
        found = [(one, tuple(row)) for one in chosen for row in _of_columns(rows, one, min_rows)]
        if len(found) > _MOST_SLICES:
            raise DataError(
                f"there are more than {_MOST_SLICES} slices of at least {min_rows} rows; name "
                "columns of fewer values, or raise min_rows"
            )
    return _tested(names, found, total, alpha, correction, min_rows)


def checked_columns(df: DataFrame, by: Sequence[str]) -> list[str]:
    """Return the columns whose slices can be compared; raise ColumnError or OptionError."""
    names = require_listed(df, "by", by)
    for name in names:
        if not isinstance(kind := column_type(df, name), _GROUPED):
            raise ColumnError(
                f"by: column {name!r} is {kind.simpleString()}; allowed are whole numbers, "
                "decimals, booleans, strings, dates and timestamps"
            )
    return names


def _given_quality(df: DataFrame, name: str) -> Column:
    require_number_column(df, "label_quality", name)
    value = column(name).cast("double")
    return F.when(value.between(0.0, 1.0), value)  # NaN is above


def _sums() -> list[Column]:
    """Return the count and the exact sums that :func:`partial_quality_sums` makes of arrays."""
    whole = F.col(_WHOLE)
    square = whole * whole
    return [
        F.count(F.lit(1)).alias(_N),
        F.sum(whole).alias(_SUM),
        F.sum(F.shiftright(square, SCALE_BITS)).alias(_HIGH),
        F.sum(square.bitwiseAND(F.lit((1 << SCALE_BITS) - 1))).alias(_LOW),
    ]


def _of_columns(rows: DataFrame, names: Sequence[str], min_rows: int) -> list[Any]:
    """Return (value, …, count, sums) of each slice of enough rows, by some columns."""
    keys = [f"__lq_by_{place}" for place in range(len(names))]
    named = [column(name).alias(key) for name, key in zip(names, keys, strict=True)]
    grouped = rows.select(*named, _WHOLE).groupBy(*keys).agg(*_sums())
    enough = grouped.where(F.col(_N) >= F.lit(min_rows))
    return (
        enough.orderBy(*(F.col(key).asc_nulls_first() for key in keys))
        .limit(_MOST_SLICES + 1)
        .collect()
    )


def _sums_of(rows: Sequence[Sequence[Any]]) -> GroupSums:
    counts = np.array([row[0] for row in rows], dtype=np.int64)
    terms = [[row[place] or 0 for row in rows] for place in range(1, len(rows[0]))]
    return GroupSums(np.arange(len(rows)), counts, np.array(terms, dtype=np.int64))


def _tested(
    names: Sequence[str],
    found: Sequence[tuple[tuple[str, ...], tuple[Any, ...]]],
    total: GroupSums,
    alpha: float,
    correction: str,
    min_rows: int,
) -> pd.DataFrame:
    import pandas as pd

    columns = [
        *names,
        *("slice", "rows", "mean_label_quality", "mean_of_rest", "difference"),
        *("p_value", "adjusted_p_value", "is_worse"),
    ]
    if not found:
        return pd.DataFrame(columns=columns)
    state = _sums_of([row[len(one) :] for one, row in found])
    whole = GroupSums(total.groups, total.counts, total.sums[:3])
    tests = finish_group_tests(
        state, alpha=alpha, correction=correction, min_rows=min_rows, total=whole
    )
    values = [dict(zip(one, row, strict=False)) for one, row in found]
    shown = [values[place] for place in tests.groups]
    texts = [", ".join(f"{name} = {value}" for name, value in one.items()) for one in shown]
    by = [pd.Series([one.get(name) for one in shown], dtype=object) for name in names]
    numbers = [
        *(tests.counts, tests.means, tests.rest_means, tests.differences),
        *(tests.p_values, tests.adjusted_p_values, tests.is_worse),
    ]
    made = [*by, pd.Series(texts, dtype=object), *map(pd.Series, numbers)]
    return pd.DataFrame(dict(zip(columns, made, strict=True)))

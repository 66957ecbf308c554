"""The rows of a table that have no values, or few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.tasks.nulls.columns import IS_ISSUE, SCORE, looked_at, with_null_scores
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def find_issues(
    df: DataFrame, *, id: str | None = None, columns: Sequence[str] | None = None
) -> DataFrame:
    """Return the table with the rows that have no values. Lazy; streams too.

    Adds ``is_null_issue`` (boolean: all values are null) and ``null_score`` (double: the share of
    the values that are there; 1 all, 0 none). The rule is that of cleanlab's Datalab, see
    :func:`lq_spark.core.nulls.find_nulls`.

    Parameters
    ----------
    df : DataFrame
    id : str, optional
        Column that tells the rows apart, which is not looked at.
    columns : sequence of str, optional
        The columns that are looked at; by default all but the id. NaN counts as null. A value of an
        array or struct is null if it is so itself, whatever it holds.

    Raises
    ------
    ColumnError, OptionError
        If there is no such column, or none is left.
    """
    if id is not None:
        require_key(df, "id", id)
    names = looked_at(df, id, columns)
    require_new_columns(df, [IS_ISSUE, SCORE])
    return with_null_scores(df, names)


def score(
    df: DataFrame, *, id: str | None = None, columns: Sequence[str] | None = None
) -> DataFrame:
    """Return the table with ``null_score`` (double): 1 all values are there, 0 none. Lazy.

    Parameters
    ----------
    df, id, columns
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError
        As :func:`find_issues`.
    """
    found = find_issues(df, id=id, columns=columns)
    return found.select(*map(column, df.columns), SCORE)


def validate(
    df: DataFrame, *, id: str | None = None, columns: Sequence[str] | None = None
) -> DataFrame:
    """Return the table with ``invalid_reason``: null, but for an id that tells no row apart. Lazy.

    Parameters
    ----------
    df, id, columns
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError
        As :func:`find_issues`.
    """
    looked_at(df, id, columns)
    require_to_validate(df, id, "nulls.validate")
    checked = df.select("*", F.lit(None).cast("string").alias(INVALID_REASON))
    return with_key_reasons(checked, df, id)

"""Columns that options name, checked before a Spark job starts; and how many of some are true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.engine.inputs import require_columns
from lq_spark.errors import OptionError, require_ordered

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def require_listed(df: DataFrame, option: str, columns: Sequence[str]) -> list[str]:
    """Return the columns that an option lists, which are all there.

    Raises
    ------
    OptionError
        If it is no list of names, is empty, or has a name twice.
    ColumnError
        If a column is missing, or another one has its name.
    """
    require_ordered(option, columns)
    names = list(columns)
    is_text = all(isinstance(name, str) for name in names)
    if not names or not is_text or len(set(names)) < len(names):
        raise OptionError(f"{option} must name columns, each once, got {names!r:.200}")
    require_named(df, **{option: names})
    return names


def require_named(df: DataFrame, **options: str | Sequence[str] | None) -> None:
    """Raise ColumnError unless the column, or each of several, that an option names is there.

    An option that is None names none.
    """
    for option, names in options.items():
        for name in [names] if isinstance(names, str) else names or ():
            require_columns(df, **{option: name})


def n_true(flags: Sequence[Column]) -> Column:
    """Return how many of some columns are true in a row."""
    if not flags:
        return F.lit(0)
    # Through an array: a sum of many terms is too deep an expression for a client to send.
    return F.size(F.filter(F.array(*flags), lambda flag: flag))

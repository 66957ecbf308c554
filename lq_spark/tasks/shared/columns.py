"""Columns that an option lists, checked before a Spark job starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lq_spark.engine.inputs import require_columns
from lq_spark.errors import OptionError, require_ordered

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


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
    for name in names:
        require_columns(df, **{option: name})
    return names

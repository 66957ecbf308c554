"""Whether the key of a table tells its rows apart: checked now, or as a reason of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.engine.keys import KeySummary, duplicate_keys, summarize_key
from lq_spark.engine.reductions import States
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.shared.names import DUPLICATE_ID, INVALID_REASON, NULL_ID
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TWICE = "__lq_twice"


def require_unique(
    df: DataFrame,
    name: str,
    *,
    validate: str,
    option: str = "id",
    table: str = "",
    states: States | None = None,
    called: str | None = None,
) -> KeySummary:
    """Return what is known of a key; raise InvalidRowsError unless each row has one of its own.

    Reads the key column alone, now; or nothing, if an earlier pass tells.

    Parameters
    ----------
    df : DataFrame
    name : str
        The key column.
    validate : str
        The function that names the rows: "multiclass.validate".
    option, table : str
        The option that names the column; and where there are several tables, " of the items".
    called : str, optional
        What the user calls the column, if it is not its name here.
    states : dict, optional
        Of a pass that made :func:`lq_spark.engine.keys.key_ranges`.
    """
    keys = summarize_key(df, name, states)
    if not keys.is_unique:
        raise InvalidRowsError(
            f"{option}: column {called or name!r}{table} has nulls or values that occur twice; "
            f"{validate} says which rows"
        )
    return keys


def require_to_validate(df: DataFrame, name: str | None, validate: str) -> None:
    """Raise ColumnError or OptionError unless a table can have reasons added, and has such a key.

    ``validate`` is the function that is called; with a key it has to see all rows.
    """
    if name is not None:
        refuse_stream(df, f"{validate} with id", lazy=True)
        require_key(df, "id", name)
    require_new_columns(df, [INVALID_REASON])


def with_key_reasons(
    checked: DataFrame,
    df: DataFrame,
    name: str | None,
    *,
    null: str = NULL_ID,
    duplicate: str = DUPLICATE_ID,
    reason: str = INVALID_REASON,
) -> DataFrame:
    """Return a table whose reasons are those of its keys first: null, or of several rows. Lazy.

    Parameters
    ----------
    checked : DataFrame
        The table, with reasons in the column ``reason``.
    df : DataFrame
        The table as it was given, of which the keys are counted and the columns returned.
    name : str or None
        The key column; None leaves the reasons as they are.
    null, duplicate : str
        The reason of a row without a key, and of each row whose key another one has.
    reason : str
    """
    if name is None:
        return checked
    key = column(name)
    twice = duplicate_keys(df, name).select(key.alias(_TWICE))
    of_key = F.when(key.isNull(), null).when(F.col(_TWICE).isNotNull(), duplicate)
    joined = checked.join(twice, key == F.col(_TWICE), "left")
    # By their names, not by withColumn and drop: see lq_spark.engine.pipelines.
    of_row = F.coalesce(of_key, F.col(reason)).alias(reason)
    return joined.select(*map(column, df.columns), of_row)

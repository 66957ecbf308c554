"""The rows that have changed since the last run: read once, counted, compared with the scores."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.kept import kept
from lq_spark.errors import LqError
from lq_spark.tables.changes import IS, WAS, Changes, NoChangesError, Position
from lq_spark.tables.formats import existing
from lq_spark.tables.spec import one_line
from lq_spark.tables.transactions import RANGED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.job.run import JobRun


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of rows that have changed: a table that is kept, and how many there are.

    Attributes
    ----------
    table : DataFrame
        Of :meth:`Changes.keys`.
    key : str
    n_rows, n_gone : int
        Rows that there are afterwards; keys that have none.
    has_null : bool
        Whether rows without a key have changed.
    ends : tuple
        The lowest and the highest.
    """

    table: DataFrame = field(repr=False)
    key: str
    n_rows: int
    n_gone: int
    has_null: bool
    ends: tuple[Any, Any]

    @classmethod
    def of(cls, table: DataFrame, key: str) -> Keys:
        """Count a table of keys."""
        n = F.col(IS)
        [found] = table.agg(
            F.coalesce(F.sum(n), F.lit(0)),
            F.count_if(n == 0),
            F.coalesce(F.bool_or(column(key).isNull()), F.lit(False)),
            F.min(column(key)),
            F.max(column(key)),
        ).collect()
        n_rows, n_gone, has_null, low, high = found
        return cls(table, key, n_rows, n_gone, has_null, (low, high))

    def near(self, rows: DataFrame) -> DataFrame:
        """Return rows whose key is in the range of these: files of others need not be read."""
        if not isinstance(column_type(rows, self.key), RANGED):
            return rows
        low, high = map(F.lit, self.ends)
        return rows.where(column(self.key).between(low, high))


def read_changes(run: JobRun, changes: Changes, stack: ExitStack) -> tuple[Changes, Keys]:
    """Return changes that are kept until the stack ends, and their keys.

    Raises
    ------
    NoChangesError
        If a feed turns out to be gone, or a row has no key.
    """
    key = run.config.row_id
    try:
        changes = replace(changes, feed=stack.enter_context(kept(changes.feed)))
        keys = Keys.of(stack.enter_context(kept(changes.keys(key))), key)
    except LqError:
        raise
    except Exception as error:
        said = one_line(error)
        if run.opened.format == "delta":
            said += "; they are there from when delta.enableChangeDataFeed is set, until VACUUM"
        raise NoChangesError(f"the changes cannot be read ({said})") from error
    if keys.has_null:
        raise NoChangesError(f"rows without {key!r} have changed")
    return changes, keys


def n_scored_before(run: JobRun, changes: Changes, keys: Keys) -> int:
    """Return how many of the rows that are not known to have been there have scores already.

    Raises
    ------
    NoChangesError
        If there are any, and changes would say it.
    """
    config, key = run.config, run.config.row_id
    if run.task.shares_key:
        return 0
    new = keys.table.where(~F.col(WAS)).select(column(key))
    specs = [config.outputs["output"]]
    specs += config.quarantines.values() if config.on_invalid == "quarantine" else []
    n_there = 0
    for spec in specs:
        there = existing(run.spark, spec)
        if there is not None:
            n_there += keys.near(there.select(column(key))).join(new, key, "left_semi").count()
    if n_there and changes.knows_before:
        raise NoChangesError(f"{n_there} new rows have, or had, the {key!r} of rows that are there")
    return n_there


def require_no_others(since: Position, now: Position, n_new: int) -> None:
    """Raise NoChangesError if a watermark, with so many new rows above it, does not tell all."""
    n_before, n_now = since["n_rows"], now["n_rows"]
    if n_before + n_new != n_now:
        raise NoChangesError(
            f"of {n_before:,} rows, {n_new:,} new ones above the watermark should make "
            f"{n_before + n_new:,}, and there are {n_now:,}: others were removed, or written with "
            "a lower one"
        )

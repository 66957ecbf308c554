"""What has changed in a table since one of its versions: its rows as they were, and as they are.

Delta tables say it by their change data feed. Of Iceberg tables the rows of new files are read as
long as nothing but these was added, and else a view of the changes. Any table may have a watermark,
a column in which a row that is written later has a higher value. Spark reads feeds, Sail does not.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    AtomicType,
    BinaryType,
    BooleanType,
    DataType,
    TimestampNTZType,
    TimestampType,
)

from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.kinds import engine_of, is_sail
from lq_spark.errors import ColumnError, LqError
from lq_spark.tables import delta, iceberg
from lq_spark.tables.spec import TableSpec, one_line

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from lq_spark.tables.formats import Source

Position = Mapping[str, Any]
"""Up to where a table was read, as JSON has it."""

_FEED = ("_change_type", "_commit_version", "_change_ordinal", "_commit_timestamp")
_FEED_AND_SNAPSHOT = (*_FEED, "_commit_snapshot_id")
_GONE = ("delete", "update_preimage", "update_before")
WAS, IS = "__lq_was", "__lq_is"
_FIRST, _LAST, _AT, _IS_GONE = (f"__lq_{name}" for name in ("first", "last", "at", "is_gone"))


class NoChangesError(LqError):
    """What has changed cannot be told; the message says why, and is the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed between two positions.

    Attributes
    ----------
    feed : DataFrame
        The columns of the table, WAS and IS: of each change the row, whether it was there before,
        and whether it is there afterwards.
    knows_before : bool
        Whether it is known which rows were there.
    """

    feed: DataFrame = field(repr=False)
    knows_before: bool

    @property
    def before(self) -> DataFrame:
        """Return the changed rows as they were, without those that are new."""
        return self.feed.where(F.col(WAS)).drop(WAS, IS)

    @property
    def after(self) -> DataFrame:
        """Return the changed rows as they are, without those that are gone."""
        return self.feed.where(F.col(IS)).drop(WAS, IS)

    def keys(self, key: str) -> DataFrame:
        """Return each key of a change, WAS, and IS: how many rows it has afterwards."""
        n_rows = F.sum(F.col(IS).cast("bigint"))
        return self.feed.groupBy(column(key)).agg(F.max(WAS).alias(WAS), n_rows.alias(IS))


def position_of(spark: SparkSession, spec: TableSpec, source: Source, watermark: str | None) -> Any:
    """Return the position of a table that was opened.

    Raises
    ------
    ColumnError
        If there is no such watermark, or it has no order.
    NoChangesError
        If nothing could ever be told from there.
    """
    if watermark is not None:
        return _watermark_of(source.df, watermark)
    if source.format not in ("delta", "iceberg"):
        raise NoChangesError(
            f"a {source.format} table has no versions; name a watermark, a column whose value is "
            "higher in a row that is written later"
        )
    if is_sail(spark):
        raise NoChangesError(
            f"{engine_of(spark)} reads no changes of {source.format.capitalize()} tables; name a "
            "watermark, or run this on Spark (spark-submit, --engine spark)"
        )
    if source.format == "delta":
        [identity] = spark.sql(f"DESCRIBE DETAIL {delta.identifier(spec)}").select("id").collect()
        return {"table": identity[0], "version": source.version}
    return {"version": source.version}


@contextmanager
def changes_since(
    spark: SparkSession,
    spec: TableSpec,
    source: Source,
    key: str,
    since: Position,
    now: Position,
    watermark: str | None,
) -> Iterator[Changes]:
    """Yield what has changed in an opened table since a position; ``now`` is its own.

    Raises
    ------
    NoChangesError
        If that cannot be told.
    """
    if set(since) != set(now):
        raise NoChangesError("the earlier run told them in another way")
    if watermark is not None:
        yield _of_new(_above(source.df, watermark, since), knows_before=False)
    elif since == now:
        yield _of_new(source.df.where(F.lit(False)), knows_before=True)
    elif source.format == "delta":
        yield _net(_delta_feed(spark, spec, source, since, now), key)
    else:
        with _iceberg_changes(spark, spec, source, key, since, now) as changes:
            yield changes


def _delta_feed(
    spark: SparkSession, spec: TableSpec, source: Source, since: Position, now: Position
) -> DataFrame:
    first, last = since["version"] + 1, now["version"]
    if since["table"] != now["table"]:
        raise NoChangesError(f"{spec.name!r} is another table than it was, of the same name")
    if first > last:
        raise NoChangesError(f"version {last} of {spec.name!r} is older than the last one scored")
    reader = spark.read.option("readChangeFeed", "true")
    reader = reader.option("startingVersion", first).option("endingVersion", last)
    try:
        feed = delta.loaded(reader, spec)
        return feed.select(*map(column, source.df.columns), *map(F.col, _FEED[:2]))
    except Exception as error:
        raise NoChangesError(
            f"{spec.name!r} has no change data feed of versions {first} to {last} (table property "
            f"delta.enableChangeDataFeed; {one_line(error)})"
        ) from error


@contextmanager
def _iceberg_changes(
    spark: SparkSession, spec: TableSpec, source: Source, key: str, since: Position, now: Position
) -> Iterator[Changes]:
    first, last = since["version"], now["version"]
    if first is None:
        raise NoChangesError(f"{spec.name!r} had no snapshot when it was scored")
    operations = set()
    for snapshot, operation, _ in iceberg.lineage(spark, spec.name, last):
        if snapshot == first:
            break
        operations.add(operation)
    else:
        raise NoChangesError(
            f"the snapshots of {spec.name!r} do not lead from {last} back to {first}, the last "
            "one scored: they have expired, or the table was rolled back"
        )
    ends = {"start-snapshot-id": str(first), "end-snapshot-id": str(last)}
    if operations <= {"append", "replace"}:  # the latter moves rows to other files
        added = spark.read.format("iceberg").options(**ends).load(spec.name)
        yield _of_new(added.select(*map(column, source.df.columns)), knows_before=True)
        return
    catalog, _, table = spec.name.partition(".")
    view = f"lq_spark_{uuid.uuid4().hex}"
    options = ", ".join(f"'{name}', '{value}'" for name, value in ends.items())
    try:
        spark.sql(
            f"CALL {catalog}.system.create_changelog_view(table => '{table}', "
            f"changelog_view => '{view}', options => map({options}))"
        )
        changed = spark.table(view)
        feed = changed.select(*map(column, source.df.columns), F.col(_FEED[0]), F.col(_FEED[2]))
    except Exception as error:
        raise NoChangesError(
            f"{spec.name!r} has no view of its changes from {first} to {last} ({one_line(error)})"
        ) from error
    try:
        yield _net(feed, key)
    finally:
        spark.catalog.dropTempView(view)


def _net(feed: DataFrame, key: str) -> Changes:
    """Return the changes that are left of a feed, in which a row may be changed several times.

    A row of a key was there before if the first change of the key takes it away, and is there
    afterwards if the last one brings it.
    """
    order = next(name for name in feed.columns if name in _FEED[1:])
    names = [name for name in feed.columns if name not in _FEED_AND_SNAPSHOT]
    of_key = Window.partitionBy(column(key))
    at = F.col(_AT)
    placed = feed.select(
        *map(column, names),
        F.lower(F.col(_FEED[0])).isin(*_GONE).alias(_IS_GONE),
        F.col(order).cast("bigint").alias(_AT),
    )
    first, last = F.min(at).over(of_key).alias(_FIRST), F.max(at).over(of_key).alias(_LAST)
    placed = placed.select("*", first, last)
    is_gone = F.col(_IS_GONE)
    was = is_gone & (at == F.col(_FIRST))
    now = ~is_gone & (at == F.col(_LAST))
    return Changes(placed.select(*map(column, names), was.alias(WAS), now.alias(IS)), True)


def changes_of_batch(batch: DataFrame, key: str) -> Changes:
    """Return the changes of a batch of a stream: of a change feed, or of rows that are new.

    A row that is new replaces one of the same key.
    """
    names = set(batch.columns)
    if _FEED[0] in names and names.intersection(_FEED[1:]):
        return _net(batch, key)
    return _of_new(batch, knows_before=False)


def _of_new(rows: DataFrame, *, knows_before: bool) -> Changes:
    was, now = F.lit(False).alias(WAS), F.lit(True).alias(IS)
    return Changes(rows.select(*map(column, rows.columns), was, now), knows_before)


def _watermark_of(df: DataFrame, name: str) -> dict[str, Any]:
    require_columns(df, watermark=name)
    kind = column_type(df, name)
    if not isinstance(kind, AtomicType) or isinstance(kind, (BinaryType, BooleanType)):
        raise ColumnError(
            f"watermark: column {name!r} is {kind.simpleString()}, and must be a number, a text, a "
            "date or a time"
        )
    value = column(name)
    [(n, n_there, highest)] = df.agg(
        F.count(F.lit(1)), F.count(value), _as_text(F.max(value), kind)
    ).collect()
    if n_there < n:
        raise NoChangesError(f"column {name!r}, the watermark, is null in {n - n_there} rows")
    return {"watermark": highest, "n_rows": n}


def _as_text(value: Column, kind: DataType) -> Column:
    """Return a value as a text that says it exactly, in every time zone."""
    if isinstance(kind, TimestampType):
        value = F.unix_micros(value)
    return value.cast("string")


def _of_text(text: str, kind: DataType) -> Column:
    value = F.lit(text)
    if isinstance(kind, TimestampType):
        return F.timestamp_micros(value.cast("bigint"))
    return value.cast("timestamp_ntz" if isinstance(kind, TimestampNTZType) else kind)


def _above(df: DataFrame, name: str, since: Position) -> DataFrame:
    if since["watermark"] is None:  # it was empty
        return df
    return df.where(column(name) > _of_text(since["watermark"], column_type(df, name)))

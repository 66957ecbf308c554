"""Rows drawn at random: so many of each group for each part, the same ones on any partitions.

Rows of a group are drawn in the order of a hash, of equal hashes in that of the keys. Hashes are
spread evenly, so counts of them in buckets tell in which buckets parts end, and only the rows of
those are sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    DataType,
    DateType,
    DecimalType,
    IntegralType,
    LongType,
    StructField,
    StructType,
    TimestampType,
)

from lq_spark.engine.inputs import column
from lq_spark.engine.small_tables import small_table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

N_COUNTS, MIN_BUCKETS = 1 << 14, 16
"""About so many counts of rows come to the driver, but for so many buckets of each group."""

_PLAIN_SCALE = 6
"""Decimals of more digits behind the point may be written with an exponent, by some engines."""

_GROUP, _HASH, _KEY, _BUCKET = "__lq_group", "__lq_hash", "__lq_key", "__lq_bucket"
_PIECE = ("__lq_of", "__lq_in", "__lq_part", "__lq_after", "__lq_before", "__lq_to", "__lq_last")


class Piece(NamedTuple):
    """Rows of a group and a bucket that are drawn for the same part: after a row, up to a row.

    ``after`` and ``to`` are hashes, ``key_after`` and ``key_to`` keys; None at an end of the
    bucket.
    """

    group: int
    bucket: int
    part: int
    after: int | None
    key_after: Any
    to: int | None
    key_to: Any


class Draw(NamedTuple):
    """Which rows are drawn for which part; a bucket is told by the highest bits of the hash."""

    bits: int
    pieces: tuple[Piece, ...]


class _Span(NamedTuple):
    """A piece by the places of rows in its bucket, from 1; None at an end of the bucket."""

    group: int
    bucket: int
    part: int
    after: int | None
    to: int | None


def row_hash(key: Column, kind: DataType, seed: int) -> Column:
    """Return a hash of a key of a type, bigint: xxHash64 of the seed and the key.

    Whole numbers have the same one in any type.
    """
    if isinstance(kind, IntegralType):
        key = key.cast("bigint")
    elif isinstance(kind, TimestampType):
        key = F.unix_micros(key)
    elif isinstance(kind, DateType):
        key = F.unix_date(key).cast("bigint")
    elif isinstance(kind, DecimalType):
        if kind.scale > _PLAIN_SCALE:
            key = F.concat(F.when(key < 0, "-").otherwise(""), (F.abs(key) + 1).cast("string"))
        key = key.cast("string")
    return F.xxhash64(F.lit(seed).cast("bigint"), key)


def drawn(rows: DataFrame, sizes: Mapping[int, Mapping[int, int]]) -> Draw:
    """Return which rows are drawn for each part of each group, one part after the other.

    Reads the rows twice now: to count them in buckets, and for those in which parts end.

    Parameters
    ----------
    rows : DataFrame
        Columns ``group`` (bigint without nulls), ``hash`` (bigint) and ``key`` (any type that can
        be ordered, different in every row).
    sizes : mapping of int to mapping of int to int
        Of each group, the parts in their order, and how many rows each gets: together no more than
        the group has.
    """
    wanted = {group: {p: n for p, n in parts.items() if n} for group, parts in sizes.items()}
    wanted = {group: parts for group, parts in wanted.items() if parts}
    bits = max(MIN_BUCKETS, N_COUNTS // max(1, len(wanted))).bit_length() - 1
    if not wanted:
        return Draw(bits, ())
    cells = rows.select("group", "hash", "key", _bucket(F.col("hash"), bits).alias(_BUCKET))
    counts: dict[int, list[tuple[int, int]]] = {}
    for row in sorted(map(tuple, cells.groupBy("group", _BUCKET).count().collect())):
        counts.setdefault(row[0], []).append(row[1:])
    spans = [s for group, parts in wanted.items() for s in _spans(group, counts[group], parts)]
    ends = {(s.group, s.bucket, place) for s in spans for place in (s.after, s.to) if place}
    found = _rows_at(cells, sorted(ends))
    pieces = (
        Piece(*span[:3], *_end(found, *span[:2], span.after), *_end(found, *span[:2], span.to))
        for span in spans
    )
    return Draw(bits, tuple(pieces))


def with_part(
    df: DataFrame, draw: Draw, name: str, *, group: Column, hash: Column, key: str
) -> DataFrame:
    """Return a table with a column of the part that each row is drawn for, null if for none. Lazy.

    Rows are not moved for it.

    Parameters
    ----------
    df : DataFrame
        Any table.
    draw : Draw
        From :func:`drawn`.
    name : str
        Of the new column, bigint.
    group, hash : Column
        What :func:`drawn` was given for these rows.
    key : str
        The column that it was given as key.
    """
    kind = df.schema[key].dataType
    kinds = [*[LongType()] * 4, kind, LongType(), kind]
    schema = StructType([StructField(*each) for each in zip(_PIECE, kinds, strict=True)])
    table = small_table(df.sparkSession, draw.pieces, schema)
    of, bucket, part, after, key_after, to, key_to = map(F.col, _PIECE)
    rows = df.withColumns({_GROUP: group, _HASH: hash, _KEY: column(key)})
    own, own_key = F.col(_HASH), F.col(_KEY)
    is_after = after.isNull() | (own > after) | ((own == after) & (own_key > key_after))
    is_up_to = to.isNull() | (own < to) | ((own == to) & (own_key <= key_to))
    is_in = (F.col(_GROUP) == of) & (_bucket(own, draw.bits) == bucket)
    joined = rows.join(table.hint("broadcast"), is_in & is_after & is_up_to, "left")
    return joined.select(*map(column, df.columns), part.alias(name))


def _bucket(hash: Column, bits: int) -> Column:
    return F.shiftright(hash, 64 - bits).cast("bigint")


def _spans(
    group: int, counts: Sequence[tuple[int, int]], sizes: Mapping[int, int]
) -> Iterator[_Span]:
    """Yield the pieces of a group; ``counts`` are its rows in each bucket, in their order."""
    parts = iter(sizes.items())
    part, left = next(parts)
    for bucket, n in counts:
        place = 0
        while place < n:
            taken = min(left, n - place)
            place, left, after = place + taken, left - taken, place
            yield _Span(group, bucket, part, after or None, place if place < n else None)
            if not left:
                part, left = next(parts, (part, 0))
                if not left:
                    return


def _end(
    found: Mapping[tuple[int, int, int], tuple[int, Any]],
    group: int,
    bucket: int,
    place: int | None,
) -> tuple[int | None, Any]:
    """Return hash and key of the row at a place."""
    return (None, None) if place is None else found[group, bucket, place]


def _rows_at(
    cells: DataFrame, places: Sequence[tuple[int, int, int]]
) -> dict[tuple[int, int, int], tuple[int, Any]]:
    """Return hash and key of the rows at places, which are (group, bucket, place in it)."""
    if not places:
        return {}
    names = ("group", _BUCKET, "place")
    schema = StructType([StructField(name, LongType()) for name in names])
    wanted = small_table(cells.sparkSession, places, schema).hint("broadcast")
    looked_at = sorted({place[:2] for place in places})
    of_cells = small_table(cells.sparkSession, looked_at, StructType(schema.fields[:2]))
    rows = cells.join(of_cells.hint("broadcast"), [*names[:2]], "left_semi")
    in_order = Window.partitionBy(*names[:2]).orderBy("hash", "key")
    up_to_here = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    ranked = rows.withColumn("place", F.row_number().over(up_to_here).cast("bigint"))
    found = ranked.join(wanted, [*names]).select(*names, "hash", "key").collect()
    return {tuple(row)[:3]: tuple(row)[3:] for row in found}

"""Near duplicates of a table by a column of texts: pairs found by MinHash, each compared exactly.

Equal texts are looked at once. A text's signature is cut into bands; those that agree in a band are
a bucket, and each pair of a bucket is compared in some task. Buckets of the same texts are
compared once, and those of many texts in blocks, in bounded memory.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from lq_spark.core.duplicates.shingles import KINDS, LENGTHS, ShingleRule
from lq_spark.core.duplicates.texts import SIMILARITY
from lq_spark.engine.inputs import column, column_type, require_columns, require_new_columns
from lq_spark.engine.kept import kept
from lq_spark.engine.readings import column_input
from lq_spark.engine.verbs import map_groups, with_mapped
from lq_spark.errors import (
    ColumnError,
    InvalidRowsError,
    require_one_of,
    require_share,
    require_whole_number,
)
from lq_spark.tasks.duplicates.batches import ONE, OTHER, PLACE
from lq_spark.tasks.duplicates.text_batches import (
    BAND,
    BANDS,
    CODE,
    SIDE,
    TEXT,
    bands_batch,
    similar_group,
)
from lq_spark.tasks.neighbors.batches import ID, ROW
from lq_spark.tasks.neighbors.searches import BLOCK, HIGH, LOW
from lq_spark.tasks.shared.keys import require_to_validate, require_unique, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame

NO_TEXT = "null text"

N_COPIES = "__lq_n_copies"

_BYTES, _N, _N_BLOCKS, _OTHER_BLOCK, _TASK = (
    f"__lq_{name}" for name in ("bytes", "n", "n_blocks", "other_block", "task")
)

_MAX_BLOCK_TEXTS = 1 << 10
_BLOCK_BYTES = 4 << 20
"""How many texts of a bucket, and how much of them, are in a block; two are compared at once."""

_TASK_BYTES = 32 << 20
"""How much of the texts a task compares."""


@dataclass(frozen=True)
class ByText:
    """The texts that are compared, and how, checked.

    Attributes
    ----------
    id, text : str
        Columns.
    rule : ShingleRule
    similarity : float
        Of near duplicates, at least.
    seed : int
    """

    id: str
    text: str
    rule: ShingleRule
    similarity: float
    seed: int


def text_options(
    df: DataFrame,
    id: str,
    text: str,
    shingles: str | None,
    n: int | None,
    similarity: float | None,
    seed: int,
    added: Sequence[str] = (),
) -> ByText:
    """Return how texts are compared; raise ColumnError or OptionError if they cannot be so.

    ``added`` are columns that the table is to have besides.
    """
    require_text(df, text)
    kind = KINDS[0] if shingles is None else shingles
    require_one_of("shingles", kind, KINDS)
    share = SIMILARITY if similarity is None else similarity
    require_share("similarity", share)
    require_whole_number("seed", seed, 0)
    rule = ShingleRule(kind, LENGTHS[kind] if n is None else n)
    require_new_columns(df, added)
    return ByText(id, text, rule, share, seed)


def require_text(df: DataFrame, text: str) -> None:
    """Raise ColumnError unless a column holds texts."""
    require_columns(df, text=text)
    kind = column_type(df, text)
    if not isinstance(kind, StringType):
        raise ColumnError(f"text: column {text!r} is {kind.simpleString()}; allowed are strings")


def validate_texts(df: DataFrame, id: str | None, text: str) -> DataFrame:
    """Return the table with the reason why a row has no text to compare, or null. Lazy."""
    require_text(df, text)
    require_to_validate(df, id, "duplicates.validate")
    reason = F.when(column(text).isNull(), NO_TEXT).otherwise(F.lit(None).cast("string"))
    checked = df.withColumn(INVALID_REASON, reason)
    return with_key_reasons(checked, df, id)


def usable_texts(
    df: DataFrame, options: ByText, stack: ExitStack, *, fail: bool = True, table: str = ""
) -> DataFrame:
    """Return ROW and TEXT, in UTF-8, of the rows that have a text; kept.

    Raises
    ------
    InvalidRowsError
        If an id is null or occurs twice, or ``fail`` and a row has no text. ``table`` says of
        which table, if there are several: " of train".
    """
    validate = "duplicates.validate"
    rows = df.select(column(options.id).alias(ROW), column(options.text).cast("binary").alias(TEXT))
    rows = stack.enter_context(kept(rows))
    called = options.id
    n_all = require_unique(rows, ROW, validate=validate, called=called, table=table).n_rows
    usable = rows.where(column(TEXT).isNotNull())
    if fail and (n_missing := n_all - usable.count()):
        raise InvalidRowsError(
            f"{n_missing} of {n_all} rows{table} cannot be scored, for want of a text; "
            f"{validate} says which and why"
        )
    return usable


def hashed_texts(rows: DataFrame, options: ByText, stack: ExitStack) -> DataFrame:
    """Return each text once, kept: TEXT, ID, the first row that has it, N_COPIES, BANDS."""
    counts = F.min(ROW).alias(ID), F.count(F.lit(1)).alias(N_COPIES)
    return with_bands(rows.groupBy(TEXT).agg(*counts), options, stack)


def with_bands(texts: DataFrame, options: ByText, stack: ExitStack) -> DataFrame:
    """Return texts with BANDS, by which they may be alike, kept."""
    function = bands_batch(options.rule, options.similarity, options.seed)
    schema = StructType([StructField(BANDS, ArrayType(LongType()))])
    hashed = with_mapped(texts, function, [column_input(TEXT)], schema)
    return stack.enter_context(kept(hashed))


def near_pairs_of_texts(
    rows: DataFrame, hashed: DataFrame, options: ByText, stack: ExitStack
) -> DataFrame:
    """Return each near pair both ways: ONE, OTHER, and PLACE, the distance; kept.

    Of equal texts the first is in pairs with other texts, and each later one with the first alone.
    """
    similar = similar_pairs(hashed, options, stack)
    several = hashed.where(column(N_COPIES) > 1).select(TEXT, ID)
    copies = rows.join(several, TEXT).where(column(ROW) != column(ID))
    near = similar.unionAll(
        copies.select(column(ID).alias(ONE), column(ROW).alias(OTHER), F.lit(0.0).alias(PLACE))
    )
    near = stack.enter_context(kept(near))
    back = near.select(column(OTHER).alias(ONE), column(ONE).alias(OTHER), PLACE)
    return near.unionAll(back)


def similar_pairs(
    hashed: DataFrame, options: ByText, stack: ExitStack, *, between: bool = False
) -> DataFrame:
    """Return the pairs of different texts that are similar enough, once: ONE, OTHER, PLACE. Lazy.

    ``hashed`` has ID, TEXT and BANDS of each text; and SIDE, 1 or 2, if only texts of both are
    paired.
    """
    sides = [SIDE] if between else []
    hashed = hashed.select(ID, TEXT, BANDS, *sides)
    size = F.octet_length(TEXT).cast("bigint").alias(_BYTES)
    entries = hashed.select(ID, size, *sides, F.posexplode(BANDS).alias(BAND, CODE))
    chosen = stack.enter_context(kept(_buckets(entries, between=between)))
    [row] = chosen.agg(F.sum(column(_BYTES) * column(_N_BLOCKS)).alias(_BYTES)).collect()
    n_tasks = max(1, (row[_BYTES] or 0) // _TASK_BYTES)
    # Its blocks are of the id, and so the same in every bucket that has as many.
    members = entries.join(chosen.select(BAND, CODE, _N_BLOCKS), [BAND, CODE]).select(
        ID,
        BAND,
        CODE,
        _N_BLOCKS,
        F.pmod(F.xxhash64(column(ID)), _N_BLOCKS).cast("int").alias(BLOCK),
    )
    members = members.withColumn(
        _OTHER_BLOCK, F.explode(F.sequence(F.lit(0), column(_N_BLOCKS) - F.lit(1)))
    ).select(
        *(ID, BAND, CODE, BLOCK),
        F.least(BLOCK, _OTHER_BLOCK).alias(LOW),
        F.greatest(BLOCK, _OTHER_BLOCK).alias(HIGH),
    )
    task = F.pmod(F.xxhash64(BAND, CODE, LOW, HIGH), F.lit(n_tasks)).alias(_TASK)
    whole = members.withColumn(_TASK, task).join(hashed, ID)
    kind = column_type(hashed, ID)
    found = StructType(
        [StructField(ONE, kind), StructField(OTHER, kind), StructField(PLACE, DoubleType())]
    )
    compare = similar_group(options.rule, options.similarity, between=between)
    return map_groups(whole, [_TASK], compare, found, n_tasks=n_tasks)


def _buckets(entries: DataFrame, *, between: bool) -> DataFrame:
    """Return the buckets whose texts are compared: BAND, CODE, in how many blocks, how many bytes.

    Of those of the same texts the first: two texts are known by the first and the last of them,
    more by a sum of hashes besides.
    """
    members = F.count(F.lit(1)), F.min(ID), F.max(ID), F.bit_xor(F.xxhash64(column(ID)))
    names = [_N, "__lq_first", "__lq_last", "__lq_hash"]
    sides = [F.bit_or(SIDE).alias(SIDE)] if between else []
    buckets = entries.groupBy(BAND, CODE).agg(
        *(of.alias(name) for of, name in zip(members, names, strict=True)),
        F.sum(_BYTES).alias(_BYTES),
        *sides,
    )
    buckets = buckets.where(column(SIDE) == 3) if between else buckets.where(column(_N) > 1)
    of_same = Window.partitionBy(*names).orderBy(BAND)
    first = buckets.withColumn("__lq_place", F.row_number().over(of_same))
    n_blocks = F.greatest(
        _parts(column(_N), _MAX_BLOCK_TEXTS), _parts(column(_BYTES), _BLOCK_BYTES)
    )
    return first.where(column("__lq_place") == 1).select(
        BAND, CODE, n_blocks.cast("int").alias(_N_BLOCKS), _BYTES
    )


def _parts(n: Column, most: int) -> Column:
    """Return how many parts of at most so many there are."""
    return F.ceil(n / F.lit(float(most)))

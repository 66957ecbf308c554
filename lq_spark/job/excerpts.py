"""Excerpts of sentences, around their most doubtful token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StructField, StructType

from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.small_tables import small_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.tasks.tokens.columns import TokenColumns

EXCERPT = 8
"""How many tokens an excerpt has on each side of the doubtful one."""


def excerpts(rows: DataFrame, columns: TokenColumns, worst: list[tuple[Any, ...]]) -> list[str]:
    """Return a text for each of the worst sentences, the doubtful token in brackets.

    Where the table has no texts, the place of the token alone.
    """
    places = {row[0]: row[2] for row in worst if row[2] is not None}
    if columns.token is None or not places:
        return ["" if row[2] is None else f"[token {row[2]}]" for row in worst]
    schema = StructType(
        [
            StructField("__lq_sentence", column_type(rows, columns.sentence_id)),
            StructField("__lq_place", IntegerType()),
        ]
    )
    wanted = small_table(rows.sparkSession, list(places.items()), schema)
    near = rows.join(
        wanted.hint("broadcast"), column(columns.sentence_id) == F.col("__lq_sentence")
    )
    first = F.greatest(F.col("__lq_place") - EXCERPT, F.lit(0))
    if columns.is_nested:
        n_texts = F.col("__lq_place") - first + EXCERPT + 2
        texts = F.slice(column(columns.token), first + 1, n_texts)
        parts = near.select("__lq_sentence", first.alias("first"), texts.alias("texts"))
    else:
        index = column(str(columns.token_index))
        inside = near.where(index.between(first, F.col("__lq_place") + EXCERPT + 1))
        pair = F.struct(index.alias("place"), column(columns.token).alias("text"))
        parts = inside.groupBy("__lq_sentence", first.alias("first")).agg(
            F.sort_array(F.collect_list(pair)).alias("pairs")
        )
        parts = parts.select("__lq_sentence", "first", F.col("pairs.text").alias("texts"))
    marked = {row[0]: _marked(row[2], places[row[0]] - row[1], row[1]) for row in parts.collect()}
    return [marked.get(row[0], "") for row in worst]


def _marked(texts: list[str | None], place: int, first: int) -> str:
    """Return an excerpt; ``texts`` has one more than it shows where there are more."""
    words = [f"[{text}]" if i == place else str(text) for i, text in enumerate(texts)]
    shown = words[: place + EXCERPT + 1]
    return " ".join([*["…"] * (first > 0), *shown, *["…"] * (len(shown) < len(words))])

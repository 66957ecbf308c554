"""Which sentences of a table of tokens cannot be scored, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.engine.inputs import column, require_new_columns
from lq_spark.engine.keys import KeySummary
from lq_spark.engine.verbs import with_mapped
from lq_spark.tasks import multiclass
from lq_spark.tasks.shared.keys import with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON
from lq_spark.tasks.shared.probabilities import PredProbs
from lq_spark.tasks.shared.reasons import REASON_SCHEMA
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.tokens.batches import sentence_reason_batch
from lq_spark.tasks.tokens.columns import (
    TokenColumns,
    nested_inputs,
    nested_n_classes,
    token_columns,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

BROKEN_INDEX = "token_index is not 0, 1, 2, … each once"
"""Reason of a sentence with duplicates, gaps, nulls or another start in its token_index."""

_JOINED, _NEW = "__lq_joined", "__lq_new"


def validate(
    df: DataFrame,
    *,
    sentence_id: str = "sentence_id",
    labels: str = "labels",
    token_index: str | None = None,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    tokens: str | None = None,
    token: str | None = None,
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    tolerance: float = SUM_TOLERANCE,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a sentence cannot be scored, else null. Lazy.

    A token that cannot be scored makes its sentence one that cannot: in a table of tokens every row
    of the sentence says so, and names the token. A sentence with several faults has one of them as
    its reason, the first token's among those of tokens.

    Parameters
    ----------
    df, sentence_id, labels, token_index, label, pred_probs, tokens, token, classes, n_classes, \
tolerance
        As for :func:`lq_spark.tokens.score`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    require_tolerance(tolerance)
    refuse_stream(df, "tokens.validate", lazy=True)
    columns = token_columns(
        df, sentence_id, token_index, labels, label, pred_probs, tokens, token, classes
    )
    require_new_columns(df, [INVALID_REASON])
    if columns.is_nested:
        return _checked_sentences(df, columns, n_classes, tolerance)
    return _checked_tokens(df, columns, n_classes, tolerance)


def _checked_sentences(
    df: DataFrame, columns: TokenColumns, n_classes: int | None, tolerance: float
) -> DataFrame:
    k = nested_n_classes(df, columns, n_classes)
    function = sentence_reason_batch(k, columns.classes, tolerance)
    checked = with_mapped(df, function, nested_inputs(df, columns), REASON_SCHEMA)
    name = columns.sentence_id
    return with_key_reasons(checked, df, name, null=f"null {name}", duplicate=f"duplicate {name}")


def _checked_tokens(
    df: DataFrame, columns: TokenColumns, n_classes: int | None, tolerance: float
) -> DataFrame:
    checked = multiclass.validate(
        df,
        label=columns.label,
        pred_probs=columns.pred_probs,
        classes=columns.classes,
        n_classes=n_classes,
        tolerance=tolerance,
    )
    sentence, place = column(columns.sentence_id), column(str(columns.token_index))
    reason = F.when(column(INVALID_REASON).isNotNull(), F.struct(place, column(INVALID_REASON)))
    # Each (sentence, place) by itself first: what occurs twice shows exactly.
    places = checked.groupBy(sentence.alias(_JOINED), place.alias("place")).agg(
        F.count(F.lit(1)).alias("rows"), F.min(reason).alias("reason")
    )
    sentences = places.groupBy(_JOINED).agg(
        _is_broken(F.col("place"), F.col("rows")).alias("broken"), F.min("reason").alias("reason")
    )
    first = F.col("reason")
    token_reason = F.concat(
        F.lit("token "),
        first[str(columns.token_index)].cast("string"),
        F.lit(": "),
        first[INVALID_REASON],
    )
    bad = sentences.where(F.col("broken") | first.isNotNull()).select(
        _JOINED, F.when(F.col("broken"), F.lit(BROKEN_INDEX)).otherwise(token_reason).alias(_NEW)
    )
    given = checked.select(*map(column, df.columns))
    joined = given.join(bad, sentence == F.col(_JOINED), "left")
    whole = F.when(sentence.isNull(), f"null {columns.sentence_id}").otherwise(F.col(_NEW))
    return joined.select(*map(column, df.columns), whole.alias(INVALID_REASON))


def _is_broken(place: Column, rows: Column) -> Column:
    """Return whether the places of a sentence, grouped with their rows, are not 0 to n - 1."""
    n_places = F.count(place)
    return (
        (F.max(rows) > 1)
        | (F.count(F.lit(1)) > n_places)
        | (n_places == 0)
        | (F.min(place) != 0)
        | (F.max(place) != n_places - 1)
    )


def broken_sentences(df: DataFrame, columns: TokenColumns) -> DataFrame:
    """Return the ids of the sentences of a table of tokens whose token_index is broken, or null."""
    return _sentences(df, columns).where("broken").select("id")


def summarize_sentences(df: DataFrame, columns: TokenColumns) -> KeySummary:
    """Count the sentences of a table of tokens, and check that each is whole and has an id."""
    sentences = _sentences(df, columns)
    [(n, n_broken)] = sentences.agg(F.count(F.lit(1)), F.count_if("broken")).collect()
    return KeySummary(n, n_broken == 0)


def _sentences(df: DataFrame, columns: TokenColumns) -> DataFrame:
    """Return the id of each sentence of a table of tokens, and whether it is broken."""
    sentence, place = column(columns.sentence_id), column(str(columns.token_index))
    places = df.groupBy(sentence.alias("id"), place.alias("place")).agg(
        F.count(F.lit(1)).alias("rows")
    )
    broken = _is_broken(F.col("place"), F.col("rows")) | F.col("id").isNull()
    return places.groupBy("id").agg(broken.alias("broken"))

"""Label quality of tokens and sentences, in tables of either; the mathematics is in lq_spark.core.

A nested table is scored by its offsets in one Python pass, without exploding it; a long one as
rows, which are then put together again by sentence. Label issues are those of the tokens as rows,
with thresholds and joint over all of them: a nested table is exploded for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.core.tokens.sentences import require_sentence_method
from lq_spark.engine.inputs import column, columns_alone, require_new_columns
from lq_spark.engine.readings import BatchFunction
from lq_spark.engine.verbs import map_rows, with_mapped
from lq_spark.errors import require_one_of
from lq_spark.tasks import multiclass
from lq_spark.tasks.shared.names import LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.probabilities import PredProbs, probability_names
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.tokens.batches import (
    SENTENCE_QUALITY,
    TOKEN_QUALITIES,
    WORST_GIVEN_LABEL,
    WORST_PREDICTED_LABEL,
    WORST_TOKEN_INDEX,
    aggregated_batch,
    nested_batch,
    nested_schema,
    sentence_schema,
)
from lq_spark.tasks.tokens.checks import BROKEN_INDEX
from lq_spark.tasks.tokens.columns import (
    TokenColumns,
    nested_inputs,
    nested_n_classes,
    one_row_a_token,
    token_columns,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


WORST_TOKEN = "worst_token"
_NEW = "__lq_new"
_SENTENCE = "__lq_sentence"


def score(
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
    token_score_method: str = "self_confidence",
    sentence_score_method: str = "min",
    sentence_score_kwargs: Mapping[str, Any] | None = None,
    level: str = "sentence",
    on_invalid: str = "fail",
    tolerance: float = SUM_TOLERANCE,
) -> DataFrame:
    """Return the label quality of sentences, or of their tokens: 1 clean, 0 suspect. Lazy.

    Parameters
    ----------
    df : DataFrame
        One row a sentence, with columns of arrays; if ``token_index`` is given, one row a token.
    sentence_id : str
        Column that tells sentences apart.
    labels, tokens : str
        In a table of sentences: array of the given labels, of the types as for
        :func:`lq_spark.multiclass.score`; array of the texts, where there is one.
    token_index, label, token : str
        In a table of tokens: the place in the sentence, from 0 without gaps; the given label; the
        text, where there is one.
    pred_probs : str or sequence of str
        The K predicted probabilities of a token, in the forms as for
        :func:`lq_spark.multiclass.score`; in a table of sentences an array of such, but for Spark
        ML vectors and a column a class.
    classes : sequence of str, optional
        Class names in the order of the probabilities; needed where labels are strings.
    n_classes : int, optional
        K. Where neither it nor classes say it, the first token does (a small Spark job now).
    token_score_method : {"self_confidence", "normalized_margin", "confidence_weighted_entropy"}
        The score of a token.
    sentence_score_method : {"min", "softmin"}
        The score of a sentence, see :func:`lq_spark.core.tokens.sentences.sentence_scores`.
    sentence_score_kwargs : mapping, optional
        ``{"temperature": 0.05}`` of "softmin".
    level : {"sentence", "token"}
        What a row of the result is.
    on_invalid : {"fail", "null"}
        What to do with a sentence, or token, that cannot be scored: fail the query, or leave its
        new columns null.
    tolerance : float
        How far a token's probabilities may sum from 1, and one of them exceed 1.

    Returns
    -------
    DataFrame
        Level "sentence": the caller's rows, or one row a sentence of a table of tokens, with
        ``sentence_quality``, ``token_qualities`` (in token order), ``worst_token_index``,
        ``worst_token`` (if there are texts), ``worst_given_label``, ``worst_predicted_label``. A
        sentence without tokens has quality 1 and no worst token. Level "token": one row a token
        with ``label_quality`` and ``predicted_label``.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.

    Notes
    -----
    Source: Wang and Mueller, "Detecting Label Errors in Token Classification Data" (2022).
    """
    require_method(token_score_method, option="token_score_method")
    temperature = require_sentence_method(sentence_score_method, sentence_score_kwargs or {})
    require_one_of("level", level, ("sentence", "token"))
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    require_tolerance(tolerance)
    columns = token_columns(
        df, sentence_id, token_index, labels, label, pred_probs, tokens, token, classes
    )
    how = {"method": token_score_method, "on_invalid": on_invalid, "tolerance": tolerance}
    if level == "token":
        return _scored_tokens(df, columns, n_classes, **how)
    added = [SENTENCE_QUALITY, TOKEN_QUALITIES, WORST_TOKEN_INDEX]
    added += [WORST_TOKEN] if columns.token else []
    added += [WORST_GIVEN_LABEL, WORST_PREDICTED_LABEL]
    if columns.is_nested:
        require_new_columns(df, added)
        function = nested_batch(
            nested_n_classes(df, columns, n_classes),
            columns.classes,
            columns.label_type,
            token_score_method,
            sentence_score_method,
            temperature,
            fail=on_invalid == "fail",
            tolerance=tolerance,
        )
        schema = nested_schema(columns.label_type)
        scored = with_mapped(df, function, nested_inputs(df, columns), schema)
        made = {name: column(name) for name in added}
        if columns.token:
            text = F.get(column(columns.token), F.col(WORST_TOKEN_INDEX))
            made[WORST_TOKEN] = text.alias(WORST_TOKEN)
        return scored.select(*map(column, df.columns), *made.values())
    refuse_stream(df, "tokens.score of one row a token, at level 'sentence',")
    named = [columns.sentence_id, str(columns.token_index), columns.label]
    named += probability_names(columns.pred_probs)
    named += [columns.token] if columns.token else []
    scored = _scored_tokens(columns_alone(df, named), columns, n_classes, **how)
    return _put_together(
        scored, columns, aggregated_batch(sentence_score_method, temperature), added, on_invalid
    )


def _scored_tokens(
    df: DataFrame, columns: TokenColumns, n_classes: int | None, **how: Any
) -> DataFrame:
    long, named = one_row_a_token(df, columns, fail=how["on_invalid"] == "fail")
    if n_classes is None and columns.is_nested:
        n_classes = nested_n_classes(df, columns, n_classes)
    return multiclass.score(
        long,
        label=named.label,
        pred_probs=named.pred_probs,
        classes=named.classes,
        n_classes=n_classes,
        predicted_label=True,
        **how,
    )


def _put_together(
    scored: DataFrame,
    columns: TokenColumns,
    function: BatchFunction,
    added: Sequence[str],
    on_invalid: str,
) -> DataFrame:
    """Return one row a sentence of tokens that have scores, in any order."""
    fields = {"place": str(columns.token_index), "quality": LABEL_QUALITY}
    fields |= {"given": columns.label, "predicted": PREDICTED_LABEL}
    fields |= {"text": columns.token} if columns.token else {}
    row = F.struct(*(column(name).alias(field) for field, name in fields.items()))
    sentences = scored.groupBy(column(columns.sentence_id).alias(_SENTENCE)).agg(
        F.sort_array(F.collect_list(row)).alias("tokens")
    )
    places = F.sequence(F.lit(0), F.size("tokens") - 1).cast("array<bigint>")
    is_whole = F.col("tokens.place").cast("array<bigint>") == places
    is_whole &= F.col(_SENTENCE).isNotNull()
    if on_invalid == "fail":
        text = F.concat(
            F.lit(f"{columns.sentence_id} "),
            F.coalesce(F.col(_SENTENCE).cast("string"), F.lit("null")),
            F.lit(f": {BROKEN_INDEX}; tokens.validate names all such sentences"),
        )
        is_usable = F.when(is_whole, F.lit(True)).otherwise(F.raise_error(text).cast("boolean"))
    else:
        is_usable = is_whole & ~F.exists("tokens.quality", lambda quality: quality.isNull())
    qualities = F.when(is_usable, F.col("tokens.quality"))
    new = map_rows(function, [F.col(TOKEN_QUALITIES)], sentence_schema())
    scores = sentences.withColumn(TOKEN_QUALITIES, qualities).withColumn(_NEW, new)
    worst = F.get("tokens", F.col(f"{_NEW}.{WORST_TOKEN_INDEX}"))
    made = {
        SENTENCE_QUALITY: F.col(f"{_NEW}.{SENTENCE_QUALITY}"),
        TOKEN_QUALITIES: F.col(TOKEN_QUALITIES),
        WORST_TOKEN_INDEX: F.col(f"{_NEW}.{WORST_TOKEN_INDEX}"),
        WORST_GIVEN_LABEL: worst["given"],
        WORST_PREDICTED_LABEL: worst["predicted"],
    }
    if columns.token:
        made[WORST_TOKEN] = worst["text"]
    return scores.select(
        F.col(_SENTENCE).alias(columns.sentence_id), *(made[name].alias(name) for name in added)
    )

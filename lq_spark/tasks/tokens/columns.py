"""Tables of labelled tokens in their two shapes, checked on the driver.

Nested: one row a sentence, with arrays of labels, probabilities and, if there are, tokens. Long:
one row a token, in any order, with the sentence that it is of and its place there, from 0.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, IntegralType, StringType

from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.inputs import column, column_type, require_columns, require_key
from lq_spark.engine.readings import (
    Input,
    Unnesting,
    literal_input,
    partial_reading_of,
    with_reading,
)
from lq_spark.errors import ColumnError, OptionError, listed
from lq_spark.tasks.shared.classes import checked_classes, require_room, resolved_n_classes
from lq_spark.tasks.shared.labels import (
    classes_of_labels,
    is_padded,
    label_arrays,
    label_arrays_input,
    require_label_array,
)
from lq_spark.tasks.shared.probabilities import (
    PredProbs,
    Probabilities,
    nested_probabilities,
    probability_names,
)
from lq_spark.tasks.shared.table import labelled_table
from lq_spark.tasks.tokens.batches import NOT_WHOLE, TOKEN_INDEX, token_rows

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

TOKEN, LABEL, PRED_PROBS = "token", "label", "pred_probs"
_SENTENCE = "__lq_sentence"


@dataclass(frozen=True)
class TokenColumns:
    """The columns of a table of tokens, as the caller names them, and its classes.

    Attributes
    ----------
    sentence_id : str
    token_index : str or None
        None: the table is nested.
    label : str
    pred_probs : str or sequence of str
        In a nested table columns of arrays.
    token : str or None
        Column of the text, or the texts, where there is one.
    classes : tuple of str, or None
    label_type : DataType
        Of one label.
    """

    sentence_id: str
    token_index: str | None
    label: str
    pred_probs: PredProbs
    token: str | None
    classes: tuple[str, ...] | None
    label_type: DataType

    @property
    def is_nested(self) -> bool:
        """Return whether a row is a sentence."""
        return self.token_index is None


def token_columns(
    df: DataFrame,
    sentence_id: str,
    token_index: str | None,
    labels: str,
    label: str,
    pred_probs: PredProbs,
    tokens: str | None,
    token: str | None,
    classes: Sequence[str] | None,
) -> TokenColumns:
    """Check the columns of a table of tokens: nested where token_index is None.

    Raises
    ------
    ColumnError
        If a column is missing or of another type, or labels are strings and no classes are given.
    OptionError
        If classes has fewer than two names, or a name twice, or the column of the text is named for
        a table of the other shape.
    """
    require_key(df, "sentence_id", sentence_id)
    if (tokens if token_index is not None else token) is not None:
        raise OptionError(
            "tokens is a column of arrays, in a table of one row a sentence, and token a column of "
            f"one row a token, with token_index; got tokens={tokens!r}, token={token!r}, "
            f"token_index={token_index!r}"
        )
    if token_index is None:
        label, token = labels, tokens
        label_type, names = _require_nested(df, label, pred_probs, token, checked_classes(classes))
        names, _ = classes_of_labels(df, "labels", label, label_type, names)
    else:
        require_columns(df, token_index=token_index)
        if not isinstance(column_type(df, token_index), IntegralType):
            raise ColumnError(
                f"token_index: column {token_index!r} is "
                f"{column_type(df, token_index).simpleString()}; allowed are whole numbers"
            )
        table = labelled_table(df, label=label, pred_probs=pred_probs, classes=classes)
        names, label_type = table.classes, table.label_type
        if token is not None:
            require_columns(df, token=token)
    return TokenColumns(sentence_id, token_index, label, pred_probs, token, names, label_type)


def _require_nested(
    df: DataFrame,
    label: str,
    pred_probs: PredProbs,
    token: str | None,
    classes: tuple[str, ...] | None,
) -> tuple[DataType, tuple[str, ...] | None]:
    """Return the type of a label of a nested table, and the classes; or raise what is wrong."""
    if not isinstance(pred_probs, str):
        raise OptionError(
            f"pred_probs must be a column of arrays in a table of sentences, got {pred_probs!r}; "
            "for a row a token, with a column a class, give token_index"
        )
    require_columns(df, labels=label, pred_probs=pred_probs)
    label_type = require_label_array(
        df, "labels", label, " in a table of sentences; for a row a token give token_index"
    )
    read = nested_probabilities(df, pred_probs, classes, label_type)
    if token is not None:
        require_columns(df, tokens=token)
        if not _is_string_array(df, token):
            raise ColumnError(
                f"tokens: column {token!r} is {column_type(df, token).simpleString()}; allowed is "
                "array<string> in a table of sentences"
            )
    return label_type, read.classes


def _is_string_array(df: DataFrame, name: str) -> bool:
    kind = column_type(df, name)
    return isinstance(kind, ArrayType) and isinstance(kind.elementType, StringType)


def one_row_a_token(
    df: DataFrame, columns: TokenColumns, *, fail: bool = True
) -> tuple[DataFrame, TokenColumns]:
    """Return a table with a row for each token, and its columns; a long table as it is.

    Raises ColumnError if the sentences' id has the name of another column that is made.

    A sentence without an array, or whose arrays differ in length, fails the query; or its tokens
    get nulls for what is missing, as many as its longest array has.
    """
    if not columns.is_nested:
        return df, columns
    arrays = {LABEL: columns.label, PRED_PROBS: probability_names(columns.pred_probs)[0]}
    if columns.token is not None:
        arrays[TOKEN] = columns.token
    made = [TOKEN_INDEX, *arrays]
    if columns.sentence_id.lower() in made:
        raise ColumnError(
            f"sentence_id: column {columns.sentence_id!r} is named as one of a table of tokens "
            f"({listed(made)}); rename it"
        )
    # Selected under our names first: arrays_zip names its fields by its columns.
    given = df.select(
        column(columns.sentence_id).alias(_SENTENCE),
        *(_given(df, columns, name).alias(field) for field, name in arrays.items()),
    )
    sizes = [F.size(F.coalesce(F.col(field), F.array())) for field in arrays]
    is_whole = F.lit(True)
    for field, size in zip(arrays, sizes, strict=True):
        is_whole &= F.col(field).isNotNull() & (size == sizes[0])
    text = F.concat(
        F.lit(f"{columns.sentence_id} "),
        F.coalesce(F.col(_SENTENCE).cast("string"), F.lit("null")),
        F.lit(NOT_WHOLE),
    )
    filled = given.select(
        _SENTENCE,
        is_whole.alias("__lq_whole"),
        *(F.coalesce(field, F.array()).alias(field) for field in arrays),
    )
    checked = F.arrays_zip(*arrays)
    if fail:
        checked = F.when(F.col("__lq_whole"), checked).otherwise(F.raise_error(text))
    rows = filled.select(_SENTENCE, F.posexplode(checked).alias(TOKEN_INDEX, "__lq_token"))
    names = [TOKEN, LABEL, PRED_PROBS] if columns.token else [LABEL, PRED_PROBS]
    long = rows.select(
        F.col(_SENTENCE).alias(columns.sentence_id),
        TOKEN_INDEX,
        *(F.col(f"__lq_token.{name}").alias(name) for name in names),
    )
    token = TOKEN if columns.token else None
    named = replace(
        columns, token_index=TOKEN_INDEX, label=LABEL, pred_probs=PRED_PROBS, token=token
    )
    reading = partial_reading_of(df)
    if reading is None or not fail or is_padded(df, columns.label):
        return long, named
    made = [columns.sentence_id, TOKEN_INDEX, *names]
    nested = tuple(arrays[name] for name in names)
    function = functools.partial(token_rows, names=made)
    unnesting = Unnesting((columns.sentence_id, *nested), function)
    return with_reading(long, reading.unnested(unnesting, made)), named


def _given(df: DataFrame, columns: TokenColumns, name: str) -> Column:
    """Return an array column; of char(n) without the blanks: a column of its items is a string."""
    padded = name == columns.label and is_padded(df, name)
    return label_arrays(column(name), StringType(), padded=padded)


def nested_n_classes(df: DataFrame, columns: TokenColumns, n_classes: int | None) -> int:
    """Return K of a table of sentences; where nothing else says it, that of the first token."""
    read = _read_nested(df, columns)
    of_token = replace(read, array=F.get(read.array, F.lit(0)), source=None)
    k = resolved_n_classes(df, of_token, columns.label_type, n_classes, label=columns.label)
    require_room(columns.label_type, columns.label, k)
    return k


def nested_inputs(df: DataFrame, columns: TokenColumns) -> list[Input]:
    """Return what the batch functions of sentences take: labels, pred_probs, number of tokens."""
    padded = is_padded(df, columns.label)
    labels = label_arrays_input(columns.label, columns.label_type, padded=padded)
    pred_probs = _read_nested(df, columns).input
    if columns.token is None:
        return [labels, pred_probs, literal_input(-1, columns.label)]
    token = column(columns.token)
    n_tokens = F.when(token.isNull(), 0).otherwise(F.size(token)).cast("int")
    return [labels, pred_probs, Input(n_tokens, columns.token, _list_lengths)]


def _list_lengths(lists: pa.Array) -> pa.Array:
    return pa.array(flat_lists(lists).lengths)


def _read_nested(df: DataFrame, columns: TokenColumns) -> Probabilities:
    name = probability_names(columns.pred_probs)[0]
    return nested_probabilities(df, name, columns.classes, columns.label_type)

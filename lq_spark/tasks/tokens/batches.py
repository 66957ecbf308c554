"""The batch functions of tables of sentences: Arrow arrays in, Arrow arrays out, no session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.types import ArrayType, DataType, DoubleType, IntegerType, StructField, StructType

from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.shared.checks import row_faults
from lq_spark.core.shared.segments import first_minima
from lq_spark.core.tokens.sentences import sentence_scores
from lq_spark.engine.arrow import ListFault, flat_lists, nested_rows
from lq_spark.engine.readings import BatchFunction
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.shared.batches import (
    is_usable,
    list_array,
    reason_column,
    require_usable,
    row_reasons,
    spread,
    spread_columns,
)
from lq_spark.tasks.shared.labels import class_indices, label_array
from lq_spark.tasks.shared.names import NO_LABELS, NO_PRED_PROBS

SENTENCE_QUALITY, TOKEN_QUALITIES = "sentence_quality", "token_qualities"
WORST_TOKEN_INDEX = "worst_token_index"
WORST_GIVEN_LABEL, WORST_PREDICTED_LABEL = "worst_given_label", "worst_predicted_label"

TOKEN_INDEX = "token_index"

LENGTHS_DIFFER = "labels, tokens and pred_probs differ in length"

NOT_WHOLE = f": {LENGTHS_DIFFER}, or are null; tokens.validate names all such sentences"
"""What is wrong with a sentence that cannot be taken apart, after its id."""


def sentence_schema() -> StructType:
    """Return what :func:`aggregated_batch` gives of a sentence."""
    return StructType(
        [
            StructField(SENTENCE_QUALITY, DoubleType()),
            StructField(WORST_TOKEN_INDEX, IntegerType()),
        ]
    )


def nested_schema(label_type: DataType) -> StructType:
    """Return what :func:`nested_batch` gives of a sentence."""
    return StructType(
        [
            *sentence_schema().fields,
            StructField(TOKEN_QUALITIES, ArrayType(DoubleType())),
            StructField(WORST_GIVEN_LABEL, label_type),
            StructField(WORST_PREDICTED_LABEL, label_type),
        ]
    )


@dataclass(frozen=True, slots=True)
class SentenceBatch:
    """The sentences of a batch that can be scored, and why the others cannot.

    Attributes
    ----------
    labels : ndarray of int64, shape (m,)
        Of the tokens of all sentences that can be scored, in order.
    pred_probs : ndarray of float, shape (m, K)
    lengths : ndarray of int64
        Number of tokens of each of these sentences.
    reasons : ndarray of object, shape (n,), or None
        For each sentence of the batch a text, or None where it can be scored; None where all can.
    """

    labels: NDArray[np.int64]
    pred_probs: NDArray[np.floating]
    lengths: NDArray[np.int64]
    reasons: NDArray[np.object_] | None


def read_sentences(
    labels: pa.Array,
    pred_probs: pa.Array,
    n_tokens: pa.Array,
    n_classes: int,
    classes: tuple[str, ...] | None,
    tolerance: float,
) -> SentenceBatch:
    """Sort the sentences of a batch into those that can be scored and those that cannot.

    ``n_tokens`` are the numbers of token texts, negative where there are none to be counted.
    """
    flat_labels, label_lengths, no_labels = flat_lists(labels)
    index = class_indices(flat_labels, classes)
    nested = nested_rows(pred_probs, n_classes)
    texts = n_tokens.to_numpy(zero_copy_only=False)
    differ = (label_lengths != nested.lengths) | ((texts >= 0) & (texts != label_lengths))
    whole = not (no_labels.any() or nested.is_null.any() or differ.any())
    if whole and nested.rows.faults is None:
        faults = row_faults(index, nested.rows.matrix, tolerance=tolerance)
        if not faults.any():
            return SentenceBatch(index, nested.rows.matrix, label_lengths, None)

    reasons = np.full(len(labels), None, dtype=object)
    reasons[differ] = LENGTHS_DIFFER
    reasons[nested.is_null] = NO_PRED_PROBS
    reasons[no_labels] = NO_LABELS
    # Tokens of sentences that hold together, in both flat columns; then the first bad one of each.
    keep = is_usable(reasons)
    of_labels, of_probs = np.repeat(keep, label_lengths), np.repeat(keep, nested.lengths)
    list_faults = (
        np.zeros(len(of_probs), dtype=np.uint8)
        if nested.rows.faults is None
        else nested.rows.faults
    )
    has_row = list_faults == ListFault.NONE
    index, matrix = index[of_labels], nested.rows.matrix[of_probs[has_row]]
    list_faults = list_faults[of_probs]
    has_row = list_faults == ListFault.NONE
    faults = row_faults(index[has_row], matrix, tolerance=tolerance)
    named = flat_labels.filter(pa.array(of_labels))
    texts_of_tokens = row_reasons(index, list_faults, faults, named)
    sentence = np.repeat(np.flatnonzero(keep), label_lengths[keep])
    starts = np.concatenate([[0], np.cumsum(label_lengths[keep])])[:-1]
    place = np.arange(len(sentence)) - np.repeat(starts, label_lengths[keep])
    for token in np.flatnonzero(~is_usable(texts_of_tokens))[::-1]:  # the first stays
        reasons[sentence[token]] = f"token {place[token]}: {texts_of_tokens[token]}"
    usable = is_usable(reasons)
    usable_tokens = usable[sentence]
    return SentenceBatch(
        index[usable_tokens],
        matrix[usable_tokens[has_row]],
        label_lengths[usable],
        None if usable.all() else reasons,
    )


def nested_batch(
    n_classes: int,
    classes: tuple[str, ...] | None,
    label_type: DataType,
    token_method: str,
    sentence_method: str,
    temperature: float,
    *,
    fail: bool,
    tolerance: float,
) -> BatchFunction:
    """Return (labels, pred_probs, number of tokens) -> the scores of each sentence."""

    def run(labels: pa.Array, pred_probs: pa.Array, n_tokens: pa.Array) -> dict[str, pa.Array]:
        batch = read_sentences(labels, pred_probs, n_tokens, n_classes, classes, tolerance)
        if fail:
            require_usable(batch.reasons, n_classes, "sentences", "tokens")
        scores = score_rows(batch.labels, batch.pred_probs, token_method)
        offsets = np.concatenate([[0], np.cumsum(batch.lengths)])
        worst = first_minima(scores, offsets)
        at = (offsets[:-1] + worst)[worst >= 0]
        predicted = batch.pred_probs[at].argmax(axis=1)
        has_token = worst >= 0
        columns = {
            SENTENCE_QUALITY: pa.array(
                sentence_scores(scores, offsets, sentence_method, temperature)
            ),
            WORST_TOKEN_INDEX: pa.array(worst.astype(np.int32), mask=~has_token),
            TOKEN_QUALITIES: list_array(pa.array(scores), offsets),
            WORST_GIVEN_LABEL: spread(
                label_array(batch.labels[at], label_type, classes), has_token
            ),
            WORST_PREDICTED_LABEL: spread(label_array(predicted, label_type, classes), has_token),
        }
        return spread_columns(columns, batch.reasons)

    return run


def aggregated_batch(sentence_method: str, temperature: float) -> BatchFunction:
    """Return (token_qualities) -> the score of each sentence and the place of its worst token."""

    def run(token_qualities: pa.Array) -> dict[str, pa.Array]:
        scores, _, is_null = lists = flat_lists(token_qualities)
        offsets = lists.offsets
        values = np.asarray(scores.to_numpy(zero_copy_only=False), dtype=np.float64)
        worst = first_minima(values, offsets)
        quality = sentence_scores(values, offsets, sentence_method, temperature)
        return {
            SENTENCE_QUALITY: pa.array(quality, mask=is_null),
            WORST_TOKEN_INDEX: pa.array(worst.astype(np.int32), mask=is_null | (worst < 0)),
        }

    return run


def sentence_reason_batch(
    n_classes: int, classes: tuple[str, ...] | None, tolerance: float
) -> BatchFunction:
    """Return (labels, pred_probs, number of tokens) -> invalid_reason."""

    def run(labels: pa.Array, pred_probs: pa.Array, n_tokens: pa.Array) -> dict[str, pa.Array]:
        reasons = read_sentences(
            labels, pred_probs, n_tokens, n_classes, classes, tolerance
        ).reasons
        return reason_column(reasons, len(labels))

    return run


def token_rows(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Return a row for each token of sentences.

    Parameters
    ----------
    batch : RecordBatch
        The ids of sentences, and lists of what their tokens have.
    names : sequence of str
        Of the columns of the result: the id, the place of the token, what the lists hold.

    Raises
    ------
    InvalidRowsError
        If a sentence has no list, or lists of different lengths.
    """
    ids, *columns = batch.columns
    lists = [flat_lists(column) for column in columns]
    lengths = lists[0].lengths
    broken = np.zeros(len(ids), dtype=bool)
    for found in lists:
        broken |= found.is_null | (found.lengths != lengths)
    if broken.any():
        shown = ids[int(np.flatnonzero(broken)[0])].as_py()
        raise InvalidRowsError(f"{names[0]} {'null' if shown is None else shown}{NOT_WHOLE}")
    place = np.arange(lengths.sum()) - np.repeat(lists[0].offsets[:-1], lengths)
    arrays = [
        ids.take(pa.array(lists[0].rows)),
        pa.array(place.astype(np.int32)),
        *(found.values for found in lists),
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(names))

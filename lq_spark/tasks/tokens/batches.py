"""The batch functions of tables of sentences: Arrow arrays in, Arrow arrays out, no session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DoubleType,
    IntegerType,
    StructField,
    StructType,
)

from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.shared.checks import FAULT_REASONS, RowFault, row_faults
from lq_spark.core.shared.segments import first_minima
from lq_spark.core.tokens.sentences import sentence_scores
from lq_spark.engine.arrow import ListFault, flat_lists, nested_rows
from lq_spark.engine.verbs import BatchFunction
from lq_spark.tasks.shared.batches import LIST_REASONS, raise_unfit, reason_column, spread
from lq_spark.tasks.shared.labels import (
    NULL_LABEL,
    UNKNOWN_LABEL,
    label_array,
)
from lq_spark.tasks.shared.reasons import (
    LABEL_REASONS,
    named_label,
)

SENTENCE_QUALITY, TOKEN_QUALITIES = "sentence_quality", "token_qualities"
WORST_TOKEN_INDEX = "worst_token_index"
WORST_GIVEN_LABEL, WORST_PREDICTED_LABEL = "worst_given_label", "worst_predicted_label"

LENGTHS_DIFFER = "labels, tokens and pred_probs differ in length"


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
        Of the tokens of all fit sentences, in order.
    pred_probs : ndarray of float, shape (m, K)
    lengths : ndarray of int64
        Number of tokens of each fit sentence.
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
    reasons[nested.is_null] = "null pred_probs"
    reasons[no_labels] = "null labels"
    # Tokens of sentences that hold together, in both flat columns; then the first bad one of each.
    keep = reasons == np.array(None)
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
    texts_of_tokens = _token_reasons(index, list_faults, has_row, faults)
    sentence = np.repeat(np.flatnonzero(keep), label_lengths[keep])
    starts = np.concatenate([[0], np.cumsum(label_lengths[keep])])[:-1]
    place = np.arange(len(sentence)) - np.repeat(starts, label_lengths[keep])
    name_unknown(texts_of_tokens, index, flat_labels.filter(pa.array(of_labels)))
    for token in np.flatnonzero(texts_of_tokens != np.array(None))[::-1]:  # the first stays
        reasons[sentence[token]] = f"token {place[token]}: {texts_of_tokens[token]}"
    fit = reasons == np.array(None)
    fit_tokens = fit[sentence]
    return SentenceBatch(
        index[fit_tokens],
        matrix[fit_tokens[has_row]],
        label_lengths[fit],
        None if fit.all() else reasons,
    )


def class_indices(labels: pa.Array, classes: tuple[str, ...] | None) -> NDArray[np.int64]:
    """Return the class index of labels, NULL_LABEL or UNKNOWN_LABEL where there is none."""
    if classes is None or not (
        pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)
    ):
        index = labels.cast(pa.int64())
        return np.asarray(pc.fill_null(index, NULL_LABEL), dtype=np.int64)
    found = pc.index_in(labels, value_set=pa.array(classes, labels.type)).cast(pa.int64())
    known = np.asarray(pc.fill_null(found, UNKNOWN_LABEL), dtype=np.int64)
    return np.where(np.asarray(labels.is_null()), NULL_LABEL, known)


def name_unknown(reasons: NDArray[np.object_], index: NDArray[np.int64], labels: pa.Array) -> None:
    """Put the labels that are none of the classes into their reasons."""
    for place in np.flatnonzero(index == UNKNOWN_LABEL):
        reasons[place] = named_label(labels[place].as_py())


def _token_reasons(
    index: NDArray[np.int64],
    list_faults: NDArray[np.uint8],
    has_row: NDArray[np.bool_],
    faults: NDArray[np.uint8],
) -> NDArray[np.object_]:
    reasons = np.full(len(index), None, dtype=object)
    for list_fault, text in LIST_REASONS.items():
        reasons[list_faults == list_fault] = text
    for fault, text in FAULT_REASONS.items():
        reasons[np.flatnonzero(has_row)[faults == RowFault(fault)]] = text
    for label, text in LABEL_REASONS.items():
        reasons[index == label] = text
    return reasons


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
        if fail and batch.reasons is not None:
            raise_unfit(batch.reasons, n_classes, "sentences", "tokens")
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
            TOKEN_QUALITIES: pa.ListArray.from_arrays(
                pa.array(offsets.astype(np.int32)), pa.array(scores)
            ),
            WORST_GIVEN_LABEL: spread(
                label_array(batch.labels[at], label_type, classes), has_token
            ),
            WORST_PREDICTED_LABEL: spread(label_array(predicted, label_type, classes), has_token),
        }
        if batch.reasons is None:
            return columns
        fit = batch.reasons == np.array(None)
        return {name: spread(values, fit) for name, values in columns.items()}

    return run


def aggregated_batch(sentence_method: str, temperature: float) -> BatchFunction:
    """Return (token_qualities) -> the score of each sentence and the place of its worst token."""

    def run(token_qualities: pa.Array) -> dict[str, pa.Array]:
        scores, lengths, is_null = flat_lists(token_qualities)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
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

"""The batch functions of sentences without a Spark session: Arrow arrays in, Arrow arrays out."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.types import ByteType, IntegerType, LongType, ShortType, StringType

from lq_spark.core.multiclass.scores import METHODS, score_rows
from lq_spark.core.tokens.sentences import sentence_scores
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.shared.labels import (
    NULL_LABEL,
    UNKNOWN_LABEL,
)
from lq_spark.tasks.tokens.batches import (
    LENGTHS_DIFFER,
    aggregated_batch,
    nested_batch,
    nested_schema,
    read_sentences,
    sentence_reason_batch,
    sentence_schema,
)

NAN, INF = float("nan"), float("inf")
K, TOLERANCE = 3, 1e-3
CLASSES = ("O", "B-LOC", "")
ROW, OTHER = [0.5, 0.25, 0.25], [0.0, 0.25, 0.75]
LISTS = {"float": pa.float32(), "double": pa.float64()}

GOOD = [
    ([0], [ROW]),
    ([1, 2, 0], [ROW, OTHER, OTHER]),
    ([], []),
    ([2], [[0.50002, 0.25, 0.25]]),  # a float softmax may sum to a little more than 1
]
BAD_TOKENS = {
    "null label": (None, ROW),
    "label out of range": (3, ROW),
    "null pred_probs": (0, None),
    "pred_probs of wrong length": (0, [0.5, 0.5]),
    "null probability": (0, [0.5, None, 0.5]),
    "probability not finite": (0, [0.5, NAN, 0.5]),
    "probability below 0": (0, [0.5, -0.1, 0.6]),
    "probability above 1": (0, [1.1, 0.0, 0.0]),
    "probabilities do not sum to 1": (0, [0.5, 0.25, 0.2]),
}
FURTHER = [
    ("label out of range", (-1, ROW)),
    ("pred_probs of wrong length", (0, [])),
    ("pred_probs of wrong length", (0, [0.25, 0.25, 0.25, 0.25])),
    ("null probability", (0, [None, None, None])),
    ("probability not finite", (0, [-INF, 1.0, 0.0])),
    ("null label", (None, None)),  # the label's fault before that of the probabilities
    ("label out of range", (7, [0.5, 0.25, 0.2])),
]
BAD_SENTENCES = [
    ("null labels", (None, [ROW])),
    ("null labels", (None, None)),
    ("null pred_probs", ([0], None)),
    ("null pred_probs", ([], None)),
    (LENGTHS_DIFFER, ([0, 0], [ROW])),
    (LENGTHS_DIFFER, ([0], [ROW, OTHER])),
    (LENGTHS_DIFFER, ([], [ROW])),
    (LENGTHS_DIFFER, ([0], [])),
    (LENGTHS_DIFFER, ([9], [ROW, [NAN, 1.0]])),  # a bad token does not matter any more
]


def arrays_of(sentences, label_type=None, element=None):
    labels, rows = zip(*sentences, strict=True) if sentences else ((), ())
    return (
        pa.array(labels, pa.list_(label_type or pa.int32())),
        pa.array(rows, pa.list_(pa.list_(element or pa.float64()))),
        pa.array([-1] * len(sentences), pa.int32()),
    )


def reasons_of(arrays, classes=None):
    [found] = sentence_reason_batch(K, classes, TOLERANCE)(*arrays).values()
    assert found.type == pa.string()
    return found.to_pylist()


def scoring(method="self_confidence", label_type=None, classes=None, fail=False, **sentence):
    kind, how = label_type or IntegerType(), sentence.get("how", "min")
    temperature = sentence.get("temperature", 0.05)
    return nested_batch(K, classes, kind, method, how, temperature, fail=fail, tolerance=TOLERANCE)


@pytest.mark.parametrize("element", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize(("reason", "token"), [*BAD_TOKENS.items(), *FURTHER], ids=str)
def test_a_bad_token_is_named_by_its_reason_and_its_place(reason, token, element):
    for place in (0, 2):
        labels, rows = [0, 1, 2, 1], [ROW, OTHER, ROW, OTHER]
        labels[place], rows[place] = token
        arrays = arrays_of([*GOOD, (labels, rows), *GOOD], element=element)
        none = [None] * len(GOOD)
        assert reasons_of(arrays) == [*none, f"token {place}: {reason}", *none]


@pytest.mark.parametrize("element", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize(("reason", "sentence"), BAD_SENTENCES, ids=str)
def test_a_sentence_that_does_not_hold_together_is_named(reason, sentence, element):
    none = [None] * len(GOOD)
    arrays = arrays_of([*GOOD, sentence, *GOOD], element=element)
    assert reasons_of(arrays) == [*none, reason, *none]


@pytest.mark.parametrize("first", BAD_TOKENS)
@pytest.mark.parametrize("second", BAD_TOKENS)
def test_the_first_bad_token_of_a_sentence_is_its_reason(first, second):
    tokens = [(0, ROW), BAD_TOKENS[first], (0, ROW), BAD_TOKENS[second]]
    sentence = tuple(map(list, zip(*tokens, strict=True)))
    arrays = arrays_of([sentence, GOOD[0], sentence])
    assert reasons_of(arrays) == [f"token 1: {first}", None, f"token 1: {first}"]


@pytest.mark.parametrize(("start", "stop"), [(0, 50), (1, 50), (7, 20), (12, 13), (4, 4)])
def test_a_slice_has_the_reasons_and_scores_of_its_own_sentences(start, stop):
    sentences, expected = [], []
    bad = [(f"token 1: {reason}", ([2, x], [OTHER, p])) for reason, (x, p) in BAD_TOKENS.items()]
    for n, (reason, sentence) in enumerate([*bad, *BAD_SENTENCES]):
        sentences += [GOOD[n % len(GOOD)], sentence]
        expected += [None, reason]
    whole, part = arrays_of(sentences), slice(start, stop)
    arrays = [array[part] for array in whole]
    assert reasons_of(arrays) == expected[part]
    for name, values in scoring()(*arrays).items():
        assert values.to_pylist() == scoring()(*whole)[name].to_pylist()[part]
        is_bad = [reason is not None for reason in expected[part]]
        if name in ("sentence_quality", "token_qualities"):
            assert [value is None for value in values.to_pylist()] == is_bad


@pytest.mark.parametrize(
    ("n_tokens", "reason"), [(-1, None), (2, None), (1, LENGTHS_DIFFER), (0, LENGTHS_DIFFER)]
)
def test_texts_are_as_many_as_labels_where_they_are_counted(n_tokens, reason):
    labels, rows, _ = arrays_of([([0, 1], [ROW, ROW]), ([2], [OTHER])])
    assert reasons_of((labels, rows, pa.array([n_tokens, 1], pa.int32()))) == [reason, None]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@pytest.mark.parametrize("bad", ["b-loc", "O ", "x", "0"])
def test_a_name_that_is_no_class_is_a_fault(kind, bad):
    sentences = [(["", "O"], [ROW, ROW]), (["O", bad], [ROW, ROW]), (["O", None], [ROW, ROW])]
    arrays = arrays_of(sentences, kind)
    expected = [None, f"token 1: label not in classes: '{bad}'", "token 1: null label"]
    assert reasons_of(arrays, CLASSES) == expected
    batch = read_sentences(*arrays, K, CLASSES, TOLERANCE)
    assert batch.labels.tolist() == [2, 0]


def test_labels_that_stand_for_none_are_not_taken_for_classes():
    far = [([NULL_LABEL], [ROW]), ([UNKNOWN_LABEL], [ROW]), ([2**62], [ROW])]
    reasons = reasons_of(arrays_of(far, pa.int64()))
    assert all(reason is not None for reason in reasons)


def test_only_fit_sentences_are_read_in_order():
    sentences = [GOOD[1], ([9], [OTHER]), GOOD[2], (None, [OTHER]), ([2], [OTHER])]
    batch = read_sentences(*arrays_of(sentences), K, None, TOLERANCE)
    assert batch.labels.tolist() == [1, 2, 0, 2]
    assert batch.pred_probs.tolist() == [ROW, OTHER, OTHER, OTHER]
    assert batch.lengths.tolist() == [3, 0, 1]
    assert [reason is None for reason in batch.reasons] == [True, False, True, False, True]


def test_clean_sentences_are_read_without_a_copy():
    arrays = arrays_of(GOOD)
    batch = read_sentences(*arrays, K, None, TOLERANCE)
    assert batch.reasons is None
    memory = np.frombuffer(arrays[1].values.values.buffers()[1])
    assert np.shares_memory(batch.pred_probs, memory)


@pytest.mark.parametrize(
    "sentences", [[], [([], [])], [(None, None)] * 2, [([9], [ROW])], [([], []), (None, [])]]
)
def test_a_batch_without_a_token_to_score_is_no_trouble(sentences):
    arrays = arrays_of(sentences)
    found = scoring()(*arrays)
    expected = [1.0 if labels == [] else None for labels, _ in sentences]
    assert found["sentence_quality"].to_pylist() == expected
    none = [None] * len(sentences)
    for name in ("worst_token_index", "worst_given_label", "worst_predicted_label"):
        assert found[name].to_pylist() == none
    empty = [[] if labels == [] else None for labels, _ in sentences]
    assert found["token_qualities"].to_pylist() == empty


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("how", "temperature"), [("min", 0.0), ("softmin", 0.05)])
def test_bad_sentences_change_no_other_score(method, how, temperature, assert_same_bits):
    mixed = [*GOOD, *(bad for _, bad in BAD_SENTENCES), *GOOD]
    found = scoring(method, how=how, temperature=temperature)(*arrays_of(mixed))
    labels = np.array([x for given, _ in GOOD for x in given])
    scores = score_rows(labels, np.array([p for _, rows in GOOD for p in rows]), method)
    offsets = np.array([0, 1, 4, 4, 5])
    expected = sentence_scores(scores, offsets, how, temperature)
    quality = found["sentence_quality"].to_pylist()
    n = len(GOOD)
    assert_same_bits(np.array(quality[:n]), expected)
    assert_same_bits(np.array(quality[-n:]), expected)
    assert quality[n:-n] == [None] * len(BAD_SENTENCES)
    per_sentence = [part.tolist() for part in np.split(scores, offsets[1:-1])]
    assert found["token_qualities"].to_pylist()[:n] == per_sentence


def test_a_batch_fails_with_each_reason_and_its_count():
    sentences = [GOOD[0], ([9], [ROW]), ([8], [ROW]), (None, []), ([0, 9], [ROW, ROW])]
    with pytest.raises(InvalidRowsError) as error:
        scoring(fail=True)(*arrays_of(sentences))
    for text in (
        *("K = 3 classes", "1 sentences with null labels"),
        *(
            "2 sentences with token 0: label out of range",
            "1 sentences with token 1: label out of range",
        ),
    ):
        assert text in str(error.value)


def test_a_failing_batch_says_what_names_all_bad_sentences():
    with pytest.raises(InvalidRowsError, match=r"tokens\.validate names them all"):
        scoring(fail=True)(*arrays_of([([9], [ROW])]))


@pytest.mark.parametrize(
    ("kind", "arrow"),
    [
        (ByteType(), pa.int8()),
        (ShortType(), pa.int16()),
        (IntegerType(), pa.int32()),
        (LongType(), pa.int64()),
        (StringType(), pa.string()),
    ],
    ids=str,
)
@pytest.mark.parametrize("with_bad", [False, True])
def test_worst_labels_have_the_type_of_the_label_and_all_columns_their_order(kind, arrow, with_bad):
    names = arrow == pa.string()
    labels = ["O", "O", "B-LOC"] if names else [0, 0, 1]
    sentences = [(labels, [ROW, OTHER, OTHER]), ([], [])] + [(None, None)] * with_bad
    found = scoring(label_type=kind, classes=CLASSES)(*arrays_of(sentences, arrow))
    assert sorted(found) == sorted(nested_schema(kind).names)
    assert found["worst_given_label"].type == found["worst_predicted_label"].type == arrow
    none = [None] * (1 + with_bad)
    assert found["worst_token_index"].to_pylist() == [1, *none]
    assert found["worst_given_label"].to_pylist() == [labels[1], *none]
    assert found["worst_predicted_label"].to_pylist() == ["" if names else 2, *none]
    assert found["sentence_quality"].type == pa.float64()
    assert found["worst_token_index"].type == pa.int32()
    assert found["token_qualities"].type == pa.list_(pa.float64())


def test_scores_put_together_are_those_of_sentences_null_where_there_are_none():
    qualities = pa.array([[0.9, 0.5, 0.5], None, [], [0.25]], pa.list_(pa.float64()))
    found = aggregated_batch("min", 0.0)(qualities)
    assert sorted(found) == sorted(sentence_schema().names)
    assert found["sentence_quality"].to_pylist() == [0.5, None, 1.0, 0.25]
    assert found["worst_token_index"].to_pylist() == [1, None, None, 0]
    found = aggregated_batch("min", 0.0)(qualities[1:])
    assert found["sentence_quality"].to_pylist() == [None, 1.0, 0.25]
    assert aggregated_batch("softmin", 0.05)(qualities[:0])["sentence_quality"].to_pylist() == []


@settings(deadline=None, max_examples=50)
@given(
    lengths=st.lists(st.integers(0, 6), max_size=12),
    seed=st.integers(0, 2**32 - 1),
    start=st.integers(0, 4),
    how=st.sampled_from(["min", "softmin"]),
)
def test_both_batch_functions_give_the_same_bits(lengths, seed, start, how):
    rng = np.random.default_rng(seed)
    sentences = [
        (rng.integers(0, K, n).tolist(), (rng.multinomial(4, [1 / K] * K, n) / 4).tolist())
        for n in lengths
    ]
    arrays = [array[start:] for array in arrays_of(sentences)]
    nested = scoring(how=how)(*arrays)
    again = aggregated_batch(how, 0.05)(nested["token_qualities"])
    for name, values in again.items():
        assert values.equals(nested[name])

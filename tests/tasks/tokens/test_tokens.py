"""Label quality of sentences and tokens, in both shapes of a table, against core to the bit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark import tokens
from lq_spark.core import tokens as core
from lq_spark.core.multiclass.scores import METHODS

WORDS = np.array(["May", "may", "größe", "", "a`b.c", None], dtype=object)
CLASSES = ["O", "B-LOC", "", "I-LOC", "größe 3"]
LENGTHS = [1, 7, 3, 1, 12, 2, 1, 30, 5, 4, 9, 1]
TYPES = {"tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64()}
LONG = {"token_index": "token_index", "token": "token"}
NESTED = {"tokens": "tokens"}
SOFTMIN = {"sentence_score_method": "softmin"}
SENTENCE_SCORES = {
    "min": {},
    "softmin 0.2": {**SOFTMIN, "sentence_score_kwargs": {"temperature": 0.2}},
}


@dataclass
class Corpus:
    """Tokens sentence after sentence; ``ids`` and ``lengths`` are of the sentences."""

    labels: Any
    pred_probs: Any
    words: Any
    lengths: Any
    ids: Any
    kind: pa.DataType

    def split(self, values):
        return np.split(values, np.cumsum(self.lengths)[:-1])

    def given(self, labels):
        names = self.kind == pa.string()
        return pa.array(np.array(CLASSES)[labels] if names else labels).cast(self.kind)

    def lists(self, values):
        return pa.ListArray.from_arrays(np.cumsum([0, *self.lengths]).astype(np.int32), values)

    @property
    def rows(self):
        flat = pa.array(self.pred_probs.ravel())
        starts = np.arange(len(self.labels) + 1, dtype=np.int32) * self.pred_probs.shape[1]
        return pa.ListArray.from_arrays(starts, flat)

    def nested(self):
        columns = {"sentence_id": self.ids, "labels": self.lists(self.given(self.labels))}
        words = self.lists(pa.array(self.words, pa.string()))
        return pa.table({**columns, "pred_probs": self.lists(self.rows), "tokens": words})

    def long(self):
        sentence = np.repeat(np.arange(len(self.lengths)), self.lengths)
        places = np.concatenate([np.zeros(0, int), *map(np.arange, self.lengths)])
        table = pa.table(
            {
                "token": pa.array(self.words, pa.string()),
                "sentence_id": pa.array(self.ids).take(sentence),
                "token_index": pa.array(places, pa.int32()),
                "label": self.given(self.labels),
                "pred_probs": self.rows,
            }
        )
        return table.take(np.random.default_rng(5).permutation(len(places)))


def corpus_of(lengths=LENGTHS, n_classes=5, dtype=np.float64, kind="int", ids=None, seed=0):
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    pred_probs = rng.gamma(rng.choice([0.05, 0.5, 5.0], (n, 1)), size=(n, n_classes)) + 1e-300
    pred_probs /= pred_probs.sum(axis=1, keepdims=True)
    labels = np.where(rng.random(n) < 0.6, pred_probs.argmax(axis=1), rng.integers(0, 2, n))
    labels[labels == n_classes - 1] = 0
    labels[n // 2] = n_classes - 1  # a class seen once
    ids = rng.permutation(len(lengths)) * 7 - 20 if ids is None else ids
    words = WORDS[rng.integers(0, len(WORDS), n)]
    kind = TYPES.get(kind, pa.string())
    return Corpus(labels, pred_probs.astype(dtype), words, list(lengths), ids, kind)


@pytest.fixture
def table_of(spark, tmp_path):
    """Make a Spark table of an Arrow table, in some partitions."""

    def make(table, n_partitions=1):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
        pq.write_table(table, path)
        df = spark.read.parquet(str(path))
        return df.coalesce(1) if n_partitions == 1 else df.repartition(n_partitions)

    return make


@pytest.fixture
def assert_equals_core(assert_same_bits):
    """Assert that the sentences of a scored table are those of core, in every bit."""

    def check(scored, corpus, **options):
        quality, of_tokens = core.get_label_quality_scores(
            corpus.split(corpus.labels), corpus.split(corpus.pred_probs), **options
        )
        found = {row["sentence_id"]: row for row in scored.collect()}
        assert sorted(found) == sorted(np.asarray(corpus.ids).tolist())
        rows = [found[key] for key in np.asarray(corpus.ids).tolist()]
        assert_same_bits(np.array([row["sentence_quality"] for row in rows]), quality)
        values = [value for row in rows for value in row["token_qualities"]]
        assert [len(row["token_qualities"]) for row in rows] == corpus.lengths
        assert_same_bits(np.array(values), np.concatenate(of_tokens))
        names = corpus.given(np.arange(corpus.pred_probs.shape[1])).to_pylist()
        for row, scores, words, labels, probs in zip(
            rows,
            of_tokens,
            *map(corpus.split, (corpus.words, corpus.labels, corpus.pred_probs)),
            strict=True,
        ):
            worst = int(np.argmin(scores)) if len(scores) else None
            label = None if worst is None else names[labels[worst]]
            predicted = None if worst is None else names[probs[worst].argmax()]
            assert row["worst_token_index"] == worst
            assert (row["worst_given_label"], row["worst_predicted_label"]) == (label, predicted)
            assert row["worst_token"] == (None if worst is None else words[worst])

    return check


@pytest.fixture
def assert_both_equal_core(table_of, assert_equals_core):
    """Assert that of core for a table of sentences and for one of tokens in random order."""

    def check(corpus, n_partitions=1, **options):
        nested, long = table_of(corpus.nested()), table_of(corpus.long(), n_partitions)
        assert_equals_core(tokens.score(nested, **NESTED, **options), corpus, **options)
        assert_equals_core(tokens.score(long, **LONG, **options), corpus, **options)

    return check


@pytest.mark.parametrize("sentence_scores", SENTENCE_SCORES)
@pytest.mark.parametrize("method", METHODS)
def test_both_shapes_equal_core_by_every_score(assert_both_equal_core, method, sentence_scores):
    options = {"token_score_method": method, **SENTENCE_SCORES[sentence_scores]}
    assert_both_equal_core(corpus_of(), 7, **options)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("tinyint", np.float64),
        ("smallint", np.float32),
        ("bigint", np.float32),
        ("string", np.float32),
        ("string", np.float64),
    ],
)
def test_both_shapes_equal_core_for_every_type(table_of, assert_equals_core, kind, dtype):
    classes = {"classes": CLASSES} if kind == "string" else {}
    ids = [f"s {n}" for n in range(len(LENGTHS))] if kind == "string" else None
    corpus = corpus_of(dtype=dtype, kind=kind, ids=ids)
    for scored in (
        tokens.score(table_of(corpus.nested(), 2), **NESTED, **classes),
        tokens.score(table_of(corpus.long(), 2), **LONG, **classes),
    ):
        assert_equals_core(scored, corpus)
        assert scored.schema["worst_given_label"].dataType.simpleString() == kind
        assert scored.schema["worst_predicted_label"].dataType.simpleString() == kind


@pytest.mark.parametrize("temperature", [0, 1e-9, float("inf")])
def test_the_ends_of_softmin_equal_core(table_of, assert_equals_core, temperature):
    options = {**SOFTMIN, "sentence_score_kwargs": {"temperature": temperature}}
    corpus = corpus_of()
    nested = tokens.score(table_of(corpus.nested()), **NESTED, **options)
    assert_equals_core(nested, corpus, **options)


def test_long_rows_shuffled_over_64_partitions_give_the_bits_of_nested_on_one(
    table_of, assert_same_bits
):
    corpus = corpus_of(lengths=np.random.default_rng(1).integers(1, 40, 60).tolist())
    nested = tokens.score(table_of(corpus.nested()), **NESTED, **SOFTMIN)
    long = tokens.score(table_of(corpus.long(), 64), **LONG, **SOFTMIN)
    assert nested.drop("labels", "pred_probs", "tokens").dtypes == long.dtypes
    rows = [sorted(df.select(long.columns).collect()) for df in (nested, long)]
    assert rows[0] == rows[1]
    assert_same_bits(*(np.array([row["sentence_quality"] for row in part]) for part in rows))


def test_batches_may_be_of_any_size(assert_both_equal_core, batch_size):
    batch_size(3)
    assert_both_equal_core(corpus_of())


@pytest.mark.parametrize(
    "lengths",
    [[1], [6], [100_000], [*[10] * 1000, 20_000, *[10] * 1000]],
    ids=["one token", "one sentence", "one of 100,000 tokens", "one of half of all tokens"],
)
def test_sentences_may_be_of_any_length(assert_both_equal_core, lengths):
    assert_both_equal_core(corpus_of(lengths, n_classes=3, dtype=np.float32), 4, **SOFTMIN)


@pytest.mark.parametrize("sentence_scores", SENTENCE_SCORES)
def test_an_empty_sentence_is_clean_and_has_no_worst_token(
    table_of, assert_equals_core, sentence_scores
):
    options = SENTENCE_SCORES[sentence_scores]
    corpus = corpus_of([0, 3, 0, 0, 1, 0])
    scored = tokens.score(table_of(corpus.nested()), **NESTED, **options)
    assert_equals_core(scored, corpus, **options)


@pytest.mark.parametrize("level", ["sentence", "token"])
def test_tables_without_rows_are_scored_to_none(table_of, level):
    for table, names in ((corpus_of([3]).nested(), NESTED), (corpus_of([3]).long(), LONG)):
        empty = table_of(table.slice(0, 0))
        assert tokens.score(empty, **names, level=level).collect() == []


def test_a_table_without_a_token_is_scored(spark):
    table = spark.createDataFrame(
        [(1, [], [])], "sentence_id int, labels array<int>, pred_probs array<array<float>>"
    )
    [row] = tokens.score(table).collect()
    assert tuple(row)[3:] == (1.0, [], None, None, None)
    assert tokens.score(table, level="token").collect() == []


def test_of_equal_tokens_the_first_is_the_worst(assert_both_equal_core):
    row, low = [0.5, 0.5], [0.25, 0.75]
    pred_probs = np.array([row, low, low, row, row])
    labels, words = np.array([1, 0, 0, 0, 1]), np.array(list("abcde"), dtype=object)
    # Core's worst token is the first here, as argmin's is.
    assert_both_equal_core(Corpus(labels, pred_probs, words, [3, 2], [2, 1], pa.int32()), 2)


@pytest.mark.parametrize("with_texts", [True, False])
def test_columns_are_the_callers_then_the_scores(table_of, with_texts):
    added = [
        ("sentence_quality", "double"),
        ("token_qualities", "array<double>"),
        ("worst_token_index", "int"),
        *[("worst_token", "string")] * with_texts,
        ("worst_given_label", "smallint"),
        ("worst_predicted_label", "smallint"),
    ]
    corpus = corpus_of([2, 1], kind="smallint")
    nested = table_of(corpus.nested().append_column("a.b", pa.array(["x", None])))
    scored = tokens.score(nested, **(NESTED if with_texts else {}))
    assert scored.dtypes == [*nested.dtypes, *added]
    assert sorted(scored.select(*nested.columns[:4], "`a.b`").collect()) == sorted(nested.collect())
    long = table_of(corpus.long())
    names = LONG if with_texts else {"token_index": "token_index"}
    assert tokens.score(long, **names).dtypes == [("sentence_id", "bigint"), *added]


@pytest.mark.parametrize("method", METHODS)
def test_tokens_equal_core_in_both_shapes(table_of, assert_same_bits, method):
    corpus = corpus_of(lengths=[0, *LENGTHS])
    _, expected = core.get_label_quality_scores(
        corpus.split(corpus.labels), corpus.split(corpus.pred_probs), token_score_method=method
    )
    options = {"level": "token", "token_score_method": method}
    names = ["sentence_id", "token_index", "token", "label", "pred_probs"]
    nested = tokens.score(table_of(corpus.nested()), **NESTED, **options)
    assert nested.columns == [*names, "label_quality", "predicted_label"]
    given = table_of(corpus.long(), 7)
    long = tokens.score(given, **LONG, **options)
    assert long.dtypes == [*given.dtypes, ("label_quality", "double"), ("predicted_label", "int")]
    order = {key: n for n, key in enumerate(corpus.ids.tolist())}
    for scored in (nested, long):
        rows = scored.select(nested.columns).collect()
        rows.sort(key=lambda row: (order[row["sentence_id"]], row["token_index"]))
        values = np.array([row["label_quality"] for row in rows])
        assert_same_bits(values, np.concatenate(expected))
        assert [row["token"] for row in rows] == corpus.words.tolist()
        assert [row["label"] for row in rows] == corpus.labels.tolist()
        assert [row["predicted_label"] for row in rows] == corpus.pred_probs.argmax(1).tolist()


def test_columns_may_have_any_name(table_of, assert_equals_core):
    corpus = corpus_of([3, 1, 4])
    names = ["the id", "given`label", "p.p", "a.b"]
    columns = dict(zip(("sentence_id", "labels", "pred_probs", "tokens"), names, strict=True))
    nested = table_of(corpus.nested().rename_columns(names))
    scored = tokens.score(nested, **columns)
    assert_equals_core(scored.withColumnRenamed("the id", "sentence_id"), corpus)
    assert tokens.score(nested, **columns, level="token").count() == 8
    names = ["a.b", "the id", "t.i", "given`label", "p.p"]
    columns = dict(zip(corpus.long().column_names, names, strict=True))
    scored = tokens.score(table_of(corpus.long().rename_columns(names)), **columns)
    assert_equals_core(scored.withColumnRenamed("the id", "sentence_id"), corpus)

"""Label issues of tokens in both shapes of a table, against core on the sentences by their ids."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark import multiclass, tokens
from lq_spark.core import tokens as core
from lq_spark.core.confident import calibrate_confident_joint, compute_confident_joint
from lq_spark.core.health import (
    find_overlapping_classes,
    overall_label_health_score,
    rank_classes_by_label_quality,
)
from lq_spark.core.label_issues import find_label_issues
from lq_spark.core.label_issues.rules import FILTERS
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.engine import verbs

LONG = {"token_index": "token_index", "token": "token"}
CLASSES = ["O", "B-LOC", "I-LOC"]
WORDS = ["May", "may", "London", ""]


def corpus_of(n_sentences=40, n_classes=3, seed=0):
    """Return sentences by id, of probabilities of 8 levels: many tokens are equal at every cut."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 8, n_sentences)
    n = lengths.sum()
    pred_probs = rng.multinomial(8, rng.dirichlet(np.ones(n_classes), n)) / 8
    right = rng.random(n) < 0.6
    labels = np.where(right, pred_probs.argmax(axis=1), rng.integers(0, n_classes, n))
    words = np.array(WORDS)[rng.integers(0, len(WORDS), n)]
    starts = np.cumsum(lengths)[:-1]
    return SimpleNamespace(
        labels=labels,
        pred_probs=pred_probs,
        words=words,
        lengths=lengths,
        places=[(s, t) for s, length in enumerate(lengths.tolist()) for t in range(length)],
        nested=(np.split(labels, starts), np.split(pred_probs, starts), np.split(words, starts)),
    )


@pytest.fixture
def tables_of(spark, tmp_path):
    """Make both tables of a corpus, rows in random order: (nested, long)."""

    def make(corpus, classes=None):
        names = corpus.labels if classes is None else np.array(classes)[corpus.labels]
        kind = pa.int32() if classes is None else pa.string()
        sentence, place = np.array(corpus.places).T
        long = {
            "sentence_id": sentence,
            "token_index": place,
            "label": pa.array(names.tolist(), kind),
            "pred_probs": list(corpus.pred_probs),
            "token": corpus.words.tolist(),
        }
        starts = np.cumsum(corpus.lengths)[:-1]
        nested = {
            "sentence_id": np.arange(len(corpus.lengths)),
            "labels": pa.array([part.tolist() for part in np.split(names, starts)], pa.list_(kind)),
            "pred_probs": [part.tolist() for part in corpus.nested[1]],
            "tokens": [part.tolist() for part in corpus.nested[2]],
        }
        found = []
        for name, columns in (("nested", nested), ("long", long)):
            table = pa.table(columns)
            order = np.random.default_rng(3).permutation(table.num_rows)
            pq.write_table(table.take(order), tmp_path / f"{name}.parquet")
            found.append(spark.read.parquet(str(tmp_path / f"{name}.parquet")))
        return found

    return make


def flagged(found):
    rows = found.where("is_label_issue").select("sentence_id", "token_index").collect()
    assert len(set(rows)) == len(rows)
    return sorted(map(tuple, rows))


@pytest.mark.parametrize("filter_by", FILTERS)
def test_issues_of_tokens_are_cores_ties_by_sentence_and_place(tables_of, filter_by):
    corpus = corpus_of()
    _, long = tables_of(corpus)
    expected = core.find_label_issues(*corpus.nested[:2], filter_by=filter_by)
    assert 0 < len(expected) < len(corpus.labels)
    found = tokens.find_issues(long.repartition(3), **LONG, filter_by=filter_by)
    assert flagged(found) == sorted(expected)


def test_ties_are_told_apart_where_spark_has_no_arrow_udf(tables_of, monkeypatch):
    corpus = corpus_of()
    nested, _ = tables_of(corpus)
    monkeypatch.setattr(verbs, "HAS_ARROW_UDF", False)
    expected = core.find_label_issues(*corpus.nested[:2])
    assert flagged(tokens.find_issues(nested, tokens="tokens")) == sorted(expected)


@pytest.mark.parametrize("filter_by", ["prune_by_noise_rate", "both", "low_normalized_margin"])
def test_issues_of_sentences_are_cores_ties_by_sentence_and_place(tables_of, filter_by):
    corpus = corpus_of(seed=1)
    nested, _ = tables_of(corpus)
    options = {"filter_by": filter_by} | ({"frac_noise": 0.5} if filter_by == "both" else {})
    expected = core.find_label_issues(*corpus.nested[:2], **options)
    assert 0 < len(expected) < len(corpus.labels)
    found = tokens.find_issues(nested, tokens="tokens", **options)
    assert flagged(found) == sorted(expected)


@pytest.mark.parametrize("shape", ["nested", "long"])
def test_tokens_have_their_rank_score_and_predicted_label(tables_of, assert_same_bits, shape):
    corpus = corpus_of(seed=2)
    nested, long = tables_of(corpus, CLASSES)
    options = {"classes": CLASSES, "issue_rank": True, "token_score_method": "normalized_margin"}
    names = ["is_label_issue", "predicted_label", "label_quality", "issue_rank"]
    if shape == "nested":
        found = tokens.find_issues(nested, tokens="tokens", **options)
        first = ["sentence_id", "token_index", "token", "label", "pred_probs"]
        assert found.columns == [*first, *names]
    else:
        found = tokens.find_issues(long, **LONG, **options)
        assert found.columns == [*long.columns, *names]
    rows = sorted(found.collect(), key=lambda row: (row["sentence_id"], row["token_index"]))
    assert [(row["sentence_id"], row["token_index"]) for row in rows] == corpus.places
    assert [row["token"] for row in rows] == corpus.words.tolist()
    assert [row["label"] for row in rows] == [CLASSES[k] for k in corpus.labels]
    predicted = [CLASSES[k] for k in corpus.pred_probs.argmax(axis=1)]
    assert [row["predicted_label"] for row in rows] == predicted
    quality = np.array([row["label_quality"] for row in rows])
    expected = score_rows(corpus.labels, corpus.pred_probs, "normalized_margin")
    assert_same_bits(quality, expected)
    ranked = core.find_label_issues(
        *corpus.nested[:2], return_indices_ranked_by="normalized_margin"
    )
    ranks = {place: rank for rank, place in enumerate(ranked, start=1)}
    assert [row["issue_rank"] for row in rows] == [ranks.get(place) for place in corpus.places]
    assert [row["is_label_issue"] for row in rows] == [place in ranks for place in corpus.places]


def test_what_is_fitted_is_what_multiclass_fits_to_the_same_rows(tables_of):
    nested, long = tables_of(corpus_of(seed=3), CLASSES)
    expected = multiclass.fit(long, classes=CLASSES)
    for fitted in (
        tokens.fit(nested, classes=CLASSES),
        tokens.fit(long, token_index="token_index", classes=CLASSES),
    ):
        assert fitted.thresholds == expected.thresholds
        assert fitted.n_label_issues == expected.n_label_issues
        np.testing.assert_array_equal(fitted.confident_joint, expected.confident_joint)
        np.testing.assert_array_equal(fitted.class_counts, expected.class_counts)


def test_new_sentences_are_judged_by_what_was_fitted_to_others(tables_of):
    old, new = corpus_of(seed=4), corpus_of(n_sentences=25, seed=5)
    fitted = tokens.fit(tables_of(old)[0])
    joint = compute_confident_joint(old.labels, old.pred_probs, calibrate=False)
    expected = find_label_issues(
        new.labels,
        new.pred_probs,
        confident_joint=calibrate_confident_joint(joint, new.labels),
    )
    places = [place for place, issue in zip(new.places, expected, strict=True) if issue]
    assert places != sorted(core.find_label_issues(*new.nested[:2]))
    nested, long = tables_of(new)
    assert flagged(tokens.find_issues(nested, fitted=fitted)) == places
    assert flagged(tokens.find_issues(long, **LONG, fitted=fitted)) == places


def commonest(corpus, exclude=(), pairs=True):
    """Return (token, given, predicted) or (token,) with how many issues each has, most first."""
    issues = set(core.find_label_issues(*corpus.nested[:2]))
    counts = Counter()
    predicted = corpus.pred_probs.argmax(axis=1)
    for place, word, *pair in zip(
        corpus.places, corpus.words, corpus.labels, predicted, strict=True
    ):
        given, other = (CLASSES[k] for k in pair)
        if place in issues and (given, other) not in exclude:
            counts[(str(word), given, other) if pairs else (str(word),)] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(*key, n) for key, n in ordered]


@pytest.mark.parametrize("shape", ["nested", "long"])
def test_the_health_of_classes_and_the_commonest_issues(tables_of, shape):
    corpus = corpus_of(seed=6)
    nested, long = tables_of(corpus, CLASSES)
    exclude = [("B-LOC", "O"), ("I-LOC", "I-LOC")]
    told = {"classes": CLASSES, "exclude": exclude, "top": 6}
    if shape == "nested":
        found = tokens.summarize(nested, tokens="tokens", **told)
    else:
        names = ["the id", "t.i", "given`label", "p.p", "a.b"]
        columns = dict(zip(long.columns, names, strict=True))
        found = tokens.summarize(long.toDF(*names), **columns, **told)
    rows = corpus.labels, corpus.pred_probs
    score = overall_label_health_score(*rows, verbose=False)
    assert found.health.overall_label_health_score == score
    for table, expected in (
        (
            found.health.classes_by_label_quality,
            rank_classes_by_label_quality(*rows, class_names=CLASSES),
        ),
        (
            found.health.overlapping_classes,
            find_overlapping_classes(*rows, class_names=CLASSES),
        ),
    ):
        pd.testing.assert_frame_equal(table, expected)
    assert list(found.common_issues.columns) == [
        *("token", "given_label", "predicted_label", "num_label_issues")
    ]
    issues = list(found.common_issues.itertuples(index=False, name=None))
    assert issues == commonest(corpus, exclude)[:6]
    assert list(found.common_tokens.columns) == ["token", "num_label_issues"]
    words = list(found.common_tokens.itertuples(index=False, name=None))
    assert words == commonest(corpus, exclude, pairs=False)[:6]


def test_without_texts_issues_are_counted_by_pair(tables_of):
    corpus = corpus_of(seed=7)
    nested, _ = tables_of(corpus)
    found = tokens.summarize(nested, exclude=[(1, 0)])
    assert found.common_tokens is None
    assert list(found.common_issues.columns) == [
        *("given_label", "predicted_label", "num_label_issues")
    ]
    pairs = Counter()
    predicted = corpus.pred_probs.argmax(axis=1)
    issues = set(core.find_label_issues(*corpus.nested[:2]))
    for place, *pair in zip(corpus.places, corpus.labels.tolist(), predicted.tolist(), strict=True):
        if place in issues and tuple(pair) != (1, 0):
            pairs[tuple(pair)] += 1
    counts = found.common_issues.itertuples(index=False, name=None)
    assert {row[:2]: row[2] for row in counts} == pairs


def test_a_warning_of_small_classes_names_the_line_of_the_call(spark):
    rows = [(0, 0, 0, [0.9, 0.1]), (0, 1, 1, [0.2, 0.8]), (1, 0, 0, [0.4, 0.6])]
    schema = "sentence_id int, token_index int, label int, pred_probs array<double>"
    long = spark.createDataFrame(rows, schema)
    columns = {"sentence_id": "sentence_id", "token_index": "token_index", "label": "label"}
    with pytest.warns(UserWarning, match="classes 1 are given to at most 1 rows") as warned:
        tokens.find_issues(long, **columns)
    assert [one.filename for one in warned if one.category is UserWarning] == [__file__]

"""Scores and label issues of real sentences equal cleanlab's, in both shapes of a table.

cleanlab sorts with an argsort that is not stable; it is called with a stable one here: of tokens
that are equal at a cut the first ones are taken, as ours are.
"""

from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from cleanlab.token_classification import filter as rules
from cleanlab.token_classification import rank
from oracle import cleanlabs

from lq_spark import tokens

SCORES = {
    "min": {"sentence_score_method": "min"},
    "softmin": {"sentence_score_method": "softmin"},
    "softmin 0.2": {
        "sentence_score_method": "softmin",
        "sentence_score_kwargs": {"temperature": 0.2},
    },
}
COUNTS = {"prune_by_noise_rate": 3387, "low_self_confidence": 2639}
"""What cleanlab 2.9.0 is known to find."""


@pytest.fixture(scope="module")
def sentences(shared_data):
    """The sentences of the file, read without Spark; cleanlab computes in the type it is given."""
    path = str(shared_data / "wnut17_tokens.parquet")
    file = pq.read_table(path).sort_by("sentence_id").combine_chunks()
    probs = file["pred_probs"].chunk(0)
    matrix = probs.flatten().flatten().to_numpy().astype(np.float64).reshape(-1, 13)
    starts = np.cumsum(probs.value_lengths())[:-1].tolist()
    return SimpleNamespace(
        path=path,
        ids=file["sentence_id"].to_pylist(),
        labels=file["labels"].to_pylist(),
        pred_probs=np.split(matrix, starts),
    )


@pytest.fixture(params=["nested", "long"])
def table(spark, sentences, request):
    """Return (the table in one of the shapes, its options)."""
    nested = spark.read.parquet(sentences.path)
    if request.param == "nested":
        return nested, {"tokens": "tokens"}
    zipped = "posexplode(arrays_zip(labels, pred_probs, tokens)) as (token_index, of_token)"
    long = nested.selectExpr("sentence_id", zipped).selectExpr(
        *("sentence_id", "token_index", "of_token.labels as label"),
        *("of_token.pred_probs as pred_probs", "of_token.tokens as token"),
    )
    return long.repartition(3), {"token_index": "token_index", "token": "token"}


@pytest.mark.parametrize("name", SCORES)
def test_sentence_scores_equal_cleanlabs(quietly, sentences, table, name):
    df, options = table
    scored = tokens.score(df, **options, **SCORES[name])
    quality = scored.select("sentence_id", "sentence_quality").toPandas()
    found = quality.set_index("sentence_id")["sentence_quality"]
    assert len(found) == len(sentences.ids)
    expected, _ = quietly(
        rank.get_label_quality_scores, sentences.labels, sentences.pred_probs, **SCORES[name]
    )
    np.testing.assert_allclose(found.loc[sentences.ids], expected, rtol=0, atol=1e-9)


def cleanlabs_tokens(sentences, filter_by):
    """Return the (sentence, token) pairs that cleanlab flags."""
    data = sentences.labels, sentences.pred_probs
    found = cleanlabs(rules.find_label_issues, *data, filter_by=filter_by)
    return sorted((sentences.ids[s], t) for s, t in found)


@pytest.mark.parametrize(
    ("table", "filter_by"),
    [
        ("nested", "prune_by_noise_rate"),
        ("nested", "low_self_confidence"),
        ("long", "prune_by_noise_rate"),
    ],
    indirect=["table"],
)
def test_flagged_tokens_equal_cleanlabs(quietly, sentences, table, filter_by):
    df, options = table
    found = quietly(tokens.find_issues, df, **options, filter_by=filter_by)
    rows = found.where("is_label_issue").select("sentence_id", "token_index").collect()
    assert sorted(map(tuple, rows)) == cleanlabs_tokens(sentences, filter_by)
    assert len(rows) == COUNTS[filter_by]

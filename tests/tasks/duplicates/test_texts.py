"""Near duplicates of tables by their texts: those of core, whatever the partitions and blocks."""

import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark import duplicates
from lq_spark.core.duplicates import find_near_duplicate_texts, rows_to_keep
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.duplicates import passes, text_batches, texts

N = 120
WORDS = [f"w{i}" for i in range(200)] + ["é", "\U0001f600", "e\u0301"]


def some_texts(seed=0):
    """Return texts, most of them others with some words changed; copies; some without words."""
    rng = np.random.default_rng(seed)
    made = [list(rng.choice(WORDS, 30)) for _ in range(12)]
    while len(made) < N - 30:
        text = list(made[int(rng.integers(len(made)))])
        for place in rng.choice(30, int(rng.integers(0, 4)), replace=False):
            text[place] = str(rng.choice(WORDS))
        made.append(text)
    found = [" ".join(text) for text in made]
    found += [found[n] for n in rng.integers(0, 40, 25)] + ["", "  ", "", "w1", "w1"]
    return [found[n] for n in rng.permutation(N)]


QUALITY = (np.random.default_rng(1).integers(0, 4, N) / 4).tolist()


@pytest.fixture
def table(spark):
    rows = [(f"r{n:03}", text, QUALITY[n]) for n, text in enumerate(some_texts())]
    return spark.createDataFrame(rows, "id string, text string, quality double")


def expected_rows(found):
    """Return what core found, as the rows of a table: by row, most similar first."""
    n = len(found.component)
    pairs = [[] for _ in range(n)]
    each = zip(found.a.tolist(), found.b.tolist(), found.similarity.tolist(), strict=True)
    for a, b, similarity in each:
        pairs[a].append((1.0 - similarity, b))
        pairs[b].append((1.0 - similarity, a))
    kept = rows_to_keep(found.component, QUALITY).tolist()
    for row in range(n):
        near = sorted(pairs[row])
        yield {
            "id": f"r{row:03}",
            "is_near_duplicate_issue": bool(near),
            "is_exact_duplicate_issue": bool(found.is_exact_duplicate[row]),
            "near_duplicate_score": near[0][0] if near else 1.0,
            "distance_to_nearest_neighbor": near[0][0] if near else None,
            "near_duplicate_set": [f"r{other:03}" for _, other in near],
            "duplicate_group": f"r{found.component[row]:03}",
            "keep": kept[row],
        }


OPTIONS = [
    ({}, {}),
    ({"similarity": 0.5, "seed": 3}, {"threshold": 0.5, "seed": 3}),
    (
        {"shingles": "character", "n": 3, "similarity": 0.7},
        {"kind": "character", "n": 3, "threshold": 0.7},
    ),
    ({"similarity": 1}, {"threshold": 1.0}),
]


@pytest.mark.parametrize("n_partitions", [1, 2, 7])
@pytest.mark.parametrize("options", OPTIONS)
def test_they_are_those_of_core(table, monkeypatch, n_partitions, options):
    if n_partitions > 1:  # one text a block, a task for each few of them
        monkeypatch.setattr(texts, "_MAX_BLOCK_TEXTS", 2 if n_partitions == 2 else 5)
        monkeypatch.setattr(texts, "_TASK_BYTES", 3000)
        monkeypatch.setattr(text_batches, "_HASHED_BYTES", 300)
        monkeypatch.setattr(passes, "_PAIRS_OF_A_BUCKET", 9)
    here, there = options
    core = find_near_duplicate_texts(some_texts(), **there)
    expected = list(expected_rows(core))
    rows = table.orderBy(F.xxhash64("id")).repartition(n_partitions)
    issues = duplicates.find_issues(rows, text="text", **here, label_quality="quality")
    found = [row.asDict() for row in issues.drop("text", "quality").orderBy("id").collect()]
    assert found == expected
    assert sum(row["is_near_duplicate_issue"] for row in found) > 20
    scores = duplicates.score(rows, text="text", **here).orderBy("id").collect()
    assert [r["near_duplicate_score"] for r in scores] == [
        row["near_duplicate_score"] for row in expected
    ]
    health = duplicates.summarize(rows, text="text", **here)
    assert health.n_near == core.is_near_duplicate.sum()
    assert health.n_exact == core.is_exact_duplicate.sum()
    assert health.n_to_drop == N - len(set(core.component.tolist()))


def test_a_bucket_of_many_texts_is_compared_in_blocks_of_few_bytes(spark, monkeypatch):
    monkeypatch.setattr(texts, "_BLOCK_BYTES", 700)
    given = [" ".join([*WORDS[:60], f"x{n}"]) for n in range(60)]
    table = spark.createDataFrame(list(enumerate(given)), "id int, text string")
    core = find_near_duplicate_texts(given)
    found = duplicates.find_issues(table, text="text").orderBy("id").collect()
    assert len(core.a) == 60 * 59 // 2
    assert [len(row["near_duplicate_set"]) for row in found] == [59] * 60


def test_rows_without_a_text_are_named_or_left_null(spark):
    rows = [(1, "a b c"), (2, None), (3, "a b c"), (4, "d e f")]
    table = spark.createDataFrame(rows, "id int, text string")
    checked = dict(duplicates.validate(table, text="text").select("id", "invalid_reason").collect())
    assert checked == {1: None, 2: "null text", 3: None, 4: None}
    with pytest.raises(InvalidRowsError) as error:
        duplicates.find_issues(table, text="text")
    assert str(error.value) == (
        "1 of 4 rows cannot be scored, for want of a text; duplicates.validate says which and why"
    )
    scored = duplicates.score(table, text="text", on_invalid="null")
    scores = dict(scored.select("id", "near_duplicate_score").collect())
    assert scores == {1: 0.0, 2: None, 3: 0.0, 4: 1.0}


def test_scores_by_features_are_those_of_issues(spark):
    rng = np.random.default_rng(0)
    rows = [(n, features.tolist()) for n, features in enumerate(rng.normal(size=(40, 5)))]
    rows += [(100, rows[3][1]), (101, None), (102, [0.0])]
    table = spark.createDataFrame(rows, "id int, features array<double>")
    good = table.where("id < 101")
    issues = duplicates.find_issues(good).select("id", "near_duplicate_score").collect()
    scored = duplicates.score(table, on_invalid="null", n_features=5)
    assert scored.columns == ["id", "features", "near_duplicate_score"]
    found = dict(scored.select("id", "near_duplicate_score").collect())
    assert found == {**dict(issues), 101: None, 102: None}
    assert found[3] == found[100] == 0.0
    with pytest.raises(InvalidRowsError, match="2 of 43 rows cannot be scored"):
        duplicates.score(table, n_features=5)

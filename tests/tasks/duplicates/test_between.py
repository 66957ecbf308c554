"""Leakage: rows of a test table that are, or nearly, in a training table, as core finds them."""

import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark import duplicates
from lq_spark.core.duplicates import find_near_duplicates_between
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError
from lq_spark.tasks.duplicates import texts
from lq_spark.tasks.neighbors import exact


def found_of(df, *names):
    rows = df.orderBy("id").collect()
    return [[row[name] for row in rows] for name in names]


NAMES = (
    *("is_leaked", "is_exact_leak", "near_duplicate_score", "nearest_train_id"),
    "distance_to_nearest_neighbor",
)


@pytest.mark.parametrize("n_partitions", [1, pytest.param(7, marks=pytest.mark.spark)])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_by_features_they_are_those_of_core(spark, monkeypatch, n_partitions, metric):
    monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 40)
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(110, 4)), rng.normal(size=(70, 4))
    train[50:60] = train[3]
    test[:9] = train[rng.integers(0, 110, 9)]
    test[9:14] = train[3]
    test[14:20] = train[20:26] * (1 + 1e-4)
    schema = "id string, features array<double>"
    of_train = spark.createDataFrame(
        [(f"t{n:03}", f.tolist()) for n, f in enumerate(train)], schema
    )
    of_test = spark.createDataFrame(
        [(n, f.tolist()) for n, f in enumerate(test)], "id int, features array<double>"
    )
    found = duplicates.between(
        of_train.repartition(n_partitions), of_test.repartition(n_partitions), metric=metric
    )
    assert found.columns == ["id", "features", *NAMES]
    core = find_near_duplicates_between(test, train, metric=metric)
    assert found_of(found, *NAMES) == [
        core.is_near_duplicate.tolist(),
        core.is_exact_duplicate.tolist(),
        core.score.tolist(),
        [f"t{n:03}" for n in core.neighbors[:, 0]],
        core.distances[:, 0].tolist(),
    ]
    assert core.is_exact_duplicate.sum() >= 14
    assert core.is_near_duplicate.sum() >= 20


def word_pairs(text):
    words = text.split()
    return {tuple(words[i : i + 2]) for i in range(max(len(words) - 1, min(len(words), 1)))}


@pytest.mark.parametrize("n_partitions", [1, pytest.param(7, marks=pytest.mark.spark)])
def test_by_text_each_is_compared_with_all_that_are_alike(spark, monkeypatch, n_partitions):
    if n_partitions > 1:
        monkeypatch.setattr(texts, "_MAX_BLOCK_TEXTS", 5)
        monkeypatch.setattr(texts, "_TASK_BYTES", 3000)
    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in range(200)]

    def changed(text):
        parts = text.split()
        parts[int(rng.integers(len(parts)))] = str(rng.choice(words))
        return " ".join(parts)

    train = [" ".join(rng.choice(words, 30)) for _ in range(40)]
    train += [changed(train[n]) for n in rng.integers(0, 10, 30)] + [train[5], ""]
    test = [changed(train[n]) for n in rng.integers(0, 40, 25)] + [train[70], train[2], "", " "]
    test += [" ".join(rng.choice(words, 30)) for _ in range(10)]
    test += [changed(test[-1]), test[-1]]  # alike, but not of train
    of_train = spark.createDataFrame(list(enumerate(train)), "id int, text string")
    of_test = spark.createDataFrame(list(enumerate(test)), "id int, text string")
    found = duplicates.between(
        of_train.orderBy(F.xxhash64("id")).repartition(n_partitions),
        of_test.repartition(n_partitions),
        text="text",
    )
    expected = []
    for text in test:
        if text in train:
            expected.append((True, True, 0.0, train.index(text), 0.0))
            continue
        own, near = word_pairs(text), []
        for n, other in enumerate(train):
            both = len(own & word_pairs(other))
            if own and both / len(own | word_pairs(other)) >= 0.8:
                near.append((1.0 - both / len(own | word_pairs(other)), n))
        distance, nearest = min(near, default=(None, None))
        score = 1.0 if distance is None else distance
        expected.append((bool(near), False, score, nearest, distance))
    assert list(zip(*found_of(found, *NAMES), strict=True)) == expected
    assert 10 < sum(row[0] for row in expected) < 30


def test_what_is_refused(spark):
    train = spark.createDataFrame(
        [(1, [0.0, 1.0]), (2, [2.0, 1.0])], "id int, features array<double>"
    )
    single = train.select("id", F.col("features").cast("array<float>").alias("features"))
    with pytest.raises(ColumnError) as error:
        duplicates.between(single, train)
    assert str(error.value) == (
        "features are float in train and double in test: cast one of them, or rows that are the "
        "same differ by rounding"
    )
    with pytest.raises(DataError, match=r"^train has no rows, so nothing of test can be in it$"):
        duplicates.between(train.where("id = 0"), train)
    for option, value in {"n": 3, "seed": 0, "similarity": 0.5, "shingles": "word"}.items():
        with pytest.raises(OptionError, match=rf"^{option} is given, which does not go with feat"):
            duplicates.between(train, train, **{option: value})
    bad = train.unionAll(spark.createDataFrame([(3, None)], train.schema))
    with pytest.raises(InvalidRowsError, match=r"^1 of 3 rows of train cannot be scored"):
        duplicates.between(bad, train)
    with pytest.raises(InvalidRowsError, match=r"^1 of 3 rows of test cannot be scored"):
        duplicates.between(train, bad)
    twice = train.unionAll(train)
    with pytest.raises(
        InvalidRowsError, match=r"^id: column 'id' of test has nulls or values that"
    ):
        duplicates.between(train, twice)
    named = train.select("id", F.lit("a b").alias("text"))
    with pytest.raises(InvalidRowsError, match=r"^id: column 'id' of train has nulls or values"):
        duplicates.between(named.unionAll(named), named, text="text")

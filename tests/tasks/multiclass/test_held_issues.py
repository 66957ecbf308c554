"""What is looked at twice is computed once: the rows of a small table are held with its issues."""

import gc
import tempfile
import time

import numpy as np
import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from lq_spark import multiclass, tokens
from lq_spark.engine.held import LET_GO
from lq_spark.engine.verbs import map_rows
from lq_spark.tasks.multiclass import flags

N, K = 60, 4


@pytest.fixture
def table(spark, tmp_path):
    """A table some labels of which are wrong; a file of it, and how often its rows were made."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, K, N)
    probs = rng.dirichlet(np.full(K, 0.4), N) + 1.5 * np.eye(K)[truth]
    probs = (probs / probs.sum(axis=1, keepdims=True)).tolist()
    labels = np.where(rng.random(N) < 0.2, (truth + 1) % K, truth).tolist()
    rows = [(i, i // 6, i % 6, labels[i], probs[i]) for i in range(N)]
    schema = "id bigint, sentence_id bigint, token_index int, label int, pred_probs array<double>"
    made, file = tmp_path / "made", str(tmp_path / "made")

    def count(ids):
        with open(file, "a") as counted:  # noqa: PTH123 - in the worker
            counted.write("." * len(ids))
        return {"id": ids}

    counted = map_rows(count, [F.col("id")], StructType([StructField("id", LongType())]))
    df = spark.createDataFrame(rows, schema)
    columns = ["sentence_id", "token_index", "label", "pred_probs"]
    df = df.select(counted.alias("made"), *columns).select("made.id", *columns)
    return df, lambda: len(made.read_text()) // N if made.exists() else 0


def looked_at(found):
    """Return the rows of a result, looked at three times."""
    found.count()
    found.where("is_label_issue").count()
    return [tuple(row) for row in found.orderBy("id").collect()]


WAYS = {
    "multiclass": lambda df, **options: multiclass.find_issues(df, **options),
    "tokens": lambda df, **options: tokens.find_issues(
        df, sentence_id="sentence_id", token_index="token_index", label="label", **options
    ),
}


@pytest.mark.spark
@pytest.mark.parametrize("rank", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_result_is_computed_once(table, way, rank, monkeypatch):
    df, made = table
    found = WAYS[way](df, issue_rank=rank)
    rows = looked_at(found)
    n_passes = made()
    assert looked_at(found) == rows
    assert made() == n_passes
    monkeypatch.setattr(flags, "_MAX_HELD", N * K - 1)
    lazy = WAYS[way](df, issue_rank=rank)
    assert lazy.columns == found.columns
    assert lazy.dtypes == found.dtypes
    assert looked_at(lazy) == rows
    assert any(row[found.columns.index("is_label_issue")] for row in rows)


@pytest.mark.parametrize("filter_by", ["prune_by_class", "both", "low_self_confidence"])
def test_whatever_the_rule_no_look_makes_a_pass(table, filter_by):
    df, made = table
    found = multiclass.find_issues(df, filter_by=filter_by)
    n_passes = made()
    looked_at(found)
    assert made() == n_passes


def test_what_is_held_goes_with_the_result(table, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    df, _ = table
    found = multiclass.find_issues(df)
    issues = found.where("is_label_issue").select("id")
    n_issues = issues.count()
    del found
    gc.collect()
    assert issues.count() == n_issues
    assert list(folder.iterdir())
    del issues
    gc.collect()
    # A link in place of the rows says that they are gone.
    assert {path.name for path in folder.rglob("*") if not path.is_dir()} == {LET_GO}


@pytest.mark.spark_only
def test_what_spark_persists_goes_with_the_result(spark, table):
    df, _ = table

    def persisted():
        gc.collect()
        return {int(rdd) for rdd in spark.sparkContext._jsc.getPersistentRDDs().keySet()}

    # What earlier tests held may go meanwhile: only what this result adds is looked at.
    before = persisted()
    found = multiclass.find_issues(df, issue_rank=True)
    looked_at(found)
    added = persisted() - before
    assert added
    del found
    for _ in range(100):
        if not persisted() & added:
            break
        time.sleep(0.1)
    assert not persisted() & added

"""Pruning by noise rate looks at the whole table only where the doubtful rows do not suffice."""

import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark import multiclass
from lq_spark.core.label_issues import find_label_issues
from lq_spark.tasks.multiclass import cuts as cutting
from lq_spark.tasks.multiclass import flags as flagging


@pytest.fixture
def change_whole(monkeypatch):
    """Change the table that is looked at where the doubtful rows do not meet a quota."""
    find_cuts = flagging.find_cuts

    def change(function):
        def changed(facts, whole, *rest):
            return find_cuts(facts, function(whole), *rest)

        monkeypatch.setattr(flagging, "find_cuts", changed)

    return change


@pytest.fixture
def flags(table_of, by_id):
    def find(labels, pred_probs):
        found = multiclass.find_issues(table_of(labels, pred_probs).repartition(3))
        return by_id(found, "is_label_issue")

    return find


def unreadable(whole):
    bomb = F.raise_error(F.lit("the whole table was read"))
    return whole.withColumn("index", bomb.cast("int"))


def few_confident_rows(seed=6):
    """Return labels and pred_probs with more issues by the joint than rows predicted otherwise."""
    rng = np.random.default_rng(seed)
    pred_probs = rng.dirichlet(np.ones(4), 300)
    right = rng.random(300) < 0.9
    predicted = pred_probs.argmax(axis=1)
    labels = np.where(right, predicted, rng.integers(0, 4, 300))
    return labels, np.round(pred_probs * 64) / np.round(pred_probs * 64).sum(axis=1, keepdims=True)


def sure_rows(seed):
    """Return few confident rows of which those whose label is predicted are surer, of 40 classes.

    The others of their classes that no pair's quota takes by itself have margins far below theirs.
    """
    labels, pred_probs = few_confident_rows(seed)
    sure = labels == pred_probs.argmax(axis=1)
    pred_probs[sure] = 0.5 * pred_probs[sure] + 0.5 * np.eye(4)[labels[sure]]
    return labels, of_many_classes(pred_probs)


def of_many_classes(pred_probs):
    return np.hstack([pred_probs, np.zeros((len(pred_probs), 36))])


def confident_rows():
    """Return labels and pred_probs of which the joint counts just the rows predicted otherwise."""
    rng = np.random.default_rng(0)
    predicted = rng.integers(0, 3, 200)
    labels = np.where(rng.random(200) < 0.8, predicted, rng.integers(0, 3, 200))
    return labels, np.eye(3)[predicted] * 0.7 + 0.1


@pytest.mark.parametrize("widened", [np.asarray, of_many_classes], ids=["4 classes", "40"])
def test_where_doubtful_rows_do_not_meet_a_quota_the_others_are_looked_at(
    flags, change_whole, widened
):
    labels, pred_probs = few_confident_rows()
    pred_probs = widened(pred_probs)
    expected = find_label_issues(labels, pred_probs).tolist()
    assert flags(labels, pred_probs) == expected
    change_whole(lambda whole: whole.limit(0))
    assert flags(labels, pred_probs) != expected  # what is seen there decides


def test_where_doubtful_rows_meet_the_quotas_the_others_are_not_looked_at(flags, change_whole):
    labels, pred_probs = confident_rows()
    change_whole(unreadable)
    expected = find_label_issues(labels, pred_probs)
    assert expected.sum() == (labels != pred_probs.argmax(axis=1)).sum() > 0
    assert flags(labels, pred_probs) == expected.tolist()


@pytest.mark.parametrize("seed", [72, 101])  # one more issue that way, and none
def test_where_no_other_row_can_be_as_low_the_others_are_not_looked_at(flags, change_whole, seed):
    labels, pred_probs = sure_rows(seed)
    change_whole(unreadable)
    expected = find_label_issues(labels, pred_probs)
    assert 0 < expected.sum() < (labels != pred_probs.argmax(axis=1)).sum()
    assert flags(labels, pred_probs) == expected.tolist()


def test_rows_that_other_pairs_decide_need_no_look_at_the_rest(flags, change_whole):
    # One pair's quota is not met, but each doubtful row of its class is an issue already.
    labels, pred_probs = few_confident_rows(seed=2)
    change_whole(unreadable)
    expected = find_label_issues(labels, pred_probs)
    assert 0 < expected.sum() < (labels != pred_probs.argmax(axis=1)).sum()
    assert flags(labels, pred_probs) == expected.tolist()


@pytest.mark.parametrize("n_partitions", [1, 7])
@pytest.mark.parametrize("max_state", [0, cutting._MAX_STATE], ids=["buckets", "states"])
@pytest.mark.parametrize("data", [few_confident_rows, confident_rows])
def test_counting_in_buckets_and_merging_states_give_the_same(
    table_of, by_id, monkeypatch, data, max_state, n_partitions
):
    monkeypatch.setattr(cutting, "_MAX_STATE", max_state)
    labels, pred_probs = data()
    found = multiclass.find_issues(table_of(labels, pred_probs).repartition(n_partitions))
    assert by_id(found, "is_label_issue") == find_label_issues(labels, pred_probs).tolist()

"""The batch functions of label issues without a Spark session: Arrow in, Arrow out."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.types import DoubleType, FloatType

from lq_spark.core.confident.joint import COLLISION_RULES, row_facts
from lq_spark.core.label_issues.margins import ClassPairs
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.tasks.multiclass import batches as issue_batches
from lq_spark.tasks.multiclass.batches import (
    AGREES,
    DOUBTFUL,
    GUESS,
    INDEX,
    ORDER,
    facts_columns,
)
from lq_spark.tasks.shared.batches import usable_rows_batch

N_CLASSES = 4
THRESHOLDS = np.array([0.5, 0.25, 0.75, 2.0])
RUNS = settings(deadline=None, max_examples=40)
SEEDS = st.integers(0, 2**32 - 1)
ELEMENTS = {"float": (FloatType(), pa.float32()), "double": (DoubleType(), pa.float64())}
KINDS = pytest.mark.parametrize("element", ELEMENTS)


def rows_in_eighths(rng, n):
    """Return labels and pred_probs with many equal margins; every fifth row has none."""
    labels = rng.integers(0, N_CLASSES, n)
    lists = (rng.multinomial(8, rng.dirichlet(np.ones(N_CLASSES), n)) / 8).tolist()
    return labels, [None if i % 5 == 3 else row for i, row in enumerate(lists)]


def batch_of(labels, lists, element, start=0):
    """Return rows from ``start`` on, as a slice of the whole batch; keys are texts."""
    columns = {
        "index": pa.array(labels, pa.int64()),
        "pred_probs": pa.array(lists, pa.list_(ELEMENTS[element][1])),
        "key": pa.array([f"r{i}" for i in range(len(labels))], pa.string()),
    }
    return pa.RecordBatch.from_pydict(columns).slice(start)


def some_pairs(rng):
    """Return some pairs (given, true) and them as ClassPairs."""
    every = [(k, j) for k in range(N_CLASSES) for j in range(N_CLASSES) if k != j]
    chosen = np.array(every)[rng.random(len(every)) < 0.6].reshape(-1, 2)
    return chosen.tolist(), ClassPairs.ordered(N_CLASSES, *chosen.T)


def margins(labels, lists, pairs, start=0):
    """Return (pair, margin, row) of each row that has probabilities, in the order of the rows."""
    return [
        (pair, lists[row][k] - lists[row][j], row)
        for row in range(start, len(labels))
        for pair, (k, j) in enumerate(pairs)
        if lists[row] is not None and labels[row] == k
    ]


def entries(batch):
    assert batch.schema.names == ["group", "value", "key"]
    assert batch.schema.types == [pa.int64(), pa.float64(), pa.string()]
    return [(row["group"], row["value"], int(row["key"][1:])) for row in batch.to_pylist()]


@KINDS
@pytest.mark.parametrize("rule", COLLISION_RULES)
@pytest.mark.parametrize("order_by", [None, "self_confidence", "normalized_margin"])
def test_facts_are_those_of_core(element, rule, order_by):
    rng = np.random.default_rng(0)
    kind, arrow = ELEMENTS[element]
    pred_probs = rng.dirichlet(np.full(N_CLASSES, 0.5), 200).astype(arrow.to_pandas_dtype())
    labels = rng.integers(0, N_CLASSES, 200)
    expected = row_facts(labels, pred_probs, THRESHOLDS, rule)
    whole = facts_columns(THRESHOLDS, rule, order_by, kind).function(labels, pred_probs)
    narrow = facts_columns(THRESHOLDS, rule, order_by, None).function(labels, pred_probs)
    for found in (whole, narrow):
        assert found[GUESS].type == pa.int32()
        assert found[GUESS].to_pylist() == expected.guess.tolist()
        if order_by is None:
            assert ORDER not in found
        else:
            scores = score_rows(labels, pred_probs, order_by)
            assert found[ORDER].to_pylist() == scores.tolist()
    assert narrow[AGREES].to_pylist() == expected.agrees.tolist()
    assert whole[DOUBTFUL].type == pa.list_(arrow)
    assert whole[DOUBTFUL].to_pylist() == [
        None if agrees else row
        for agrees, row in zip(expected.agrees, pred_probs.tolist(), strict=True)
    ]


@pytest.mark.parametrize("doubtful", [None, DoubleType()], ids=["narrow", "whole"])
def test_facts_name_their_columns_in_order(doubtful):
    columns = facts_columns(THRESHOLDS, "highest_of_all", "self_confidence", doubtful)
    found = columns.function(np.array([0]), np.array([[0.25, 0.75, 0.0, 0.0]]))
    assert list(found) == columns.schema.fieldNames()
    assert found[AGREES if doubtful is None else DOUBTFUL].to_pylist() == [
        False if doubtful is None else [0.25, 0.75, 0.0, 0.0]
    ]


@KINDS
def test_rows_that_cannot_be_scored_have_null_facts(element):
    lists = [[0.5, 0.5, 0.0, 0.0], None, [0.5, 0.75, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    labels = [1, 0, 0, 2]
    made = facts_columns(THRESHOLDS, "highest_of_all", "self_confidence", ELEMENTS[element][0])
    run = usable_rows_batch(made.function, N_CLASSES, fail=False, tolerance=1e-3)
    batch = batch_of(labels, lists, element)
    found = {name: values.to_pylist() for name, values in run(*batch.columns[:2]).items()}
    assert found == {
        INDEX: [1, None, None, 2],
        GUESS: [0, None, None, 1],
        ORDER: [0.5, None, None, 0.0],
        DOUBTFUL: [None, None, None, [0.0, 1.0, 0.0, 0.0]],
    }


@KINDS
@pytest.mark.parametrize("start", [0, 7])
@RUNS
@given(seed=SEEDS, highest=st.sampled_from([-0.25, 0.0, 2.0]))
def test_entries_are_the_lowest_of_each_pair_and_what_equals_the_last(
    element, start, seed, highest
):
    rng = np.random.default_rng(seed)
    labels, lists = rows_in_eighths(rng, 40)
    pairs, ordered = some_pairs(rng)
    quotas = rng.integers(0, 8, len(pairs))
    found = margins(labels, lists, pairs, start)
    expected = []
    for pair, n in enumerate(quotas):
        near = sorted(entry for entry in found if entry[0] == pair and entry[1] <= highest)
        expected += [entry for entry in near if n and entry[1] <= near[:n][-1][1]]
    run = issue_batches.lowest_entries(N_CLASSES, ordered, quotas, highest)
    assert sorted(entries(run(batch_of(labels, lists, element, start)))) == sorted(expected)


@KINDS
@pytest.mark.parametrize("start", [0, 7])
@RUNS
@given(seed=SEEDS, highest=st.sampled_from([-0.25, -2e-6]), n_buckets=st.sampled_from([1, 5, 64]))
def test_buckets_count_the_margins_and_give_their_entries(element, start, seed, highest, n_buckets):
    rng = np.random.default_rng(seed)
    labels, lists = rows_in_eighths(rng, 40)
    pairs, ordered = some_pairs(rng)
    batch = batch_of(labels, lists, element, start)
    low = [entry for entry in margins(labels, lists, pairs, start) if entry[1] <= highest]

    count = issue_batches.bucket_counts(N_CLASSES, ordered, n_buckets, highest)
    counts = sum(count(batch.slice(i, 11)) for i in range(0, 44, 11))  # they add up over batches
    np.testing.assert_array_equal(counts, count(batch))
    rows = issue_batches.counts_batch(n_buckets)(counts)
    assert rows.schema.names == issue_batches.COUNTS_SCHEMA.names
    numbers = {(row["group"], row["bucket"]): row["rows"] for row in rows.to_pylist()}
    assert 0 not in numbers.values()

    given_back = []
    for bucket in range(n_buckets):
        wanted = np.where(rng.random(len(pairs)) < 0.9, bucket, -1)
        run = issue_batches.bucket_entries(N_CLASSES, ordered, wanted, n_buckets, highest)
        inside = entries(run(batch))
        for pair in range(len(pairs)):
            held = numbers.get((pair, bucket), 0) if wanted[pair] == bucket else 0
            assert sum(entry[0] == pair for entry in inside) == held
        assert set(inside) <= set(low)
        given_back += [(entry[0], entry[1], bucket) for entry in inside]
    assert sum(numbers.values()) == len(low)
    for pair, margin, bucket in given_back:  # a lower bucket never holds a higher margin
        assert not any(p == pair and m > margin and b < bucket for p, m, b in given_back)


@KINDS
@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize("keyed", [False, True])
@RUNS
@given(seed=SEEDS)
def test_cuts_tell_what_lies_below_them_and_what_their_keys_must_tell(element, start, keyed, seed):
    rng = np.random.default_rng(seed)
    labels, lists = rows_in_eighths(rng, 40)
    pairs, ordered = some_pairs(rng)
    cuts = np.where(rng.random(len(pairs)) < 0.2, -np.inf, rng.integers(-8, 9, len(pairs)) / 8)
    has_key = (rng.random(len(pairs)) < 0.5) & keyed
    batch = batch_of(labels, lists, element, start)
    found = issue_batches.cut_batch(N_CLASSES, ordered, cuts, has_key)(*batch.columns[:2])
    below, tied = [False] * len(batch), [[] for _ in range(len(batch))]
    for pair, margin, row in margins(labels, lists, pairs, start):
        if margin == cuts[pair] and has_key[pair]:
            tied[row - start].append(pair)
        elif margin <= cuts[pair]:
            below[row - start] = True
    assert found["below"].to_pylist() == below
    assert found["tied"].to_pylist() == tied if has_key.any() else "tied" not in found


@KINDS
def test_a_batch_without_probabilities_has_no_entries_and_nothing_below(element):
    ordered = ClassPairs.ordered(N_CLASSES, np.array([0]), np.array([1]))
    for lists in ([], [None, None]):
        batch = batch_of([0] * len(lists), lists, element)
        lowest = issue_batches.lowest_entries(N_CLASSES, ordered, np.array([3]), 1.0)
        assert entries(lowest(batch)) == []
        cut = issue_batches.cut_batch(N_CLASSES, ordered, np.array([0.5]), np.array([True]))
        found = cut(*batch.columns[:2])
        assert found["below"].to_pylist() == [False] * len(lists)
        assert found["tied"].to_pylist() == [[]] * len(lists)

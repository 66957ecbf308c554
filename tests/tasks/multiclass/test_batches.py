"""The batch functions of label issues without a Spark session: Arrow in, Arrow out."""

import functools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.types import DoubleType, FloatType

from lq_spark.core.confident.joint import COLLISION_RULES, row_facts
from lq_spark.core.label_issues.lowest import LowestMargins, nth_of_counted
from lq_spark.core.label_issues.margins import ClassPairs, LowMargins, margin_levels
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.tasks.multiclass import batches as issue_batches
from lq_spark.tasks.multiclass.batches import (
    AGREES,
    DOUBTFUL,
    GUESS,
    INDEX,
    LEVEL,
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
        assert found[AGREES].to_pylist() == expected.agrees.tolist()
    assert LEVEL not in narrow
    assert (whole[LEVEL].type, set(whole[LEVEL].to_pylist())) == (pa.int8(), {0})
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
    assert found[AGREES].to_pylist() == [False]
    assert doubtful is None or found[DOUBTFUL].to_pylist() == [[0.25, 0.75, 0.0, 0.0]]


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
        AGREES: [True, None, None, False],
        ORDER: [0.5, None, None, 0.0],
        DOUBTFUL: [None, None, None, [0.0, 1.0, 0.0, 0.0]],
        LEVEL: [0, None, None, 0],
    }


@pytest.mark.parametrize("n_classes", [32, 33])
def test_facts_of_many_classes_have_the_level_of_the_lowest_margin(n_classes):
    rng = np.random.default_rng(0)
    pred_probs = rng.dirichlet(np.full(n_classes, 0.05), 300)
    labels = np.where(rng.random(300) < 0.8, pred_probs.argmax(axis=1), 0)
    columns = facts_columns(np.full(n_classes, 0.5), "highest_of_all", None, DoubleType())
    levels = np.array(columns.function(labels, pred_probs)[LEVEL].to_pylist())
    others = pred_probs.copy()
    others[np.arange(300), labels] = -1.0
    lowest = pred_probs[np.arange(300), labels] - others.max(axis=1)
    if n_classes == 32:
        assert not levels.any()
    else:
        assert (levels == margin_levels((lowest + 1) / 2)).all()
        assert 0 < np.count_nonzero(levels == 0) < 100 < np.count_nonzero(levels > 60)


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
    low = LowMargins(N_CLASSES, ordered, np.full(len(pairs), highest))
    run = issue_batches.lowest_entries(low, quotas)
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

    limits = LowMargins(N_CLASSES, ordered, np.full(len(pairs), highest))
    count = issue_batches.bucket_counts(limits, n_buckets)
    counts = sum(count(batch.slice(i, 11)) for i in range(0, 44, 11))  # they add up over batches
    np.testing.assert_array_equal(counts, count(batch))
    rows = issue_batches.counts_batch(n_buckets)(counts)
    assert rows.schema.names == issue_batches.COUNTS_SCHEMA.names
    numbers = {(row["group"], row["bucket"]): row["rows"] for row in rows.to_pylist()}
    assert 0 not in numbers.values()

    given_back = []
    for bucket in range(n_buckets):
        wanted = np.where(rng.random(len(pairs)) < 0.9, bucket, -1)
        run = issue_batches.bucket_entries(limits, wanted, n_buckets)
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
@RUNS
@given(seed=SEEDS, highest=st.sampled_from([-0.25, 0.0, 2.0]), n_parts=st.sampled_from([1, 2, 5]))
def test_states_of_partitions_say_where_the_nth_lowest_margins_lie(
    element, start, seed, highest, n_parts
):
    rng = np.random.default_rng(seed)
    labels, lists = rows_in_eighths(rng, 40)
    pairs, ordered = some_pairs(rng)
    quotas = rng.integers(1, 8, len(pairs))
    low = LowMargins(N_CLASSES, ordered, np.full(len(pairs), highest))
    batch = batch_of(labels, lists, element, start)
    partial = issue_batches.lowest_margins(low, quotas)
    rows = []
    for part in np.array_split(np.arange(len(batch)), n_parts):
        pieces = [batch.slice(i, min(4, part[-1] + 1 - i)) for i in part[::4].tolist()]
        state = functools.reduce(LowestMargins.merge, map(partial, pieces))
        rows.append(issue_batches.state_batch(state))
        assert rows[-1].schema.names == issue_batches.STATE_SCHEMA.names
    states = pa.Table.from_batches(rows).combine_chunks().to_batches()[0]
    found = nth_of_counted(issue_batches.states_of_batch(quotas)(states), quotas)
    everything = [entry for entry in margins(labels, lists, pairs, start) if entry[1] <= highest]
    for pair, n in enumerate(quotas):
        values = sorted(entry[1] for entry in everything if entry[0] == pair)
        assert found.is_met[pair] == (len(values) >= n)
        if len(values) >= n:
            nth = values[n - 1]
            assert found.value[pair] == nth
            assert found.n_below[pair] == sum(value < nth for value in values)
            assert found.n_equal[pair] == values.count(nth)


@KINDS
@RUNS
@given(seed=SEEDS)
def test_entries_of_equal_margins_are_those_at_the_limits(element, seed):
    rng = np.random.default_rng(seed)
    labels, lists = rows_in_eighths(rng, 40)
    pairs, ordered = some_pairs(rng)
    limits = np.where(rng.random(len(pairs)) < 0.2, -np.inf, rng.integers(-4, 5, len(pairs)) / 8)
    run = issue_batches.equal_entries(LowMargins(N_CLASSES, ordered, limits))
    expected = [entry for entry in margins(labels, lists, pairs) if entry[1] == limits[entry[0]]]
    assert sorted(entries(run(batch_of(labels, lists, element)))) == sorted(expected)


@KINDS
@RUNS
@given(seed=SEEDS)
def test_the_highest_margins_are_those_of_rows_that_no_cut_takes(element, seed):
    rng = np.random.default_rng(seed)
    labels, lists = rows_in_eighths(rng, 40)
    pairs, ordered = some_pairs(rng)
    cuts = np.where(rng.random(len(pairs)) < 0.5, -np.inf, rng.integers(-6, 1, len(pairs)) / 8)
    equal = rng.random(len(pairs)) < 0.5
    found = margins(labels, lists, pairs)
    taken = {row for pair, m, row in found if m < cuts[pair] or (m == cuts[pair] and equal[pair])}
    expected = [
        max((m for p, m, row in found if p == pair and row not in taken), default=-np.inf)
        for pair in range(len(pairs))
    ]
    everything = LowMargins(N_CLASSES, ordered, np.full(len(pairs), np.inf))
    low = LowMargins(N_CLASSES, ordered, cuts)
    run = issue_batches.highest_undecided(low, equal, everything)
    assert run(batch_of(labels, lists, element)).tolist() == expected


@KINDS
@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize("keyed", [False, True])
@RUNS
@given(seed=SEEDS)
def test_cuts_tell_what_lies_below_them_and_which_equal_rows_come_first(
    element, start, keyed, seed
):
    rng = np.random.default_rng(seed)
    labels, lists = rows_in_eighths(rng, 40)
    pairs, ordered = some_pairs(rng)
    cuts = np.where(rng.random(len(pairs)) < 0.2, -np.inf, rng.integers(-8, 9, len(pairs)) / 8)
    # Some keys lie between those of rows, and "r9" after "r30": texts are compared as texts.
    last = [
        f"r{key / 2:g}" if rng.random() < 0.5 else None for key in rng.integers(0, 80, len(pairs))
    ]
    batch = batch_of(labels, lists, element, start)
    low = LowMargins(N_CLASSES, ordered, cuts)
    keys = [pa.array(last, pa.string())] if keyed else [None]
    run = issue_batches.cut_batch(low, *keys, "below")
    found = run(*batch.columns[: 3 if keyed else 2])
    below = [False] * len(batch)
    for pair, margin, row in margins(labels, lists, pairs, start):
        is_first = not keyed or last[pair] is None or f"r{row}" <= last[pair]
        if margin < cuts[pair] or (margin == cuts[pair] and is_first):
            below[row - start] = True
    assert {name: flags.to_pylist() for name, flags in found.items()} == {"below": below}


@KINDS
def test_a_batch_without_probabilities_has_no_entries_and_nothing_below(element):
    ordered = ClassPairs.ordered(N_CLASSES, np.array([0]), np.array([1]))
    for lists in ([], [None, None]):
        batch = batch_of([0] * len(lists), lists, element)
        low = LowMargins(N_CLASSES, ordered, np.array([0.5]))
        assert entries(issue_batches.lowest_entries(low, np.array([3]))(batch)) == []
        assert entries(issue_batches.equal_entries(low)(batch)) == []
        cut = issue_batches.cut_batch(low, pa.array(["r0"]), "below")
        assert cut(*batch.columns)["below"].to_pylist() == [False] * len(lists)

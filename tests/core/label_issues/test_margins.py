"""Margins over pairs of classes, and the lowest of each group with all that equal the last."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lq_spark.core.label_issues import margins as margins_module
from lq_spark.core.label_issues.margins import (
    ClassPairs,
    LowMargins,
    lowest_of_each,
    margin_buckets,
    margin_levels,
    pair_margins,
)

SEEDS = st.integers(0, 2**32 - 1)
RUNS = settings(deadline=None, max_examples=60)
RUNS_IN_EACH_WAY = settings(RUNS, suppress_health_check=[HealthCheck.function_scoped_fixture])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def random_pairs(rng, n_classes):
    """Return some pairs (given, true) of different classes, in order."""
    every = [(k, j) for k in range(n_classes) for j in range(n_classes) if k != j]
    chosen = rng.random(len(every)) < rng.choice([0.0, 0.1, 0.5, 1.0])
    return np.array(every)[chosen].reshape(-1, 2).T


def random_rows(rng, n_classes, dtype):
    n = int(rng.integers(0, 40))
    pred_probs = rng.dirichlet(np.full(n_classes, 0.3), n).astype(dtype)
    return rng.integers(0, n_classes, n), pred_probs


@DTYPES
@RUNS
@given(seed=SEEDS)
def test_each_row_has_the_margin_of_each_pair_of_its_class(dtype, seed):
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, 8))
    given_classes, true_classes = random_pairs(rng, n_classes)
    labels, pred_probs = random_rows(rng, n_classes, dtype)
    expected = [
        (row, pair, float(pred_probs[row, k]) - float(pred_probs[row, j]))
        for row, k in enumerate(labels)
        for pair, (given_class, j) in enumerate(zip(given_classes, true_classes, strict=True))
        if given_class == k
    ]
    pairs = ClassPairs.ordered(n_classes, given_classes, true_classes)
    found = pair_margins(labels, pred_probs, pairs)
    assert found.margin.dtype == np.float64
    assert list(zip(found.row, found.pair, found.margin, strict=True)) == expected


def test_a_margin_of_floats_is_that_of_the_doubles_that_they_are():
    pred_probs = np.array([[0.1, 0.7, 0.2]], dtype=np.float32)
    pairs = ClassPairs.ordered(3, np.array([0]), np.array([1]))
    [margin] = pair_margins(np.array([0]), pred_probs, pairs).margin
    assert margin == float(np.float32(0.1)) - float(np.float32(0.7))
    assert margin != float(np.float32(0.1) - np.float32(0.7))


def test_the_pairs_of_a_class_lie_between_its_starts():
    given_classes, true_classes = np.array([1, 1, 3]), np.array([0, 2, 1])
    pairs = ClassPairs.ordered(5, given_classes, true_classes)
    assert pairs.starts.tolist() == [0, 0, 2, 2, 3, 3]
    assert pairs.true.tolist() == [0, 2, 1]


@pytest.fixture(params=["in a matrix", "pair by pair"])
def way(request, monkeypatch):
    """Look for low margins in one of the two ways, in small blocks."""
    monkeypatch.setattr(margins_module, "_BLOCK_MARGINS", 16)
    monkeypatch.setattr(margins_module, "_MIN_FILLED", {"in a matrix": -1.0}.get(request.param, 2))


@DTYPES
@RUNS_IN_EACH_WAY
@given(seed=SEEDS)
def test_low_margins_are_those_up_to_the_limits(way, dtype, seed):
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, 8))
    given_classes, true_classes = random_pairs(rng, n_classes)
    labels, pred_probs = random_rows(rng, n_classes, dtype)
    pairs = ClassPairs.ordered(n_classes, given_classes, true_classes)
    every = pair_margins(labels, pred_probs, pairs)
    limits = rng.choice([-np.inf, -0.5, 0.0, np.inf], len(true_classes))
    if len(every.margin):  # some limits are margins to the bit
        limits[every.pair] = np.where(rng.random(len(every.pair)) < 0.5, every.margin, -0.25)
    found = LowMargins(n_classes, pairs, limits).find(labels, pred_probs)
    low = every.margin <= limits[every.pair]
    assert found.row.tolist() == every.row[low].tolist()
    assert found.pair.tolist() == every.pair[low].tolist()
    assert found.margin.tolist() == every.margin[low].tolist()


def up_to_the_nth_lowest(groups, values, quotas):
    """Return the positions taken, by sorting each group."""
    taken = []
    for group, n in enumerate(quotas):
        rows = np.flatnonzero(groups == group)
        if n > 0 and len(rows):
            highest = np.sort(values[rows])[:n][-1]
            taken += rows[values[rows] <= highest].tolist()
    return sorted(taken)


VALUES = {
    "different": lambda rng, n: rng.standard_normal(n),
    "few": lambda rng, n: rng.integers(-2, 3, n) / 4,
    "one": lambda rng, n: np.zeros(n),
    "both zeros": lambda rng, n: rng.choice([0.0, -0.0], n),
}


@pytest.mark.parametrize("kind", VALUES)
@RUNS
@given(seed=SEEDS, n=st.integers(0, 60), n_groups=st.integers(1, 9))
def test_the_lowest_of_each_group_are_those_up_to_its_nth(kind, seed, n, n_groups):
    rng = np.random.default_rng(seed)
    groups, values = rng.integers(0, n_groups, n), VALUES[kind](rng, n)
    quotas = rng.choice([0, 1, 2, 5, 100], n_groups)
    found = lowest_of_each(groups, values, quotas)
    assert sorted(found.tolist()) == up_to_the_nth_lowest(groups, values, quotas)


def test_what_equals_the_last_is_taken_whole_and_no_more():
    groups = np.array([0, 0, 0, 0, 2, 2])
    values = np.array([0.5, 0.25, 0.5, 0.75, -1.0, -1.0])
    found = lowest_of_each(groups, values, np.array([2, 3, 1]))
    assert sorted(found.tolist()) == [0, 1, 2, 4, 5]


def test_groups_without_rows_and_quotas_of_none_take_nothing():
    nothing = np.zeros(0, dtype=np.int64)
    assert lowest_of_each(nothing, np.zeros(0), np.array([1, 5])).tolist() == []
    assert lowest_of_each(np.array([1, 1]), np.array([0.5, -1.0]), np.array([3, 0])).size == 0


@RUNS
@given(seed=SEEDS, n_buckets=st.sampled_from([1, 2, 3, 10, 1000, 1 << 18]))
def test_a_lower_bucket_never_holds_a_higher_margin(seed, n_buckets):
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, n_buckets + 1, 50) / n_buckets - 1
    near = [np.nextafter(edges, -2), edges, np.nextafter(edges, 2)]
    margin = np.sort(np.concatenate([-rng.random(50), *near, [-1.001, -1.0, 0.0, 1e-6, 1.0]]))
    buckets = margin_buckets(margin, n_buckets)
    assert (np.diff(buckets) >= 0).all()
    assert (buckets[0], buckets[-1]) == (0, n_buckets - 1)


@RUNS
@given(seed=SEEDS)
def test_a_lower_level_never_holds_a_higher_margin(seed):
    rng = np.random.default_rng(seed)
    edges = (rng.integers(0, 128, 50) / 127) ** 2
    near = [np.nextafter(edges, -2), edges, np.nextafter(edges, 2)]
    margins = np.sort(np.concatenate([-rng.random(50), *near, rng.random(50), [-1.0, 0.0, 1.0]]))
    levels = margin_levels((margins + 1.0) / 2.0)
    assert levels.dtype == np.int8
    assert (np.diff(levels) >= 0).all()
    assert (levels[0], levels[-1]) == (0, 127)

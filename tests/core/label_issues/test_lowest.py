"""The n-th lowest margin of each pair, from states that merge in any order."""

import functools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lq_spark.core.label_issues import lowest as lowest_module
from lq_spark.core.label_issues.lowest import (
    CountedValues,
    LowestMargins,
    counted_lowest,
    nth_of_counted,
)
from lq_spark.core.label_issues.margins import ClassPairs, LowMargins, pair_margins

SEEDS = st.integers(0, 2**32 - 1)
RUNS = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
N_CLASSES = 5


@pytest.fixture(params=[1, 8, 1 << 17])
def pending(request, monkeypatch):
    """Sort margins into a state as soon as there are so many, or so many are wanted."""
    monkeypatch.setattr(lowest_module, "_MIN_PENDING", request.param)


def expected_nth(groups, values, quotas):
    """Return (is_met, value, n_below, n_equal) of each group, by sorting it."""
    found = []
    for group, n in enumerate(quotas):
        ordered = np.sort(values[groups == group])
        if len(ordered) < n:
            found.append((False, None, None, None))
        else:
            nth = ordered[n - 1]
            found.append((True, nth, int((ordered < nth).sum()), int((ordered == nth).sum())))
    return found


def found_nth(counted, quotas):
    return [
        tuple(row) if row[0] else (False, None, None, None)
        for row in zip(*(a.tolist() for a in nth_of_counted(counted, quotas)), strict=True)
    ]


@RUNS
@given(seed=SEEDS, n=st.integers(0, 60), n_groups=st.sampled_from([1, 3, 9, 70_000]))
def test_counted_values_hold_the_nth_lowest_and_nothing_above_it(seed, n, n_groups):
    rng = np.random.default_rng(seed)
    groups, values = rng.integers(0, n_groups, n), rng.integers(-4, 4, n) / 8
    quotas = rng.choice([1, 2, 5, 100], n_groups)
    parts = [
        CountedValues(groups[at], values[at], np.ones(len(at), dtype=np.int64))
        for at in np.array_split(rng.permutation(n), 3)
    ]
    at_once = counted_lowest(parts, quotas)
    assert found_nth(at_once, quotas) == expected_nth(groups, values, quotas)
    merged = counted_lowest([counted_lowest(parts[2:], quotas), *parts[:2]], quotas)
    assert all(np.array_equal(a, b) for a, b in zip(at_once, merged, strict=True))
    for group, value in zip(at_once.group, at_once.value, strict=True):
        assert (values[groups == group] < value).sum() < quotas[group]


@RUNS
@given(seed=SEEDS, n_parts=st.integers(1, 6))
def test_states_of_rows_hold_the_nth_lowest_margins(pending, seed, n_parts):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, 50)
    pred_probs = rng.multinomial(8, rng.dirichlet(np.ones(N_CLASSES), 50)) / 8
    given_classes, true_classes = np.nonzero(~np.eye(N_CLASSES, dtype=bool))
    pairs = ClassPairs.ordered(N_CLASSES, given_classes, true_classes)
    quotas = rng.integers(1, 9, len(true_classes))
    low = LowMargins(N_CLASSES, pairs, np.full(len(true_classes), 0.125))
    every = pair_margins(labels, pred_probs, pairs)
    is_low = every.margin <= 0.125
    expected = expected_nth(every.pair[is_low], every.margin[is_low], quotas)
    states = [
        LowestMargins(low, quotas, labels[at], pred_probs[at])
        for at in np.array_split(rng.permutation(50), n_parts)
    ]
    if n_parts > 3:  # a state that has looked at rows, on the right
        states = [states[0], functools.reduce(LowestMargins.merge, states[1:])]
    found = functools.reduce(LowestMargins.merge, states).result()
    assert found_nth(found, quotas) == expected

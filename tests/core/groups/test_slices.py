import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lq_spark.core.groups import find_worse_groups
from lq_spark.core.groups.slices import finish_group_tests, partial_quality_sums
from lq_spark.core.groups.sums import merge_group_sums
from lq_spark.core.groups.tails import adjusted, lower_tail
from lq_spark.errors import DataError, OptionError


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_groups = draw(st.integers(1, 6))
    sizes = rng.integers(1, 80, n_groups)
    skews = rng.random(n_groups) * 4 + 0.2
    groups = rng.permutation(np.repeat(np.arange(n_groups), sizes))
    quality = rng.beta(skews[groups], 1.0)
    if draw(st.booleans()):
        quality = np.round(quality)  # a share of rows that are flagged
    return groups, quality


def one_sided(own, rest):
    if own.std() == rest.std() == 0.0:
        return float(own.mean() >= rest.mean())
    return stats.ttest_ind(own, rest, equal_var=False, alternative="less").pvalue


@settings(deadline=None)
@given(case=cases(), min_rows=st.sampled_from([2, 5, 30]))
def test_p_values_are_those_of_welchs_test(case, min_rows, quietly):
    groups, quality = case
    found = find_worse_groups(groups, quality, min_rows=min_rows)
    counts = np.bincount(groups)
    is_tested = (counts >= min_rows) & (len(groups) - counts >= min_rows)
    assert sorted(found.groups.tolist()) == np.flatnonzero(is_tested).tolist()
    for i, group in enumerate(found.groups):
        own, rest = quality[groups == group], quality[groups != group]
        np.testing.assert_allclose(found.means[i], own.mean(), rtol=0, atol=2e-9)
        np.testing.assert_allclose(found.rest_means[i], rest.mean(), rtol=0, atol=2e-9)
        difference = own.mean() - rest.mean()
        np.testing.assert_allclose(found.differences[i], difference, rtol=0, atol=4e-9)
        expected = quietly(one_sided, own, rest)
        np.testing.assert_allclose(found.p_values[i], expected, rtol=1e-5, atol=1e-12)
        assert found.counts[i] == len(own)


@settings(deadline=None)
@given(case=cases(), n_parts=st.integers(1, 7), seed=st.integers(0, 99))
def test_tests_do_not_depend_on_how_rows_are_split(case, n_parts, seed):
    groups, quality = case
    order = np.random.default_rng(seed).permutation(len(groups))
    parts = [
        partial_quality_sums(groups[rows], quality[rows]) for rows in np.array_split(order, n_parts)
    ]
    merged = finish_group_tests(functools.reduce(merge_group_sums, parts), min_rows=2)
    whole = find_worse_groups(groups, quality, min_rows=2)
    for name in whole.__slots__:
        assert np.array_equal(getattr(merged, name), getattr(whole, name))


def test_the_worst_group_is_first():
    rng = np.random.default_rng(0)
    shifts = {"a": 0.0, "b": -0.3, "c": -0.1, "d": 0.2, "e": 0.0}
    groups = np.repeat(list(shifts), 200)
    quality = 0.5 + np.repeat(list(shifts.values()), 200) + rng.uniform(-0.1, 0.1, 1000)
    found = find_worse_groups(groups, quality)
    assert found.groups.tolist()[:2] == ["b", "c"]
    assert found.groups.tolist()[-1] == "d"
    assert found.is_worse.tolist() == [True, True, False, False, False]
    assert (np.diff(found.differences[2:]) >= 0).all()


def test_a_group_that_is_worse_comes_before_a_lower_one_that_may_be_chance():
    groups = np.repeat([0, 1, 2], [2000, 5000, 4])
    quality = np.concatenate([np.tile([0.5, 0.7], 1000), np.tile([0.6, 0.8], 2500), [0, 1, 1, 0]])
    found = find_worse_groups(groups, quality, min_rows=2)
    assert found.groups.tolist() == [0, 2, 1]
    assert found.is_worse.tolist() == [True, False, False]
    assert found.differences[0] > found.differences[1]


def test_groups_below_the_least_size_are_in_the_rest_alone():
    groups = np.repeat([0, 1, 2], [40, 40, 10])
    quality = np.repeat([0.25, 0.75, 1.0], [40, 40, 10])
    found = find_worse_groups(groups, quality)
    assert found.groups.tolist() == [0, 1]
    assert found.rest_means.tolist() == [0.8, 0.4]


def test_one_group_of_all_rows_has_nothing_to_be_beside():
    found = find_worse_groups(["all"] * 90, [0.5] * 90)
    assert [len(getattr(found, name)) for name in found.__slots__] == [0] * 8


def test_equal_qualities_have_no_spread():
    groups = np.repeat([0, 1, 2], 30)
    found = find_worse_groups(groups, np.full(90, 0.1))
    assert found.differences.tolist() == [0.0] * 3
    assert found.p_values.tolist() == [1.0] * 3
    found = find_worse_groups(groups[:60], np.repeat([0.1, 0.3], 30))
    assert found.p_values.tolist() == [0.0, 1.0]
    assert found.is_worse.tolist() == [True, False]


def test_random_groups_are_seldom_called_worse():
    rng = np.random.default_rng(0)
    n_wrong = 0
    for _ in range(200):
        found = find_worse_groups(rng.integers(0, 8, 500), rng.beta(4, 1, 500))
        n_wrong += found.is_worse.any()
    assert n_wrong <= 20  # 10 are expected


FREEDOMS = (0.5, 1, 1.5, 3, 29.5, 1e3, 9.9e4)


@pytest.mark.parametrize("freedom", [*FREEDOMS, 1.1e5, 1e7, 1e12])
def test_tails_are_those_of_students_distribution(freedom):
    for t in (-40.0, -10.0, -3.0, -1.0, -0.1, -1e-9, 0.0, 1e-3, 0.5, 2.0, 9.0):
        expected = stats.t.cdf(t, freedom)
        rtol = 1e-9 if freedom < 1e5 else 1e-7
        if expected > 1e-250:
            np.testing.assert_allclose(lower_tail(t, freedom), expected, rtol=rtol)


@given(
    p_values=st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array),
)
def test_p_values_are_adjusted_by_their_definitions(p_values):
    m = len(p_values)
    ordered = sorted(p_values)
    holm = [min(1.0, max((m - j) * q for j, q in enumerate(ordered) if q <= p)) for p in p_values]
    np.testing.assert_allclose(adjusted(p_values, "holm"), holm, rtol=1e-12)
    expected = stats.false_discovery_control(p_values, method="bh")
    np.testing.assert_allclose(adjusted(p_values, "benjamini_hochberg"), expected, rtol=1e-12)


def test_the_correction_decides_how_many_groups_are_worse():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), 100)
    quality = rng.beta(4, 1, 2000) * np.where(groups < 8, 0.93, 1.0)
    flagged = [
        find_worse_groups(groups, quality, correction=correction).is_worse.sum()
        for correction in ("holm", "benjamini_hochberg")
    ]
    assert 0 < flagged[0] < flagged[1]
    assert not find_worse_groups(groups, quality, alpha=0).is_worse.any()


@pytest.mark.parametrize(
    "groups",
    [
        ["b", "b", "a", "a"],
        np.array(["b", "b", "a", "a"], dtype=object),
        [7, 7, -1, -1],
        [True, True, False, False],
    ],
    ids=str,
)
def test_groups_may_be_texts_numbers_or_bools(groups):
    found = find_worse_groups(groups, [0.25, 0.5, 0.75, 1.0], min_rows=2)
    assert found.groups.tolist() == [groups[0], groups[2]]


@pytest.mark.parametrize(
    ("groups", "quality", "message"),
    [
        ([], [], "groups must be a non-empty 1-D array of whole numbers or texts, got shape (0,)"),
        ([["a"]], [1], "groups must be a non-empty 1-D array of whole numbers or texts, got shape"),
        (["a", None], [1, 1], "groups must be a non-empty 1-D array of whole numbers or texts"),
        ([1.5], [1], "groups must be a non-empty 1-D array of whole numbers or texts, got shape"),
        (["a"], [[1]], "quality must be a 1-D array of numbers, got"),
        (["a", "b"], [1], "groups has 2 rows, quality has 1"),
        (["a"] * 2, [0, 1.5], "quality: not from 0 to 1: 1 rows, for instance row 1: 1.5"),
        (["a"] * 2, [math.nan, 1], "quality: not from 0 to 1: 1 rows, for instance row 0: nan"),
    ],
    ids=str,
)
def test_bad_rows_are_refused(groups, quality, message):
    with pytest.raises(DataError) as error:
        find_worse_groups(groups, quality)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, "alpha must be a number from 0 to 1, got 1.5"),
        ({"correction": "holms"}, "correction must be one of 'holm', 'benjamini_hochberg', got"),
        ({"min_rows": 1}, "min_rows must be a whole number of at least 2, got 1"),
    ],
    ids=str,
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(OptionError) as error:
        find_worse_groups(["a"], [1.0], **options)
    assert str(error.value).startswith(message)

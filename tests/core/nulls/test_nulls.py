import functools

import numpy as np
import pytest
from cleanlab import Datalab
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.nulls import find_nulls, is_null
from lq_spark.core.nulls.patterns import finish_nulls, merge_nulls, partial_nulls
from lq_spark.errors import DataError


@st.composite
def masks(draw, most_columns=20):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, most_columns))
    shares = rng.random(shape[1]) ** draw(st.sampled_from([0.1, 1.0, 8.0]))
    return rng.random(shape) < shares


@settings(deadline=None, max_examples=60)
@given(mask=st.one_of(masks(), masks(most_columns=2)))
def test_nulls_are_those_of_cleanlab(mask, quietly):
    features = np.where(mask, np.nan, 1.0)
    lab = Datalab({"label": [0] * len(mask)}, label_name="label", verbosity=0)
    quietly(lab.find_issues, features=features, issue_types={"null": {}})
    flags, scores, found = find_nulls(is_null(features))
    issues, info = lab.get_issues("null"), lab.get_info("null")
    summary = lab.get_issue_summary("null")
    assert flags.tolist() == issues["is_null_issue"].tolist()
    np.testing.assert_allclose(scores, issues["null_score"], rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.score, summary["score"][0], rtol=0, atol=1e-12)
    assert found.n_issues == summary["num_issues"][0] == flags.sum()
    np.testing.assert_allclose(found.column_shares, info["column_impact"], rtol=0, atol=1e-15)
    common = info["most_common_issue"]
    assert (found.pattern or "no_null") == common["pattern"]
    assert found.pattern_count == common["count"] == len(common["rows_affected"])
    assert found.pattern_first_row == min(common["rows_affected"], default=-1)


@given(mask=masks(), n_parts=st.integers(1, 7), seed=st.integers(0, 99))
def test_counts_do_not_depend_on_how_rows_are_split(mask, n_parts, seed):
    order = np.random.default_rng(seed).permutation(len(mask))
    parts = [partial_nulls(mask[rows], rows) for rows in np.array_split(order, n_parts)]
    merged = functools.reduce(merge_nulls, parts)
    whole = partial_nulls(mask, np.arange(len(mask)))
    for name in whole.__slots__:
        assert np.array_equal(getattr(merged, name), getattr(whole, name))


def test_null_is_what_has_no_value():
    words = np.array([["a", None], [np.nan, ""]], dtype=object)
    assert is_null(words).tolist() == [[False, True], [True, False]]
    assert is_null([[1, 2]]).tolist() == [[False, False]]
    assert is_null(np.array([["2020-01-01", "NaT"]], dtype="M8[D]")).tolist() == [[False, True]]


def test_of_equally_common_patterns_the_first_seen_is_meant():
    mask = np.array([[False, False], [True, False], [False, True], [True, True]])
    assert find_nulls(mask)[2].pattern == "10"
    backwards = partial_nulls(mask, np.array([9, 8, 7, 6]))
    assert finish_nulls(backwards).pattern == "11"
    assert finish_nulls(backwards).pattern_first_row == 6


@pytest.mark.parametrize("values", [[True], [[]], [[1.0]], np.empty((0, 2), dtype=bool)], ids=str)
def test_what_says_nothing_of_nulls_is_refused(values):
    with pytest.raises(DataError, match="nulls must be a non-empty 2-D array of bool, got shape"):
        find_nulls(values)


def test_no_rows_are_refused():
    state = partial_nulls(np.empty((0, 2), dtype=bool), np.empty(0, dtype=np.int64))
    with pytest.raises(DataError, match="there must be rows and columns, got 0 and 2"):
        finish_nulls(state)

import functools

import numpy as np
import pytest
from cleanlab import Datalab
from datasets import ClassLabel, Dataset, Features
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.imbalance import find_class_imbalance
from lq_spark.core.imbalance.classes import (
    finish_imbalance,
    merge_class_counts,
    partial_class_counts,
)
from lq_spark.errors import DataError, OptionError


def cleanlabs(labels, n_classes, threshold):
    """Return flags, scores and summary of cleanlab, with classes that need not occur."""
    names = [f"class {k}" for k in range(n_classes)]
    features = Features({"label": ClassLabel(names=names)})
    data = Dataset.from_dict({"label": list(labels)}, features=features)
    lab = Datalab(data, label_name="label", verbosity=0)
    lab.find_issues(issue_types={"class_imbalance": {"threshold": threshold}})
    issues = lab.get_issues("class_imbalance")
    summary = lab.get_issue_summary("class_imbalance")["score"][0]
    columns = ["is_class_imbalance_issue", "class_imbalance_score"]
    return *(issues[column].to_numpy() for column in columns), summary


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_classes = draw(st.integers(1, 6))
    shares = rng.dirichlet(np.full(n_classes, draw(st.sampled_from([0.1, 1.0, 10.0]))))
    extra = rng.choice(n_classes, size=draw(st.integers(0, 150)), p=shares)
    return np.concatenate([np.arange(n_classes), extra]), n_classes


@settings(deadline=None, max_examples=40)
@given(case=cases(), threshold=st.sampled_from([0.0, 0.1, 0.5, 1.0]), n_absent=st.integers(0, 2))
def test_rows_of_a_rare_class_are_those_of_cleanlab(case, threshold, n_absent, quietly):
    labels, n_classes = case
    n_classes += n_absent  # the last ones, which cleanlab does not count
    flags, scores, found = find_class_imbalance(labels, n_classes, threshold=threshold)
    expected = quietly(cleanlabs, labels, n_classes, threshold)
    assert flags.tolist() == expected[0].tolist()
    np.testing.assert_allclose(scores, expected[1], rtol=1e-15)
    np.testing.assert_allclose(found.score, expected[2], rtol=1e-15)
    assert found.absent == tuple(range(n_classes - n_absent, n_classes))


def test_a_class_that_does_not_occur_does_not_hide_a_rare_one(quietly):
    labels = [0] * 40 + [2]
    flags, scores, found = find_class_imbalance(labels, 3)
    assert (flags.sum(), found.rarest, found.absent) == (1, 2, (1,))
    assert scores.tolist() == [1.0] * 40 + [1 / 41]
    theirs = quietly(cleanlabs, labels, 3, 0.1)
    assert (theirs[0].sum(), theirs[2]) == (0, 0.0)


@given(case=cases(), n_parts=st.integers(1, 7))
def test_counts_do_not_depend_on_how_rows_are_split(case, n_parts):
    labels, n_classes = case
    parts = [partial_class_counts(part, n_classes) for part in np.array_split(labels, n_parts)]
    merged = functools.reduce(merge_class_counts, parts[::-1])
    assert merged.tolist() == partial_class_counts(labels, n_classes).tolist()


def test_of_equally_rare_classes_the_first_is_meant():
    assert finish_imbalance(np.array([9, 3, 3])).rarest == 1


def test_one_class_alone_is_not_rare():
    flags, scores, found = find_class_imbalance([0, 0, 0], 1)
    assert (flags.any(), scores.tolist(), found.score) == (False, [1.0] * 3, 1.0)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), "0.1", None])
def test_a_bad_threshold_is_refused(threshold):
    with pytest.raises(OptionError, match="threshold must be a number from 0 to 1, got"):
        find_class_imbalance([0, 1], 2, threshold=threshold)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_out_of_range_is_refused(label):
    with pytest.raises(DataError, match=f"labels must be 0 to 1, got {label}"):
        find_class_imbalance([0, label], 2)


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="there are no labels; at least 1 is needed"):
        finish_imbalance(np.zeros(3, dtype=np.int64))

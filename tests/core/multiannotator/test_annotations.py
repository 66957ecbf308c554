from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq_spark.core.multiannotator.annotations import checked_annotations, count_votes
from lq_spark.errors import DataError


@st.composite
def long_labels(draw):
    """Return items, annotators, labels in random order, each item with a label."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_items, n_annotators = draw(st.integers(1, 30)), draw(st.integers(1, 12))
    given_by = rng.random((n_items, n_annotators)) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    given_by[np.arange(n_items), rng.integers(n_annotators, size=n_items)] = True
    items, annotators = np.nonzero(given_by)
    order = rng.permutation(len(items))
    return items[order], annotators[order], rng.integers(4, size=len(items))


@given(columns=long_labels())
def test_labels_are_sorted_by_item_and_annotator(columns):
    items, annotators, labels = columns
    found = checked_annotations(items, annotators, labels, n_classes=4)
    order = np.lexsort((annotators, items))
    np.testing.assert_array_equal(found.items, items[order])
    np.testing.assert_array_equal(found.annotators, annotators[order])
    np.testing.assert_array_equal(found.labels, labels[order])
    np.testing.assert_array_equal(found.sizes, np.bincount(items))
    assert (found.n_items, found.n_annotators) == (items.max() + 1, annotators.max() + 1)


@given(columns=long_labels())
def test_votes_are_the_counts_of_each_items_classes(columns):
    annotations = checked_annotations(*columns, n_classes=4)
    votes = count_votes(annotations)
    table = np.zeros((annotations.n_items, 4), dtype=np.int64)
    np.add.at(table, (columns[0], columns[2]), 1)
    np.testing.assert_array_equal(np.array(np.nonzero(table)), [votes.items, votes.labels])
    np.testing.assert_array_equal(table[votes.items, votes.labels], votes.counts)
    np.testing.assert_array_equal(votes.items[votes.vote_of], annotations.items)
    np.testing.assert_array_equal(votes.labels[votes.vote_of], annotations.labels)
    np.testing.assert_array_equal(np.diff(votes.offsets), (table > 0).sum(axis=1))
    np.testing.assert_array_equal(votes.ranks, ((table > 0).cumsum(axis=1) - 1)[table > 0])


@given(columns=long_labels(), data=st.data())
def test_a_part_of_the_items_is_as_if_they_were_all(columns, data):
    whole = checked_annotations(*columns, n_classes=4)
    start = data.draw(st.integers(0, whole.n_items))
    stop = data.draw(st.integers(start, whole.n_items))
    part = whole.between(start, stop)
    inside = (whole.items >= start) & (whole.items < stop)
    np.testing.assert_array_equal(part.items, whole.items[inside] - start)
    np.testing.assert_array_equal(part.labels, whole.labels[inside])
    np.testing.assert_array_equal(part.annotators, whole.annotators[inside])
    assert (part.n_annotators, part.n_classes) == (whole.n_annotators, 4)


@pytest.mark.parametrize(
    ("columns", "sizes", "message"),
    [
        (([0], [0, 1], [0]), {}, r"must have one length of at least 1, got \[1, 2, 1\]"),
        (([], [], []), {}, r"must have one length of at least 1, got \[0, 0, 0\]"),
        (([0.0], [0], [0]), {}, r"items must be a 1-D array of whole numbers, got shape \(1,\) of"),
        (([0], [0], [[0]]), {}, r"labels must be a 1-D array .* got shape \(1, 1\) of int64"),
        (([0], [0], [2]), {}, r"labels must lie in 0..1, got 2 for item 0 \(1 such labels\)"),
        (([0], [-1], [0]), {}, "annotators must lie in 0..-1, got -1 for item 0"),
        (([0, 1], [0, 3], [0, 0]), {"n_annotators": 3}, "annotators must lie in 0..2, got 3 for i"),
        (([0, 5], [0, 0], [0, 0]), {"n_items": 5}, "items must lie in 0..4, got 5 for item 5"),
        (
            ([0, 1, 1], [0, 1, 1], [0, 1, 0]),
            {},
            r"label an item once, got item 1 labelled again by annotator 1 \(1 such labels\)",
        ),
        (([0, 3], [0, 0], [0, 0]), {}, r"none for item 1 \(2 such items\)"),
        (([0], [0], [0]), {"n_items": 3}, r"none for item 1 \(2 such items\)"),
    ],
)
def test_labels_that_do_not_fit_are_named(columns, sizes, message):
    with pytest.raises(DataError, match=message):
        checked_annotations(*columns, n_classes=2, **sizes)

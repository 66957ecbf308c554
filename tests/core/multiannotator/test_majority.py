from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lq_spark.core.multiannotator.annotations import checked_annotations, count_votes
from lq_spark.core.multiannotator.majority import finish_votes, majority_votes, partial_votes
from lq_spark.core.multiannotator.temperature import Model
from lq_spark.errors import DataError


def annotations_of(rows, n_classes):
    """Return annotations of lists of labels, None where there is none."""
    given = [
        (i, a, label)
        for i, row in enumerate(rows)
        for a, label in enumerate(row)
        if label is not None
    ]
    return checked_annotations(*zip(*given, strict=True), n_classes=n_classes)


def majority_of(rows, n_classes, pred_probs=None, item_ids=None):
    annotations = annotations_of(rows, n_classes)
    votes = count_votes(annotations)
    summary = finish_votes(partial_votes(annotations, votes))
    models = () if pred_probs is None else (Model(np.array(pred_probs)),)
    return majority_votes(annotations, votes, summary, models, item_ids).tolist()


def test_the_most_frequent_label_wins():
    assert majority_of([[2, 2, 0], [1, None, None], [0, 1, 1]], 3) == [2, 1, 1]


def test_of_tied_classes_the_more_probable_wins():
    rows, pred_probs = [[2, 1], [2, 1], [0, 0]], [[0.5, 0.2, 0.3], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]
    assert majority_of(rows, 3, pred_probs) == [2, 1, 0]


def test_of_equally_probable_classes_the_rarer_wins():
    rows = [[2, 1], [1, 1], [0, 0]]
    assert majority_of(rows, 3, [[0.2, 0.4, 0.4]] * 3) == [2, 1, 0]
    assert majority_of(rows, 3) == [2, 1, 0]


def test_of_equally_rare_classes_that_of_annotators_with_the_clear_majority_wins():
    # Annotator 0 is with the clear majority twice of two times, annotator 1 once.
    clear = [[1, 1, 1], [0, 1, 0], [None, None, 0], [None, None, 0]]
    assert majority_of([[1, 0, None], *clear], 2)[0] == 1
    assert majority_of([[0, 1, None], *clear], 2)[0] == 0


def test_what_is_still_tied_is_drawn_by_the_items_id_alone():
    n = 4000
    rows = [[0, 1]] * n
    ids = np.arange(n) * 7919 - 12345
    drawn = np.array(majority_of(rows, 2, item_ids=ids))
    assert abs(drawn.mean() - 0.5) < 0.03
    order = np.random.default_rng(0).permutation(n)
    np.testing.assert_array_equal(majority_of(rows, 2, item_ids=ids[order]), drawn[order])
    assert majority_of(rows[:3], 2) == majority_of(rows, 2, item_ids=np.arange(n))[:3]


def test_the_state_counts_labels_and_who_agrees_with_whom():
    annotations = annotations_of([[0, 1, 0], [1, None, None], [None, 1, 2], [2, 2, 2]], 3)
    whole = partial_votes(annotations, count_votes(annotations))
    assert (whole.n_items, whole.n_single, whole.n_agreeing) == (4, 1, 2)
    assert whole.labelled.tolist() == [3, 3, 3]
    assert (whole.clear.tolist(), whole.clear_hits.tolist()) == ([3, 2, 2], [3, 1, 2])
    assert (whole.others.tolist(), whole.others_agreeing.tolist()) == ([4, 5, 5], [3, 2, 3])
    summary = finish_votes(whole)
    np.testing.assert_array_equal(summary.agreement, [3 / 4, 2 / 5, 3 / 5])
    np.testing.assert_array_equal(summary.clear_agreement, [1, 1 / 2, 1])
    assert summary.labels_per_item == 9 / 4


def test_who_cannot_be_compared_is_the_mean_of_the_others():
    annotations = annotations_of([[0, 0, None, None], [0, 1, None, 1], [None, None, 1, None]], 2)
    counts = partial_votes(annotations, count_votes(annotations))
    agreement = finish_votes(counts).agreement
    assert agreement[2] == np.mean(agreement[[0, 1, 3]])
    alone = annotations_of([[0, None], [None, 1]], 2)
    assert finish_votes(partial_votes(alone, count_votes(alone))).agreement.tolist() == [1, 1]


def test_of_equally_probable_classes_the_rarer_wins_where_another_class_is_absent():
    rows, even = [[1, 2], [1, 1], [2, 2], [2, 2]], [[0.2, 0.4, 0.4]] * 4
    assert majority_of(rows, 3, even) == majority_of(rows, 3) == [1, 1, 2, 2]


def test_too_few_annotators_are_refused():
    annotations = annotations_of([[0], [1]], 2)
    counts = partial_votes(annotations, count_votes(annotations))
    with pytest.raises(DataError, match="there must be at least 2 annotators, got 1"):
        finish_votes(counts)
    idle = replace(counts, labelled=np.array([2, 0]))
    with pytest.raises(DataError, match="annotator 1 gave none"):
        finish_votes(idle)

"""CROWDLAB on long annotations: its states, in batches, to the bit; its formulas, one by one."""

from __future__ import annotations

import itertools
import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.activelab.api import labelled_scores
from lq_spark.core.multiannotator.annotations import Annotations, checked_annotations, count_votes
from lq_spark.core.multiannotator.annotators import (
    finish_annotators,
    merge_annotators,
    partial_annotators,
)
from lq_spark.core.multiannotator.consensus import (
    merge_thresholds,
    partial_thresholds,
    quality_scores,
)
from lq_spark.core.multiannotator.crowdlab import (
    CrowdlabWeights,
    best_labels,
    finish_consensus,
    merge_consensus,
    partial_consensus,
    posteriors,
    predicted_labels,
)
from lq_spark.core.multiannotator.items import Dataset
from lq_spark.core.multiannotator.majority import (
    finish_votes,
    majority_votes,
    merge_votes,
    partial_votes,
)
from lq_spark.core.multiannotator.temperature import (
    COARSE_TEMPERATURES,
    Model,
    fine_temperatures,
    finish_losses,
    merge_losses,
    partial_losses,
)
from lq_spark.errors import DataError


def long_of(labels, n_classes):
    items, annotators = np.nonzero(~np.isnan(labels))
    return checked_annotations(
        items, annotators, labels[items, annotators].astype(np.int64), n_classes=n_classes
    )


def in_batches(annotations, models, bounds):
    """Run every pass over batches of items and merge; return all results, per item and finished."""
    parts = [annotations.between(start, stop) for start, stop in bounds]
    votes = [count_votes(part) for part in parts]
    probs = [[model[start:stop] for model in models] for start, stop in bounds]
    ids = [np.arange(start, stop) for start, stop in bounds]
    batches = range(len(parts))

    def merged(partial, merge):
        return reduce(merge, [partial(b) for b in batches])

    def best_temperature(member, temperatures):
        losses = merged(
            lambda b: partial_losses(parts[b], votes[b], probs[b][member], temperatures),
            merge_losses,
        )
        return finish_losses(losses)

    summary = finish_votes(merged(lambda b: partial_votes(parts[b], votes[b]), merge_votes))
    temperatures = []
    for member in range(len(models)):
        fine = fine_temperatures(best_temperature(member, COARSE_TEMPERATURES))
        temperatures.append(fine[best_temperature(member, fine)])
    scaled = [tuple(map(Model, probs[b], temperatures)) for b in batches]

    def weights_of(consensus):
        counts = merged(
            lambda b: partial_consensus(
                parts[b], votes[b], consensus[b], predicted_labels(scaled[b])
            ),
            merge_consensus,
        )
        return finish_consensus(counts, summary)

    def blocks(b, weights):
        return posteriors(parts[b], votes[b], scaled[b], weights)

    majority = [majority_votes(parts[b], votes[b], summary, scaled[b], ids[b]) for b in batches]
    first = weights_of(majority)
    best = [best_labels(blocks(b, first), majority[b]) for b in batches]
    weights = weights_of(best)
    thresholds = merged(
        lambda b: partial_thresholds(parts[b], votes[b], best[b], blocks(b, weights)),
        merge_thresholds,
    )
    scores = [
        quality_scores(
            parts[b], votes[b], best[b], blocks(b, weights), "normalized_margin", thresholds
        )
        for b in batches
    ]
    plain = [quality_scores(parts[b], votes[b], best[b], blocks(b, weights)) for b in batches]
    sums = merged(lambda b: partial_annotators(parts[b], best[b], *scores[b]), merge_annotators)
    table = finish_annotators(sums, annotations.n_annotators, annotations.n_classes, weights)
    active = [labelled_scores(plain[b][0], parts[b], weights) for b in batches]
    per_item = [majority, best, active]
    per_item += [[pair[i] for pair in found] for found in (scores, plain) for i in range(2)]
    return [
        *(np.concatenate(found) for found in per_item),
        np.array(temperatures),
        weights.annotators,
        weights.models,
        np.array([weights.agreement, weights.labels_per_item]),
        table.quality,
        table.agreement,
        table.worst_class,
        table.num_labels,
    ]


@pytest.mark.parametrize("n_batches", [2, 7])
@settings(deadline=None, max_examples=30)
@given(data=st.data(), n_models=st.integers(1, 2))
def test_results_are_the_same_to_the_bit_in_any_batches(
    n_batches, data, n_models, crowds, assert_same_bits
):
    labels, models = data.draw(crowds(n_models))
    annotations = long_of(labels, models.shape[2])
    n_items = len(labels)
    cuts = sorted(
        data.draw(st.lists(st.integers(0, n_items), min_size=n_batches - 1, max_size=n_batches - 1))
    )  # some batches are empty
    bounds = list(zip([0, *cuts], [*cuts, n_items], strict=True))
    whole = in_batches(annotations, models, [(0, n_items)])
    split = in_batches(annotations, models, bounds)
    for found, expected in zip(split, whole, strict=True):
        assert_same_bits(found, expected)


@pytest.mark.parametrize(("n_items", "n_classes"), [(30_000, 5), (5_000, 40)])
def test_results_are_the_same_to_the_bit_in_batches_of_many_blocks(
    n_items, n_classes, assert_same_bits
):
    rng = np.random.default_rng(0)
    given_by = rng.random((n_items, 6)) < 0.4
    given_by[:, 0] = True
    labels = np.where(given_by, rng.integers(n_classes, size=given_by.shape), np.nan)
    models = rng.dirichlet(np.ones(n_classes), size=(1, n_items))
    annotations = long_of(labels, n_classes)
    cuts = [0, 1, 17, 1000, 4321, 4322, 4999, n_items]
    bounds = list(itertools.pairwise(cuts))
    whole = in_batches(annotations, models, [(0, n_items)])
    for found, expected in zip(in_batches(annotations, models, bounds), whole, strict=True):
        assert_same_bits(found, expected)


@settings(deadline=None, max_examples=30)
@given(data=st.data(), n_models=st.integers(1, 2))
def test_a_crowd_in_memory_goes_through_the_same_steps(data, n_models, crowds, assert_same_bits):
    labels, models = data.draw(crowds(n_models))
    annotations = long_of(labels, models.shape[2])
    majority, best, _, quality, of_labels, *_ = in_batches(annotations, models, [(0, len(labels))])
    dataset = Dataset.of(annotations, models, calibrate=True)
    rated = dataset.rated(
        dataset.best_consensus("crowdlab"), method="normalized_margin", adjust_pred_probs=True
    )
    assert_same_bits(dataset.items.majority, majority)
    assert_same_bits(rated.consensus, best)
    assert_same_bits(rated.quality, quality)
    assert_same_bits(rated.label_quality, of_labels)


@settings(deadline=None)
@given(data=st.data(), n_models=st.integers(1, 3))
def test_the_posterior_is_the_weighted_mean_of_annotators_and_models(data, n_models, crowds):
    labels, models = data.draw(crowds(n_models))
    n_items, n_classes = models.shape[1:]
    rng = np.random.default_rng(0)
    weights = CrowdlabWeights(rng.random(labels.shape[1]), rng.random(n_models), 0.7, 2.0)
    annotations = long_of(labels, n_classes)
    blocks = posteriors(annotations, count_votes(annotations), tuple(map(Model, models)), weights)
    found = np.concatenate([block.copy() for _, block in blocks])
    for i in range(n_items):
        given_by = np.flatnonzero(~np.isnan(labels[i]))
        total = math.fsum([*weights.models, *weights.annotators[given_by]])
        for k in range(n_classes):
            terms = [w * p for w, p in zip(weights.models, models[:, i, k], strict=True)]
            terms += [
                weights.annotators[a] * (0.7 if labels[i, a] == k else 0.3 / (n_classes - 1))
                for a in given_by
            ]
            assert found[i, k] == pytest.approx(math.fsum(terms) / total, rel=1e-12)


def test_weights_of_a_small_crowd():
    labels = np.array([[0, 0, 0], [1, 1, 0], [0, 0, np.nan], [1, np.nan, np.nan]])
    annotations = long_of(labels, 2)
    votes = count_votes(annotations)
    summary = finish_votes(partial_votes(annotations, votes))
    consensus = np.array([0, 1, 0, 1])
    predicted = np.array([[0, 1, 0, 0], [0, 0, 0, 0]])
    counts = partial_consensus(annotations, votes, consensus, predicted)
    assert (counts.n_items, counts.agreeing.tolist()) == (3, [0, 0, 2, 5])
    assert (counts.class_counts.tolist(), counts.model_errors.tolist()) == ([2, 1], [0, 1])
    weights = finish_consensus(counts, summary)
    assert weights.agreement == pytest.approx((2 / 2 + 5 / 3) / 3)
    # Always saying 0 is wrong once in 3 items; the second model is, too.
    np.testing.assert_allclose(weights.models, [1.5, 1e-6 * 1.5])
    np.testing.assert_allclose(weights.annotators, [1 - (1 - 4 / 5) * 3] * 2 + [1e-6])


def test_equal_classes_leave_the_majority_vote():
    block = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.1, 0.5, 0.4]])
    blocks = iter([(slice(0, 3), block)])
    assert best_labels(blocks, np.array([1, 2, 0])).tolist() == [1, 2, 1]


def test_nothing_to_compare_is_refused():
    annotations = checked_annotations([0, 1], [0, 1], [0, 1], n_classes=2)
    votes = count_votes(annotations)
    counts = partial_consensus(annotations, votes, np.array([0, 1]), np.array([[0, 1]]))
    with pytest.raises(DataError, match="each item has one label, so annotators cannot be comp"):
        finish_consensus(counts, finish_votes(partial_votes(annotations, votes)))


def test_the_worst_class_is_least_often_right_then_most_labelled_then_of_better_consensus():
    # (annotator, label, consensus, quality of the consensus), an item each
    rows = [
        (0, 0, 0, 0.5), (0, 1, 0, 0.5), (0, 1, 1, 0.5), (0, 2, 0, 0.5), (0, 2, 2, 0.5),
        (0, 2, 0, 0.5), (0, 2, 2, 0.5),  # classes 1 and 2 are half right, 2 has more labels
        (1, 0, 1, 0.5), (1, 2, 1, 0.75),  # never right, once each: 2 is of the better consensus
        (2, 1, 1, 0.5), (2, 0, 0, 0.5),  # equal in all: the lower class
    ]  # fmt: skip
    who, labels, consensus, quality = map(np.array, zip(*rows, strict=True))
    annotations = Annotations(who, labels, np.arange(len(rows) + 1), 3, 3)
    sums = partial_annotators(annotations, consensus, quality, quality)
    table = finish_annotators(sums, 3, 3)
    assert table.worst_class.tolist() == [2, 2, 0]
    assert table.num_labels.tolist() == [7, 2, 2]
    np.testing.assert_array_equal(table.agreement, [4 / 7, 0, 1])
    assert np.isnan(table.quality).all()  # no item has several labels

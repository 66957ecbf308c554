"""Average precision: against plain loops, with ties, and in pieces to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.detection import boxes
from lq_spark.core.detection.average_precision import (
    N_OVERLAPS,
    OVERLAPS,
    average_precisions,
    bucket_of,
    finish_average_precision,
    match_boxes,
    merge_counts,
    partial_counts,
    start_run,
    walk,
)
from lq_spark.core.detection.images import Detections, ImageBoxes
from lq_spark.core.detection.scores import box_scores, image_scores, min_similarity

SEEDS = st.integers(0, 2**32 - 1)
N_CLASSES = 3


def drawn_boxes(rng, n_images, most):
    lengths = rng.integers(0, most + 1, n_images)
    n = int(lengths.sum())
    # A coarse grid: equal boxes and equal overlaps abound.
    x1, y1 = rng.integers(0, 4, (2, n)).astype(float)
    coordinates = np.array([x1, y1, x1 + rng.integers(1, 5, n), y1 + rng.integers(1, 5, n)])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return ImageBoxes(coordinates, rng.integers(0, N_CLASSES, n), offsets)


@st.composite
def detections(draw):
    """Return boxes with ties of probability and overlap, of images with none to ten of them."""
    rng = np.random.default_rng(draw(SEEDS))
    n_images = draw(st.integers(1, 8))
    labels, predictions = (drawn_boxes(rng, n_images, most) for most in (4, 10))
    steps = draw(st.sampled_from([2, 8, 10**9]))
    probs = rng.integers(0, steps + 1, len(predictions.classes)) / steps
    return Detections(labels, predictions, probs)


def part(found, start, stop):
    """Return the images from start to stop."""

    def of(all_boxes):
        bounds = all_boxes.offsets[[start, stop]]
        rows = slice(*bounds)
        return ImageBoxes(
            all_boxes.coordinates[:, rows],
            all_boxes.classes[rows],
            all_boxes.offsets[start : stop + 1] - bounds[0],
        )

    probs = found.probs[slice(*found.predictions.offsets[[start, stop]])]
    return Detections(of(found.labels), of(found.predictions), probs)


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def plain_average_precision(found, k, threshold):
    """Return the average precision of a class, box by box."""
    labels, predictions = found.labels, found.predictions
    order = [i for i in range(len(found.probs)) if predictions.classes[i] == k]
    order.sort(key=lambda i: (-found.probs[i], i))
    n_labels = int((labels.classes == k).sum())
    taken, hits = set(), []
    for i in order:
        near = [
            (overlap(labels.coordinates[:, j], predictions.coordinates[:, i]), -j)
            for j in range(len(labels.classes))
            if labels.images[j] == predictions.images[i] and labels.classes[j] == k
        ]
        best, match = max(near, default=(0.0, 0))
        hits.append(best >= threshold and match not in taken)
        if hits[-1]:
            taken.add(match)
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    area = sum(max(precision[n:]) for n, hit in enumerate(hits) if hit)
    return area / n_labels if n_labels else 0.0


@settings(deadline=None, max_examples=40)
@given(found=detections())
def test_average_precision_equals_that_of_plain_loops(found):
    precisions, counts = average_precisions(found, N_CLASSES)
    expected = [
        [plain_average_precision(found, k, threshold) for threshold in OVERLAPS]
        for k in range(N_CLASSES)
    ]
    np.testing.assert_allclose(precisions, expected, rtol=0, atol=1e-12)
    assert counts.n_images == found.n_images
    assert counts.labels.sum() == len(found.labels.classes)


@settings(deadline=None)
@given(found=detections(), seed=SEEDS, n_buckets=st.sampled_from([1, 3, 64]))
def test_images_in_batches_and_boxes_in_runs_give_the_same_bits(found, seed, n_buckets):
    rng = np.random.default_rng(seed)
    expected, _ = average_precisions(found, N_CLASSES)
    cut = int(rng.integers(0, found.n_images + 1))
    batches = part(found, 0, cut), part(found, cut, found.n_images)
    matched = [match_boxes(batch) for batch in batches]
    counts = merge_counts(
        *(
            partial_counts(batch, matches, N_CLASSES, n_buckets)
            for batch, matches in zip(batches, matched, strict=True)
        )
    )
    first, last = (
        np.concatenate([getattr(matches, name) for matches in matched])
        for name in ("first", "last")
    )
    bucket = bucket_of(found.probs, n_buckets)
    high, low = (np.zeros((N_CLASSES, N_OVERLAPS), dtype=np.int64) for _ in range(2))
    for k in range(N_CLASSES):
        highest = np.zeros(N_OVERLAPS)
        for b in range(n_buckets):  # from the end of the order to its begin
            up_to = slice(b, None)
            rows = np.flatnonzero((found.predictions.classes == k) & (bucket == b))
            rows = rows[np.lexsort((-rows, found.probs[rows]))]
            run = start_run(counts.predictions[k, up_to].sum(), counts.hits[k, up_to].sum(axis=0))
            run = replace(run, highest=highest)
            for piece in np.array_split(rows, 2):
                run = walk(run, first[piece], last[piece])
            highest = run.highest
            high[k] += run.high
            low[k] += run.low
    found_precision = finish_average_precision(high, low, counts.labels)
    np.testing.assert_array_equal(found_precision, expected)


@settings(deadline=None)
@given(found=detections(), limit=st.sampled_from([1, 7, 1 << 18]))
def test_scores_do_not_depend_on_batches_or_chunks_to_the_bit(found, limit):
    lowest = min_similarity(found)
    expected = image_scores(found, box_scores(found, lowest))
    parts = [part(found, i, i + 1) for i in range(found.n_images)]
    assert min(map(min_similarity, parts)) == lowest
    default = boxes.MAX_PAIRS
    boxes.MAX_PAIRS = limit
    try:
        alone = [image_scores(one, box_scores(one, lowest)) for one in parts]
        assert min_similarity(found) == lowest
        np.testing.assert_array_equal(
            match_boxes(found).last, np.concatenate([match_boxes(one).last for one in parts])
        )
    finally:
        boxes.MAX_PAIRS = default
    np.testing.assert_array_equal(np.concatenate(alone), expected)


def test_of_equal_probabilities_the_first_place_comes_first():
    labels = ImageBoxes(np.array([[0.0], [0], [4], [4]]), np.array([0]), np.array([0, 1]))
    box = np.array([[0.0, 0, 0], [0, 0, 0], [4, 4, 4], [3, 4, 4]])
    boxes_of = ImageBoxes(box, np.zeros(3, dtype=np.int64), np.array([0, 3]))
    matches = match_boxes(Detections(labels, boxes_of, np.array([0.9, 0.9, 0.9])))
    # The first is right up to an overlap of 0.75; above it the second, and the third nowhere.
    assert matches.first.tolist() == [0, 6, 10]
    assert matches.last.tolist() == [6, 10, 10]

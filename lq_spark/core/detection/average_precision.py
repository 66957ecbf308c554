"""Average precision of each class at ten overlaps, as partial → merge → finish.

Predicted boxes are matched to label boxes image by image. All boxes of a class stand in one order:
by probability, highest first; of equal ones by image, then by place in the image. Precision is
counted along it, and the area under its envelope summed. Cut into runs by probability, an order
that is too long for one machine needs only, of each run, what lies before it (numbers of boxes)
and behind it (the highest precision).

Source: Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 88 (2010), section
4.2 (all points, as since 2010); Lin et al., "Microsoft COCO" (2014), for the ten overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.detection.boxes import box_pairs, overlaps
from lq_spark.core.detection.images import Detections
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import TINY
from lq_spark.core.shared.exact import scaled_halves, scaled_means

OVERLAPS: Final = np.arange(10, 20) / 20.0
"""0.50, 0.55, …, 0.95: how much a predicted box must overlap a label box to be right."""

N_OVERLAPS: Final = len(OVERLAPS)

WALKED: Final = 1 << 16
"""Boxes walked at once: 5 MiB an array."""

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Matches:
    """At which overlaps each predicted box is right: those from ``first`` up to before ``last``.

    Attributes
    ----------
    first, last : ndarray of int64, shape (b,)
        Places in :data:`OVERLAPS`; equal where a box is right at none.
    """

    first: Int64
    last: Int64

    def at(self, k: int) -> NDArray[np.bool_]:
        """Return which boxes are right at the overlap of place k, shape (b,)."""
        return np.asarray((self.first <= k) & (k < self.last))


@dataclass(frozen=True, slots=True)
class BoxCounts:
    """How many boxes there are of each class; the predicted ones also by probability.

    Attributes
    ----------
    n_images : int
    labels : ndarray of int64, shape (K,)
    predictions : ndarray of int64, shape (K, B)
        In bucket j those of probabilities from j / B to below (j + 1) / B.
    hits : ndarray of int64, shape (K, B, 10)
        Those that are right at each overlap.
    """

    n_images: int
    labels: Int64
    predictions: Int64
    hits: Int64

    def as_vector(self) -> Int64:
        """Return all numbers, one after the other: vectors add up as counts merge."""
        parts = (self.labels, self.predictions, self.hits)
        return np.concatenate([[self.n_images], *(np.ravel(part) for part in parts)])

    @classmethod
    def of_vector(cls, vector: Int64, n_classes: int, n_buckets: int = 1) -> BoxCounts:
        """Return the counts that :meth:`as_vector` makes of K classes and B buckets."""
        n_cells = n_classes * n_buckets
        n_images, labels, predictions, hits = np.split(vector, np.cumsum([1, n_classes, n_cells]))
        return cls(
            int(n_images[0]),
            labels,
            predictions.reshape(n_classes, n_buckets),
            hits.reshape(n_classes, n_buckets, N_OVERLAPS),
        )

    @staticmethod
    def length(n_classes: int, n_buckets: int = 1) -> int:
        """Return the length of the vector."""
        return 1 + n_classes + (1 + N_OVERLAPS) * n_classes * n_buckets


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of the boxes of a class, walked from its end to its begin.

    Attributes
    ----------
    n_boxes : int
        Boxes from the first of the class to the next one to be walked.
    n_hits : ndarray of int64, shape (10,)
        Those that are right at each overlap.
    highest : ndarray of float64, shape (10,)
        The highest precision behind.
    high, low : ndarray of int64, shape (10,)
        Summed envelope at the boxes walked that are right (:mod:`lq_spark.core.shared.exact`).
    """

    n_boxes: int
    n_hits: Int64
    highest: Float64
    high: Int64
    low: Int64


def match_boxes(found: Detections) -> Matches:
    """Return at which overlaps each predicted box is right.

    It is so if the label box of its class that it overlaps most is overlapped enough, and by no
    predicted box of the class and image that comes before it: by probability, then by place.
    """
    labels, boxes = found.labels, found.predictions
    # Label boxes of one image and class side by side: a range for each predicted box.
    n_classes = 1 + max(labels.classes.max(initial=0), boxes.classes.max(initial=0))
    key = labels.images * n_classes + labels.classes
    order = np.argsort(key, kind="stable")
    wanted = boxes.images * n_classes + boxes.classes
    starts, ends = (np.searchsorted(key[order], wanted, side=side) for side in ("left", "right"))
    best = np.zeros(len(wanted))
    match = np.full(len(wanted), len(key))
    for left, place in box_pairs(starts, ends - starts):
        right = order[place]
        overlap = overlaps(boxes.coordinates[:, left], labels.coordinates[:, right])
        np.maximum.at(best, left, overlap)
        is_best = overlap == best[left]
        np.minimum.at(match, left[is_best], right[is_best])
    last = np.searchsorted(OVERLAPS, best, side="right")
    return Matches(*_first_come(match, last, found.probs))


def _first_come(match: Int64, last: Int64, probs: Float64) -> tuple[Int64, Int64]:
    """Return ``first`` and ``last`` of matches, where a label box is taken by who comes first.

    What comes before in the order has taken a label box at all overlaps below its own ``last``.
    """
    first = last.copy()
    near = np.flatnonzero(last)
    near = near[np.lexsort((near, -probs[near], match[near]))]
    # A running maximum within each label box: those of the box before lie a storey lower.
    storey = np.cumsum(np.diff(match[near], prepend=-1) != 0) * (N_OVERLAPS + 1)
    top = np.maximum.accumulate(last[near] + storey)
    first[near] = np.maximum(np.concatenate([[0], top[:-1]])[: len(near)] - storey, 0)
    return first, np.maximum(first, last)


def partial_counts(
    found: Detections, matches: Matches, n_classes: int, n_buckets: int = 1
) -> BoxCounts:
    """Return the state of a batch of images."""
    n_cells = n_classes * n_buckets
    cell = found.predictions.classes * n_buckets + bucket_of(found.probs, n_buckets)
    hits = [np.bincount(cell[matches.at(k)], minlength=n_cells) for k in range(N_OVERLAPS)]
    return BoxCounts(
        found.n_images,
        np.bincount(found.labels.classes, minlength=n_classes),
        np.bincount(cell, minlength=n_cells).reshape(n_classes, n_buckets),
        np.stack(hits, axis=1).reshape(n_classes, n_buckets, N_OVERLAPS),
    )


def merge_counts(a: BoxCounts, b: BoxCounts) -> BoxCounts:
    """Return the state of the images of ``a`` and ``b`` together."""
    return BoxCounts(
        a.n_images + b.n_images,
        a.labels + b.labels,
        a.predictions + b.predictions,
        a.hits + b.hits,
    )


def bucket_of(probs: Float64, n_buckets: int) -> Int64:
    """Return the bucket of each probability: a higher one is never in a lower bucket.

    >>> bucket_of(np.array([0.0, 0.49, 0.5, 1.0]), 2)
    array([0, 0, 1, 1])
    """
    return np.minimum(np.floor(probs * n_buckets), n_buckets - 1).astype(np.int64)


def start_run(n_boxes: int, n_hits: Int64) -> Run:
    """Return a run that nothing is walked of, with no box behind it."""
    nothing = np.zeros(N_OVERLAPS, dtype=np.int64)
    return Run(n_boxes, n_hits, np.zeros(N_OVERLAPS), nothing, nothing)


def walk(run: Run, first: Int64, last: Int64) -> Run:
    """Return a run after its next boxes, given from the last in the order to the first.

    The envelope at a box is the highest precision at it or behind. Whatever the pieces in which
    the boxes are given, the result is the same to the bit.
    """
    n = len(first)
    hit = (first[:, np.newaxis] <= np.arange(N_OVERLAPS)) & (
        np.arange(N_OVERLAPS) < last[:, np.newaxis]
    )
    walked = np.cumsum(hit, axis=0)
    n_hits = run.n_hits - walked + hit  # up to each box, with it
    precision = n_hits / (run.n_boxes - np.arange(n))[:, np.newaxis]
    envelope = np.maximum.accumulate(np.vstack([run.highest, precision]))
    high, low = scaled_halves(np.where(hit, envelope[1:], 0.0))
    return Run(
        run.n_boxes - n,
        run.n_hits - walked[-1] if n else run.n_hits,
        envelope[-1],
        run.high + high.astype(np.int64).sum(axis=0),
        run.low + low.astype(np.int64).sum(axis=0),
    )


def finish_average_precision(high: Int64, low: Int64, labels: Int64) -> Float64:
    """Return the average precision of classes, shape (K, 10), of 0 where there is no label box.

    Parameters
    ----------
    high, low : ndarray of int64, shape (K, 10)
        Of the runs of each class, summed.
    labels : ndarray of int64, shape (K,)
        Label boxes of each class.
    """
    counts = np.maximum(labels, 1)[:, np.newaxis]
    return scaled_means(high, low, counts)


def average_precisions(found: Detections, n_classes: int) -> tuple[Float64, BoxCounts]:
    """Return the average precision of each class at each overlap, shape (K, 10), and the counts.

    Notes
    -----
    A class without label boxes, or without predicted ones, has an average precision of 0. cleanlab
    gives the same numbers as float32, and has no defined order of equal probabilities.
    """
    matches = match_boxes(found)
    counts = partial_counts(found, matches, n_classes)
    classes = found.predictions.classes
    # From the last to the first: by class, then lowest probability, last image and last place.
    order = np.lexsort((-np.arange(len(classes)), found.probs, classes))
    ends = np.cumsum(counts.predictions[:, 0])
    high, low = (np.zeros((n_classes, N_OVERLAPS), dtype=np.int64) for _ in range(2))
    for k in range(n_classes):
        boxes = order[ends[k] - counts.predictions[k, 0] : ends[k]]
        run = start_run(len(boxes), counts.hits[k, 0])
        for start in range(0, len(boxes), WALKED):
            piece = boxes[start : start + WALKED]
            run = walk(run, matches.first[piece], matches.last[piece])
        high[k], low[k] = run.high, run.low
    return finish_average_precision(high, low, counts.labels), counts


def average_confusion(counts: BoxCounts) -> tuple[Float64, Float64, Float64]:
    """Return true positives, false positives and false negatives of each class, shape (K,) each.

    Means over the ten overlaps.
    """
    right = counts.hits.sum(axis=(1, 2))
    wrong = N_OVERLAPS * counts.predictions.sum(axis=1) - right
    missed = N_OVERLAPS * counts.labels - right
    return right / N_OVERLAPS, wrong / N_OVERLAPS, missed / N_OVERLAPS


def class_metrics(
    confusion: tuple[Float64, Float64, Float64],
) -> tuple[Float64, Float64, Float64]:
    """Return precision, recall and F1 of each class from :func:`average_confusion`."""
    right, wrong, missed = confusion
    precision = right / (right + wrong + TINY)
    recall = right / (right + missed + TINY)
    return precision, recall, 2 * precision * recall / (precision + recall + TINY)

"""Label quality of boxes and images: 1 clean, 0 suspect.

A label may have overlooked an object, put its box in a bad place, or swapped its class for another.
Each of the three gives scores of boxes; those of an image are pooled, and the three combined.

Source: Tkachenko, Thyagarajan, Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images in
Object Detection Data" (2023), arXiv:2309.00832.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.detection.boxes import ALPHA, Places, box_pairs, overlaps, similarities
from lq_spark.core.detection.images import Detections, ImageBoxes
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import TINY
from lq_spark.core.shared.segments import owners, softmins
from lq_spark.errors import OptionError, listed

OVERLOOKED, BADLOC, SWAP = ISSUE_KINDS = ("overlooked", "badloc", "swap")

LOW_PROBABILITY: Final = 0.5
"""A predicted box of a lower probability says nothing of where an object is."""

HIGH_PROBABILITY: Final = 0.95
"""A predicted box of this probability is taken for an object."""

SAME_PLACE: Final = 0.95
"""Two label boxes that overlap as much are of one object."""

POOLING_TEMPERATURE: Final = 0.1


@dataclass(frozen=True, slots=True)
class BoxScores:
    """The scores of the boxes of some images.

    Attributes
    ----------
    overlooked : ndarray of float64, shape (predicted boxes,)
        NaN where a predicted box is no evidence for an overlooked object.
    badloc, swap : ndarray of float64, shape (label boxes,)
    """

    overlooked: Float64
    badloc: Float64
    swap: Float64


def min_similarity(found: Detections, alpha: float = ALPHA) -> float:
    """Return the lowest similarity above 0 of a label box and a predicted box of one image.

    1.0 where there is none. The lowest of a data set is that of the parts it is split into.

    Notes
    -----
    Source: Tkachenko et al. (2023), section 3.
    """
    lowest = 1.0
    for left, right in _of_same_image(found.labels, found.predictions):
        values, _ = similarities(
            found.labels.coordinates[:, left], found.predictions.coordinates[:, right], alpha
        )
        lowest = min(lowest, values.min(where=values > 0.0, initial=1.0))
    return float(lowest)


def overlooked_scores(
    found: Detections,
    lowest: float,
    *,
    alpha: float = ALPHA,
    high_probability: float = HIGH_PROBABILITY,
) -> Float64:
    """Return for each predicted box how well the labels account for it.

    NaN for a box of a probability below ``high_probability`` or that overlaps a label box. Else the
    highest similarity to a label box of its class, and without one ``lowest * (1 - probability)``.

    Parameters
    ----------
    found : Detections
    lowest : float
        :func:`min_similarity` of the data set.
    """
    sure = found.probs >= high_probability
    boxes, labels = found.predictions.where(sure), found.labels
    best = np.full(len(boxes.classes), -1.0)
    is_met = np.zeros(len(boxes.classes), dtype=bool)
    for left, right in _of_same_image(boxes, labels):
        values, overlap = similarities(
            boxes.coordinates[:, left], labels.coordinates[:, right], alpha
        )
        is_met[left[overlap > 0.0]] = True
        same = boxes.classes[left] == labels.classes[right]
        np.maximum.at(best, left[same], values[same])
    scores = np.where(best < 0.0, lowest * (1.0 - found.probs[sure]), best)
    scores[is_met] = np.nan
    every = np.full(len(sure), np.nan)
    every[sure] = scores
    return every


def badloc_scores(
    found: Detections, *, alpha: float = ALPHA, low_probability: float = LOW_PROBABILITY
) -> Float64:
    """Return for each label box whether it lies where boxes of its class are predicted.

    The highest similarity to a predicted box of its class that overlaps it and is of a probability
    above ``low_probability``; 1 where there is none.
    """
    labels, boxes = found.labels, found.predictions.where(found.probs > low_probability)
    best = np.full(len(labels.classes), -1.0)
    for left, right in _of_same_image(labels, boxes):
        values, overlap = similarities(
            labels.coordinates[:, left], boxes.coordinates[:, right], alpha
        )
        near = (labels.classes[left] == boxes.classes[right]) & (overlap > 0.0)
        np.maximum.at(best, left[near], values[near])
    return np.where(best < 0.0, 1.0, best)


def swap_scores(
    found: Detections,
    lowest: float,
    *,
    alpha: float = ALPHA,
    high_probability: float = HIGH_PROBABILITY,
    overlapping_label_check: bool = True,
) -> Float64:
    """Return for each label box whether another class is predicted in its place.

    ``1 - s``, at least ``lowest``, with the highest similarity s to a predicted box of another
    class and of a probability above ``high_probability``; 1 where there is none. With
    ``overlapping_label_check`` a label box that lies on one of another class scores ``lowest``.
    """
    labels, boxes = found.labels, found.predictions.where(found.probs > high_probability)
    best = np.full(len(labels.classes), -1.0)
    for left, right in _of_same_image(labels, boxes):
        other = labels.classes[left] != boxes.classes[right]
        values, _ = similarities(
            labels.coordinates[:, left[other]], boxes.coordinates[:, right[other]], alpha
        )
        np.maximum.at(best, left[other], values)
    scores = np.where(best < 0.0, 1.0, np.maximum(lowest, 1.0 - best))
    if overlapping_label_check:
        for left, right in _of_same_image(labels, labels):
            other = labels.classes[left] != labels.classes[right]
            left, right = left[other], right[other]
            same = overlaps(labels.coordinates[:, left], labels.coordinates[:, right]) >= SAME_PLACE
            scores[left[same]] = lowest
    return scores


def box_scores(
    found: Detections, lowest: float, *, overlapping_label_check: bool = True
) -> BoxScores:
    """Return the three scores of all boxes, with the default thresholds."""
    return BoxScores(
        overlooked_scores(found, lowest),
        badloc_scores(found),
        swap_scores(found, lowest, overlapping_label_check=overlapping_label_check),
    )


def pooled_scores(
    scores: Float64, offsets: NDArray[np.int64], temperature: float = POOLING_TEMPERATURE
) -> Float64:
    """Return a score for each image: the softmin of those of its boxes that are no NaN.

    1 where there is none. ``offsets`` are those of :class:`ImageBoxes`.

    Notes
    -----
    Source: Tkachenko et al. (2023), section 3.

    Examples
    --------
    >>> pooled_scores(np.array([0.5, np.nan, np.nan]), np.array([0, 2, 3]))
    array([0.5, 1. ])
    """
    valid = ~np.isnan(scores)
    kept = np.concatenate([[0], np.cumsum(valid)])[offsets]
    values = scores[valid]
    # In one order of addition, so that the order of the boxes does not matter.
    order = np.lexsort((values, owners(kept)))
    return softmins(values[order], kept, temperature)


def image_scores(
    found: Detections, scores: BoxScores, weights: Mapping[str, float] | None = None
) -> Float64:
    """Return the label quality of each image, shape (n,): the weighted geometric mean of the three.

    ``weights`` are those of :func:`checked_weights`.

    Notes
    -----
    Source: Tkachenko et al. (2023), section 3.
    """
    shares = checked_weights(weights)
    pooled = {
        OVERLOOKED: pooled_scores(scores.overlooked, found.predictions.offsets),
        BADLOC: pooled_scores(scores.badloc, found.labels.offsets),
        SWAP: pooled_scores(scores.swap, found.labels.offsets),
    }
    total = np.zeros(found.n_images)
    for kind in ISSUE_KINDS:
        total += shares[kind] * np.log(TINY + pooled[kind])
    return np.exp(total)


def checked_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Return the weight of each kind of issue: a third each where none are given.

    Raises
    ------
    OptionError
        If they are not of the three kinds, one is negative, or they do not sum to 1.
    """
    if weights is None:
        return dict.fromkeys(ISSUE_KINDS, 1.0 / 3.0)
    if not isinstance(weights, Mapping) or set(weights) != set(ISSUE_KINDS):
        got = listed(weights) if isinstance(weights, Mapping) else repr(weights)
        raise OptionError(f"aggregation_weights must be of {listed(ISSUE_KINDS)}, got {got}")
    values = [weights[kind] for kind in ISSUE_KINDS]
    are_numbers = all(isinstance(value, (int, float)) and value >= 0 for value in values)
    if not are_numbers or abs(sum(values) - 1.0) > 1e-9:
        raise OptionError(
            f"aggregation_weights must be numbers of at least 0 that sum to 1, got {dict(weights)}"
        )
    return dict(zip(ISSUE_KINDS, map(float, values), strict=True))


def _of_same_image(left: ImageBoxes, right: ImageBoxes) -> Iterator[tuple[Places, Places]]:
    """Yield chunks of all pairs of boxes of one image."""
    images = left.images
    return box_pairs(right.offsets[images], np.diff(right.offsets)[images])

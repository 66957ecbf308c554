"""What is kept of the pixels of an image: class sums, and the few pixels that may be label issues.

An image is a label mask (H, W) and probabilities (K, H, W). A pixel whose given class has more than
about half of the probability is predicted as given, whatever the other classes have: it is no issue
and lies behind every issue, so only the others, the *doubtful* ones, are kept.

Pixels of the label ``ignore_label`` are as if they were not there: nothing is asked of their
probabilities, and nothing of them is counted.

Source: Lad, Mueller, "Estimating label quality and errors in semantic segmentation data via any
model" (2023), arXiv:2307.05080.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.thresholds import ClassSums, confidence_sums
from lq_spark.core.segmentation.blocks import (
    LabelMask,
    Probabilities,
    full_positions,
    low_resolution,
    pixel_blocks,
    pixels_counted,
)
from lq_spark.core.shared.checks import FAULT_REASONS, RowFault, row_faults
from lq_spark.core.shared.constants import PROBABILITY_SLACK, SUM_TOLERANCE
from lq_spark.core.shared.segments import softmin

AGREES: Final = -1
"""Stands for the class of the highest probability where it is the given one."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is kept of an image.

    Attributes
    ----------
    sums : ClassSums
        Counts and self-confidence of each given class, of the downsampled image.
    pixel_counts : ndarray of int64, shape (K,)
        Pixels of each given class, of the image as it is, without ignored ones.
    doubtful : structured ndarray of :func:`doubtful_type`
        In the order of their positions.
    """

    sums: ClassSums
    pixel_counts: NDArray[np.int64]
    doubtful: NDArray[np.void]


def doubtful_type(downsample: int = 1) -> np.dtype[np.void]:
    """Return the type of a doubtful pixel of an image downsampled by d.

    ``position`` (row-major) in the downsampled image, ``confidence`` in its label, ``highest``
    probability and the class that has it (``guess``, AGREES where that is the label); ``given`` and
    ``predicted`` classes of its d × d pixels in the image as it is, both AGREES where a pixel is
    ignored.
    """
    pixels = (downsample * downsample,)
    fields = [("position", "<i4"), ("confidence", "<f8"), ("highest", "<f8"), ("guess", "<i4")]
    return np.dtype([*fields, ("given", "<i4", pixels), ("predicted", "<i4", pixels)])


def highest_doubtful(n_classes: int, tolerance: float) -> float:
    """Return a confidence above which no other class can be as probable.

    Two probabilities of a pixel sum to at most 1 + tolerance and what others lie below 0.

    >>> round(highest_doubtful(20, 0.001), 4)
    0.5005
    """
    below_zero = (n_classes - 2) * PROBABILITY_SLACK / (1.0 - tolerance)
    return (1.0 + tolerance + below_zero) / 2.0 + 1e-9  # the last for rounding


def image_fault(
    mask: LabelMask,
    pred_probs: Probabilities,
    *,
    tolerance: float = SUM_TOLERANCE,
    ignore_label: int | None = None,
) -> str | None:
    """Return why an image cannot be scored, naming its first bad pixel; None where it can.

    Parameters
    ----------
    mask : ndarray of int, shape (H, W)
    pred_probs : ndarray of float, shape (K, H, W)
    tolerance : float
        How far the probabilities of a pixel may sum from 1, and one of them exceed 1.
    ignore_label : int, optional
        Label of the pixels that are left out.

    Examples
    --------
    >>> image_fault(np.array([[0, 2]]), np.full((2, 1, 2), 0.5))
    'pixel (0, 1): label out of range'
    >>> image_fault(np.array([[0, 2]]), np.full((2, 1, 2), 0.5), ignore_label=2) is None
    True
    """
    for position, given, block in pixel_blocks(mask, pred_probs, ignore_label):
        with np.errstate(invalid="ignore", over="ignore"):
            off = np.abs(np.add.reduce(block, axis=0, dtype=np.float64) - 1.0).max()
            usable = off <= tolerance and block.min() >= -PROBABILITY_SLACK  # NaN fails both
        usable = usable and block.max() <= 1.0 + tolerance
        if not usable or given.min() < 0 or given.max() >= len(block):
            faults = row_faults(given, block.T, tolerance=tolerance)
            bad = np.flatnonzero(faults)
            if len(bad):
                row, column = divmod(int(position[bad[0]]), mask.shape[1])
                return f"pixel ({row}, {column}): {FAULT_REASONS[RowFault(faults[bad[0]])]}"
    return None


def self_confidence(
    mask: LabelMask, pred_probs: Probabilities, *, ignore_label: int | None = None
) -> Probabilities:
    """Return the probability of each pixel's label, shape (H, W), of the probabilities' type.

    NaN for the pixels of ``ignore_label``.
    """
    blocks = pixel_blocks(mask, pred_probs, ignore_label)
    found = [_chosen(block, given) for _, given, block in blocks]
    confidence = np.full(mask.size, np.nan, dtype=pred_probs.dtype)
    if found:
        counted = pixels_counted(mask.reshape(-1), ignore_label)
        confidence[... if counted is None else counted] = np.concatenate(found)
    return confidence.reshape(mask.shape)


def softmin_score(confidence: Probabilities, temperature: float = 0.1) -> float:
    """Return the mean of the scores s of an image's pixels, weighted by softmax((1 - s) / T).

    Parameters
    ----------
    confidence : ndarray of float
        Label quality of the pixels: 1 clean, 0 suspect; NaN for a pixel that does not count. Where
        none counts the score is 1: nothing is suspect.
    temperature : float
        T, above 0; taken as at least 1e-6.

    Notes
    -----
    Source: Lad and Mueller (2023).

    Examples
    --------
    >>> round(softmin_score(np.array([[0.5, 1.0]])), 3)
    0.503
    """
    return softmin(confidence[~np.isnan(confidence)], temperature)


def image_facts(
    mask: LabelMask,
    pred_probs: Probabilities,
    *,
    downsample: int = 1,
    tolerance: float = SUM_TOLERANCE,
    ignore_label: int | None = None,
) -> ImageFacts:
    """Return what is kept of an image that can be scored; parameters as for :func:`image_fault`.

    ``downsample`` divides H and W. A larger tolerance keeps more pixels, and changes no issue.
    """
    n_classes, size = len(pred_probs), downsample
    bound = highest_doubtful(n_classes, tolerance)
    kind = doubtful_type(size)
    given_parts, confidence_parts, doubtful_parts = [], [], []
    for position, given, matrix in low_resolution(mask, pred_probs, size, ignore_label):
        confidence = _chosen(matrix, given)
        at = np.flatnonzero(confidence <= bound)
        doubtful = np.empty(len(at), dtype=kind)
        columns = matrix[:, at]
        guess = columns.argmax(axis=0)
        doubtful["position"] = position[at]
        doubtful["confidence"] = confidence[at]
        doubtful["highest"] = _chosen(columns, guess)
        doubtful["guess"] = np.where(guess == given[at], AGREES, guess)
        if size == 1:
            doubtful["given"][:, 0], doubtful["predicted"][:, 0] = given[at], guess
        else:
            pixels = full_positions(position[at], mask.shape[1], size)
            labels = mask.reshape(-1)[pixels]
            full = pred_probs.reshape(n_classes, -1)[:, pixels.reshape(-1)]
            doubtful["given"] = labels
            doubtful["predicted"] = full.argmax(axis=0).reshape(pixels.shape)
            counted = pixels_counted(labels, ignore_label)
            if counted is not None:
                doubtful["given"][~counted] = doubtful["predicted"][~counted] = AGREES
        given_parts.append(given)
        confidence_parts.append(confidence)
        doubtful_parts.append(doubtful)
    labels = np.concatenate(given_parts or [np.zeros(0, dtype=np.int64)])
    confidence = np.concatenate(confidence_parts or [np.zeros(0)])
    sums = confidence_sums(labels, confidence, n_classes)
    counts = sums.counts
    if size > 1:
        counted = pixels_counted(mask, ignore_label)
        labels = mask.reshape(-1) if counted is None else mask[counted]
        counts = np.bincount(labels, minlength=n_classes)
    return ImageFacts(sums, counts, np.concatenate(doubtful_parts or [np.empty(0, dtype=kind)]))


def _chosen(matrix: Probabilities, classes: LabelMask) -> Probabilities:
    """Return the entry of each column of a (K, n) matrix at its class."""
    return matrix[classes, np.arange(len(classes))]

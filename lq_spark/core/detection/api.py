"""Label quality of images with boxes, and which images have a label issue.

Source: Tkachenko, Thyagarajan, Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images in
Object Detection Data" (2023), arXiv:2309.00832.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.detection.images import Detections, Labels, Predictions, checked_detections
from lq_spark.core.detection.issues import fit_detections, flag_boxes, flagged_images
from lq_spark.core.detection.scores import (
    BoxScores,
    box_scores,
    checked_weights,
    image_scores,
    min_similarity,
)
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_scores
from lq_spark.errors import OptionError


def get_label_quality_scores(
    labels: Labels,
    predictions: Predictions,
    *,
    aggregation_weights: Mapping[str, float] | None = None,
    overlapping_label_check: bool | None = True,
    verbose: bool = True,
) -> Float64:
    """Return the label quality of each image: 1 clean, 0 suspect.

    Parameters
    ----------
    labels : sequence of n mappings
        "bboxes": array-like of float, shape (L_i, 4), rows x1, y1, x2, y2; "labels": array-like of
        int, shape (L_i,), each in 0..K-1.
    predictions : sequence of n sequences of K array-like of float, shape (M_ik, 5)
        For each class the predicted boxes: x1, y1, x2, y2, probability.
    aggregation_weights : mapping, optional
        Weights of "overlooked", "badloc" and "swap", at least 0, that sum to 1; a third each if not
        given.
    overlapping_label_check : bool
        Whether label boxes of different classes in one place score low.
    verbose : bool
        Not used; there for calls written for cleanlab, which prints.

    Returns
    -------
    ndarray of float64, shape (n,)
        The score of an image depends on the others by the lowest similarity of boxes in the data
        set.

    Raises
    ------
    OptionError
        If the weights are not such.
    DataError
        As :func:`lq_spark.core.detection.images.checked_detections`.

    Notes
    -----
    Source: Tkachenko et al. (2023), section 3.

    Examples
    --------
    >>> labels = [{"bboxes": [[0, 0, 4, 4]], "labels": [0]}]
    >>> get_label_quality_scores(labels, [[[[0, 0, 4, 2, 0.9]]]]).round(4)
    array([0.8146])
    """
    weights = checked_weights(aggregation_weights)
    found, _ = checked_detections(labels, predictions)
    return image_scores(found, _box_scores(found, overlapping_label_check), weights)


def issues_from_scores(
    label_quality_scores: ArrayLike, *, threshold: float = 0.1
) -> NDArray[np.int64]:
    """Return the images that score up to a threshold, lowest first; equal ones as in the data.

    Parameters
    ----------
    label_quality_scores : array-like of float, shape (n,)
    threshold : float
        At most 1. Scores equal to it are issues.

    Raises
    ------
    OptionError
        If the threshold is no number of at most 1.
    DataError
        If the scores are no numbers.

    Examples
    --------
    >>> issues_from_scores([0.5, 0.1, 0.02])
    array([2, 1])
    """
    if not isinstance(threshold, (int, float, np.number)) or not threshold <= 1.0:
        raise OptionError(f"threshold must be a number of at most 1, got {threshold!r}")
    scores = checked_scores("label_quality_scores", label_quality_scores)
    low = np.flatnonzero(scores <= threshold)
    return low[np.argsort(scores[low], kind="stable")]


def find_label_issues(
    labels: Labels,
    predictions: Predictions,
    *,
    return_indices_ranked_by_score: bool | None = False,
    overlapping_label_check: bool | None = True,
) -> NDArray[np.bool_] | NDArray[np.int64]:
    """Return which images have a label issue.

    An image has one if a box has a score of at most 0.2 × the average precision of its class:
    classes that the model finds badly need the worse scores.

    Parameters
    ----------
    labels, predictions, overlapping_label_check
        As for :func:`get_label_quality_scores`.
    return_indices_ranked_by_score : bool
        Return the images with issues, lowest label quality first, and no mask. (cleanlab 2.9.0
        raises here with NumPy 2.4.)

    Returns
    -------
    ndarray of bool, shape (n,), or ndarray of int

    Raises
    ------
    DataError
        As :func:`get_label_quality_scores`.

    Notes
    -----
    Source: Tkachenko et al. (2023).

    Examples
    --------
    >>> labels = [{"bboxes": [[0, 0, 9, 9]], "labels": [0]}, {"bboxes": [], "labels": []}]
    >>> box = [0, 0, 9, 9, 0.99]
    >>> find_label_issues(labels, [[[box]], [[box]]])
    array([False,  True])
    """
    found, n_classes = checked_detections(labels, predictions)
    scores = _box_scores(found, overlapping_label_check)
    thresholds = fit_detections(found, n_classes).issue_thresholds()
    mask = flagged_images(found, flag_boxes(found, scores, thresholds))
    if not return_indices_ranked_by_score:
        return mask
    issues = np.flatnonzero(mask)
    return issues[np.argsort(image_scores(found, scores)[issues], kind="stable")]


def _box_scores(found: Detections, overlapping_label_check: bool | None) -> BoxScores:
    return box_scores(
        found, min_similarity(found), overlapping_label_check=bool(overlapping_label_check)
    )

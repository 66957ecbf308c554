"""Label quality of images with boxes and of the boxes, and which images have a label issue.

Source: Tkachenko, Thyagarajan, Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images in
Object Detection Data" (2023), arXiv:2309.00832.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.detection.boxes import ALPHA
from lq_spark.core.detection.images import (
    AuxiliaryInputs,
    Detections,
    Labels,
    Predictions,
    checked_detections,
)
from lq_spark.core.detection.model import fit_detections, flag_boxes, flagged_images
from lq_spark.core.detection.scores import (
    HIGH_PROBABILITY,
    LOW_PROBABILITY,
    POOLING_TEMPERATURE,
    BoxScores,
    badloc_scores,
    box_scores,
    checked_weights,
    image_scores,
    min_similarity,
    overlooked_scores,
    pooled_scores,
    swap_scores,
)
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_scores
from lq_spark.core.shared.segments import offsets_of
from lq_spark.core.shared.selection import lowest_first
from lq_spark.errors import require_number


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
    require_number("threshold", threshold, high=1.0)
    scores = checked_scores("label_quality_scores", label_quality_scores)
    return lowest_first(np.flatnonzero(scores <= threshold), scores)


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
    return lowest_first(np.flatnonzero(mask), image_scores(found, scores))


def _box_scores(found: Detections, overlapping_label_check: bool | None) -> BoxScores:
    return box_scores(
        found, min_similarity(found), overlapping_label_check=bool(overlapping_label_check)
    )


def compute_overlooked_box_scores(
    *,
    labels: Labels | None = None,
    predictions: Predictions | None = None,
    alpha: float | None = None,
    high_probability_threshold: float | None = None,
    auxiliary_inputs: AuxiliaryInputs | None = None,
) -> list[Float64]:
    """Return for the predicted boxes of each image how well its labels account for them.

    1 clean, 0 an object that the labels overlooked; NaN for a box that is no evidence for one. See
    :func:`lq_spark.core.detection.scores.overlooked_scores`.

    Parameters
    ----------
    labels, predictions
        As for :func:`get_label_quality_scores`.
    alpha : float, optional
        Weight of the overlap in the similarity of boxes, from 0 to 1; 0.9 if not given.
    high_probability_threshold : float, optional
        Least probability of a box that is taken for an object; 0.95 if not given.
    auxiliary_inputs : sequence of n mappings, optional
        Instead of labels and predictions the boxes as cleanlab prepares them: "lab_labels",
        "lab_bboxes", "pred_labels" in ascending order, "pred_label_probs", "pred_bboxes". Their
        similarities are computed here.

    Returns
    -------
    list of n ndarrays of float64, shape (M_i,)
        Of the boxes of an image class by class.

    Raises
    ------
    OptionError
        If alpha or the threshold is no number from 0 to 1.
    DataError
        As :func:`get_label_quality_scores`.

    Examples
    --------
    >>> labels = [{"bboxes": [[0, 0, 4, 4]], "labels": [0]}]
    >>> [scores] = compute_overlooked_box_scores(
    ...     labels=labels, predictions=[[[[0, 0, 4, 4, 0.99]], [[9, 0, 13, 4, 0.96]]]]
    ... )
    >>> scores.round(4)
    array([   nan, 0.0016])
    """
    weight = _share("alpha", alpha, ALPHA)
    high = _share("high_probability_threshold", high_probability_threshold, HIGH_PROBABILITY)
    found, _ = checked_detections(labels, predictions, auxiliary_inputs)
    lowest = min_similarity(found, weight)
    scores = overlooked_scores(found, lowest, alpha=weight, high_probability=high)
    return np.split(scores, found.predictions.offsets[1:-1])


def compute_badloc_box_scores(
    *,
    labels: Labels | None = None,
    predictions: Predictions | None = None,
    alpha: float | None = None,
    low_probability_threshold: float | None = None,
    auxiliary_inputs: AuxiliaryInputs | None = None,
) -> list[Float64]:
    """Return for the label boxes of each image whether they lie where their class is predicted.

    1 clean, 0 badly located. See :func:`lq_spark.core.detection.scores.badloc_scores`.

    Parameters
    ----------
    labels, predictions, alpha, auxiliary_inputs
        As for :func:`compute_overlooked_box_scores`.
    low_probability_threshold : float, optional
        Predicted boxes of a probability above it are compared with; 0.5 if not given.

    Returns
    -------
    list of n ndarrays of float64, shape (L_i,)

    Raises
    ------
    OptionError, DataError
        As :func:`compute_overlooked_box_scores`.

    Examples
    --------
    >>> labels = [{"bboxes": [[0, 0, 4, 4]], "labels": [0]}]
    >>> compute_badloc_box_scores(labels=labels, predictions=[[[[0, 0, 4, 2, 0.9]]]])[0].round(4)
    array([0.5405])
    """
    weight = _share("alpha", alpha, ALPHA)
    low = _share("low_probability_threshold", low_probability_threshold, LOW_PROBABILITY)
    found, _ = checked_detections(labels, predictions, auxiliary_inputs)
    scores = badloc_scores(found, alpha=weight, low_probability=low)
    return np.split(scores, found.labels.offsets[1:-1])


def compute_swap_box_scores(
    *,
    labels: Labels | None = None,
    predictions: Predictions | None = None,
    alpha: float | None = None,
    high_probability_threshold: float | None = None,
    overlapping_label_check: bool | None = True,
    auxiliary_inputs: AuxiliaryInputs | None = None,
) -> list[Float64]:
    """Return for the label boxes of each image whether another class is predicted in their place.

    1 clean, 0 swapped. See :func:`lq_spark.core.detection.scores.swap_scores`.

    Parameters
    ----------
    labels, predictions, alpha, auxiliary_inputs
        As for :func:`compute_overlooked_box_scores`.
    high_probability_threshold : float, optional
        Predicted boxes of a probability above it are compared with; 0.95 if not given.
    overlapping_label_check : bool
        Whether label boxes of different classes in one place score low.

    Returns
    -------
    list of n ndarrays of float64, shape (L_i,)

    Raises
    ------
    OptionError, DataError
        As :func:`compute_overlooked_box_scores`.

    Examples
    --------
    >>> labels = [{"bboxes": [[0, 0, 4, 4]], "labels": [0]}]
    >>> [scores] = compute_swap_box_scores(
    ...     labels=labels, predictions=[[[[9, 0, 13, 4, 0.4]], [[0, 0, 4, 3, 0.99]]]]
    ... )
    >>> scores.round(4)
    array([0.2299])
    """
    weight = _share("alpha", alpha, ALPHA)
    high = _share("high_probability_threshold", high_probability_threshold, HIGH_PROBABILITY)
    found, _ = checked_detections(labels, predictions, auxiliary_inputs)
    scores = swap_scores(
        found,
        min_similarity(found, weight),
        alpha=weight,
        high_probability=high,
        overlapping_label_check=bool(overlapping_label_check),
    )
    return np.split(scores, found.labels.offsets[1:-1])


def pool_box_scores_per_image(
    box_scores: Sequence[ArrayLike], *, temperature: float | None = None
) -> Float64:
    """Return a score for each image from those of its boxes: their softmin, 1 without boxes.

    Parameters
    ----------
    box_scores : sequence of n array-like of float
        As from the three functions above; NaN is left out.
    temperature : float, optional
        Below 1e-6 it is taken as 1e-6; infinity is the mean; 0.1 if not given.

    Raises
    ------
    OptionError
        If the temperature is no number of at least 0.

    Examples
    --------
    >>> pool_box_scores_per_image([[0.1, 0.5, float("nan")], []]).round(4)
    array([0.1072, 1.    ])
    """
    temperature = POOLING_TEMPERATURE if temperature is None else temperature
    require_number("temperature", temperature, 0.0)
    arrays = [np.asarray(scores, dtype=np.float64).ravel() for scores in box_scores]
    flat = np.concatenate([np.zeros(0), *arrays])
    return pooled_scores(flat, offsets_of(map(len, arrays)), temperature)


def _share(option: str, value: float | None, default: float) -> float:
    return require_number(option, default if value is None else value, 0.0, 1.0)

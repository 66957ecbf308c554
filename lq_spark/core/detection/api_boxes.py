"""Label quality of boxes, under cleanlab's names: lists of images in, lists of arrays out.

The mathematics is in :mod:`lq_spark.core.detection.scores`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lq_spark.core.detection.auxiliary import AuxiliaryInputs, labels_and_predictions
from lq_spark.core.detection.boxes import ALPHA
from lq_spark.core.detection.images import Labels, Predictions, checked_detections
from lq_spark.core.detection.scores import (
    HIGH_PROBABILITY,
    LOW_PROBABILITY,
    POOLING_TEMPERATURE,
    badloc_scores,
    min_similarity,
    overlooked_scores,
    pooled_scores,
    swap_scores,
)
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.tokens.sentences import offsets_of
from lq_spark.errors import OptionError


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
    labels, predictions = labels_and_predictions(labels, predictions, auxiliary_inputs)
    weight = _share("alpha", alpha, ALPHA)
    high = _share("high_probability_threshold", high_probability_threshold, HIGH_PROBABILITY)
    found, _ = checked_detections(labels, predictions)
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
    labels, predictions = labels_and_predictions(labels, predictions, auxiliary_inputs)
    weight = _share("alpha", alpha, ALPHA)
    low = _share("low_probability_threshold", low_probability_threshold, LOW_PROBABILITY)
    found, _ = checked_detections(labels, predictions)
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
    labels, predictions = labels_and_predictions(labels, predictions, auxiliary_inputs)
    weight = _share("alpha", alpha, ALPHA)
    high = _share("high_probability_threshold", high_probability_threshold, HIGH_PROBABILITY)
    found, _ = checked_detections(labels, predictions)
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
        0 is the minimum, infinity the mean; 0.1 if not given.

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
    if not isinstance(temperature, (int, float)) or not temperature >= 0:
        raise OptionError(f"temperature must be a number of at least 0, got {temperature!r}")
    arrays = [np.asarray(scores, dtype=np.float64).ravel() for scores in box_scores]
    flat = np.concatenate([np.zeros(0), *arrays])
    return pooled_scores(flat, offsets_of(map(len, arrays)), temperature)


def _share(option: str, value: float | None, default: float) -> float:
    if value is None:
        return default
    if not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise OptionError(f"{option} must be a number from 0 to 1, got {value!r}")
    return float(value)

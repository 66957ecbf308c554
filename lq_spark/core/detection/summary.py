"""What a data set of boxes holds: counts by image and class, sizes, and how well classes are found.

Under cleanlab's names and in its dictionaries; keys are class indices, or names where those are
given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.detection.average_precision import (
    BoxCounts,
    average_confusion,
    class_metrics,
    match_boxes,
    partial_counts,
)
from lq_spark.core.detection.boxes import areas
from lq_spark.core.detection.images import (
    AuxiliaryInputs,
    ImageBoxes,
    Labels,
    Predictions,
    checked_detections,
)
from lq_spark.errors import OptionError, listed

ClassNames = Mapping[Any, str]

_SHARE_SLACK: Final = 1e-6
"""Added to the number of boxes before it divides, as in cleanlab."""


def object_counts_per_image(
    labels: Labels | None = None,
    predictions: Predictions | None = None,
    *,
    auxiliary_inputs: AuxiliaryInputs | None = None,
) -> tuple[list[int], list[int]]:
    """Return how many label boxes and how many predicted boxes each image has.

    Parameters
    ----------
    labels, predictions
        As for :func:`lq_spark.core.detection.images.checked_detections`.
    auxiliary_inputs : sequence of n mappings, optional
        Instead of labels and predictions the boxes as cleanlab prepares them: "lab_labels",
        "lab_bboxes", "pred_labels" in ascending order, "pred_label_probs", "pred_bboxes". Their
        similarities are computed here.

    Raises
    ------
    DataError
        As :func:`lq_spark.core.detection.images.checked_detections`.

    Examples
    --------
    >>> object_counts_per_image([{"bboxes": [[0, 0, 4, 4]], "labels": [0]}], [[[], []]])
    ([1], [0])
    """
    found, _ = checked_detections(labels, predictions, auxiliary_inputs)
    return (
        np.diff(found.labels.offsets).tolist(),
        np.diff(found.predictions.offsets).tolist(),
    )


def bounding_box_size_distribution(
    labels: Labels | None = None,
    predictions: Predictions | None = None,
    *,
    auxiliary_inputs: AuxiliaryInputs | None = None,
    class_names: ClassNames | None = None,
    sort: bool = False,
) -> tuple[dict[Any, list[float]], dict[Any, list[float]]]:
    """Return the areas of the label boxes, and of the predicted boxes, of each class.

    Parameters
    ----------
    labels, predictions, auxiliary_inputs
        As for :func:`object_counts_per_image`.
    class_names : mapping of str or int to str, optional
        Name of a class by its index. Classes that are not in it are left out.
    sort : bool
        Whether the class of most boxes comes first.

    Examples
    --------
    >>> labels = [{"bboxes": [[0, 0, 4, 4]], "labels": [1]}]
    >>> bounding_box_size_distribution(labels, [[[], []]], class_names={"1": "cat"})
    ({'cat': [16.0]}, {})
    """
    found, n_classes = checked_detections(labels, predictions, auxiliary_inputs)
    names = _names(class_names, n_classes)

    def by_class(boxes: ImageBoxes) -> dict[Any, list[float]]:
        order = np.argsort(boxes.classes, kind="stable")
        counts = np.bincount(boxes.classes, minlength=n_classes)
        parts = np.split(areas(boxes.coordinates)[order], np.cumsum(counts)[:-1])
        classes = np.argsort(-counts, kind="stable") if sort else np.arange(n_classes)
        return {names[k]: parts[k].tolist() for k in classes.tolist() if counts[k] and k in names}

    return by_class(found.labels), by_class(found.predictions)


def class_label_distribution(
    labels: Labels | None = None,
    predictions: Predictions | None = None,
    *,
    auxiliary_inputs: AuxiliaryInputs | None = None,
    class_names: ClassNames | None = None,
) -> tuple[dict[Any, float], dict[Any, float]]:
    """Return the share of each class in the label boxes and in the predicted boxes, to 2 digits.

    Parameters
    ----------
    labels, predictions, auxiliary_inputs
        As for :func:`object_counts_per_image`.
    class_names : mapping of str or int to str, optional
        Name of each class by its index.

    Raises
    ------
    OptionError
        If a class has no name.

    Examples
    --------
    >>> labels = [{"bboxes": [[0, 0, 4, 4], [1, 1, 2, 2]], "labels": [1, 0]}]
    >>> class_label_distribution(labels, [[[], []]])
    ({0: 0.5, 1: 0.5}, {})
    """
    found, n_classes = checked_detections(labels, predictions, auxiliary_inputs)
    names = _every_name(class_names, n_classes)

    def shares(classes: NDArray[np.int64]) -> dict[Any, float]:
        counts = np.bincount(classes, minlength=n_classes)
        total = counts.sum() + _SHARE_SLACK
        return {
            names[k]: round(float(counts[k] / total), 2) for k in np.flatnonzero(counts).tolist()
        }

    return shares(found.labels.classes), shares(found.predictions.classes)


def get_sorted_bbox_count_idxs(
    labels: Labels, predictions: Predictions
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return (image, number of boxes), most boxes first, of label boxes and of predicted boxes.

    Images of equal numbers are in the order of the data. Parameters and errors as for
    :func:`object_counts_per_image`.

    Examples
    --------
    >>> one, two = ({"bboxes": [[0, 0, 4, 4]] * n, "labels": [0] * n} for n in (1, 2))
    >>> get_sorted_bbox_count_idxs([one, two], [[[]], [[]]])
    ([(1, 2), (0, 1)], [(0, 0), (1, 0)])
    """
    of_labels, of_predictions = object_counts_per_image(labels, predictions)

    def most_first(counts: list[int]) -> list[tuple[int, int]]:
        return sorted(enumerate(counts), key=lambda image: -image[1])

    return most_first(of_labels), most_first(of_predictions)


def get_average_per_class_confusion_matrix(
    labels: Labels,
    predictions: Predictions,
    num_procs: int = 1,
    class_names: ClassNames | None = None,
    *,
    cleanlab_compatible: bool = False,
) -> dict[Any, dict[str, float]]:
    """Return how many boxes of each class are true and false positives, and false negatives.

    Means over the overlaps 0.50, 0.55, …, 0.95 at which a predicted box is right.

    Parameters
    ----------
    labels, predictions
        As for :func:`object_counts_per_image`.
    num_procs : int
        Not used; there for calls written for cleanlab.
    class_names : mapping of str or int to str, optional
        Name of each class by its index.
    cleanlab_compatible : bool
        Whether to divide these means by the number of classes once more, as cleanlab does.

    Returns
    -------
    dict of dict
        "TP", "FP" and "FN" of each class.

    Raises
    ------
    OptionError
        If a class has no name.
    DataError
        As :func:`object_counts_per_image`.

    Examples
    --------
    >>> labels = [{"bboxes": [[0, 0, 4, 1]], "labels": [0]}]
    >>> get_average_per_class_confusion_matrix(labels, [[[[0, 0, 3, 1, 0.9]]]])
    {0: {'TP': 0.6, 'FP': 0.4, 'FN': 0.4}}
    """
    names, counts = _counts(labels, predictions, class_names)
    confusion = average_confusion(counts)
    divisor = len(names) if cleanlab_compatible else 1
    return {
        names[k]: {
            kind: float(values[k]) / divisor
            for kind, values in zip(("TP", "FP", "FN"), confusion, strict=True)
        }
        for k in names
    }


def calculate_per_class_metrics(
    labels: Labels,
    predictions: Predictions,
    num_procs: int = 1,
    class_names: ClassNames | None = None,
) -> dict[Any, dict[str, float]]:
    """Return precision, recall and F1 of each class, of means over the overlaps 0.50 to 0.95.

    Parameters and errors as for :func:`get_average_per_class_confusion_matrix`.

    Returns
    -------
    dict of dict
        "average precision", "average recall" and "average f1" of each class; 0 where there is
        nothing to divide by, for which cleanlab gives NaN.

    Examples
    --------
    >>> labels = [{"bboxes": [[0, 0, 4, 1]], "labels": [0]}]
    >>> calculate_per_class_metrics(labels, [[[[0, 0, 4, 1, 0.9]]]])
    {0: {'average precision': 1.0, 'average recall': 1.0, 'average f1': 1.0}}
    """
    names, counts = _counts(labels, predictions, class_names)
    metrics = class_metrics(average_confusion(counts))
    kinds = ("average precision", "average recall", "average f1")
    return {
        names[k]: {kind: float(values[k]) for kind, values in zip(kinds, metrics, strict=True)}
        for k in names
    }


def _counts(
    labels: Labels, predictions: Predictions, class_names: ClassNames | None
) -> tuple[dict[int, Any], BoxCounts]:
    found, n_classes = checked_detections(labels, predictions)
    names = _every_name(class_names, n_classes)
    return names, partial_counts(found, match_boxes(found), n_classes)


def _names(class_names: ClassNames | None, n_classes: int) -> dict[int, Any]:
    """Return what the classes are called that have a name; their indices without names."""
    if class_names is None:
        return {k: k for k in range(n_classes)}
    if not isinstance(class_names, Mapping):
        raise OptionError(f"class_names must map class indices to names, got {class_names!r}")
    keys = {k: k if k in class_names else str(k) for k in range(n_classes)}
    return {k: class_names[key] for k, key in keys.items() if key in class_names}


def _every_name(class_names: ClassNames | None, n_classes: int) -> dict[int, Any]:
    names = _names(class_names, n_classes)
    missing = sorted(set(range(n_classes)) - names.keys())
    if missing:
        raise OptionError(f"class_names has no name of class {listed(missing)}")
    return names

"""The boxes of many images as flat arrays with offsets, and what makes a box unusable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import first_faults
from lq_spark.core.shared.segments import offsets_of, owners
from lq_spark.errors import DataError, OptionError

Labels = Sequence[Mapping[str, Any]]
Predictions = Sequence[Sequence[ArrayLike]]
AuxiliaryInputs = Sequence[Mapping[str, Any]]

_BOXES = ("lab_labels", "lab_bboxes", "pred_labels", "pred_label_probs", "pred_bboxes")


@dataclass(frozen=True, slots=True)
class ImageBoxes:
    """The boxes of n images, image after image.

    Attributes
    ----------
    coordinates : ndarray of float64, shape (4, b)
        Rows x1, y1, x2, y2.
    classes : ndarray of int64, shape (b,)
    offsets : ndarray of int64, shape (n + 1,)
        Image i has the boxes ``offsets[i]`` to ``offsets[i + 1] - 1``.
    """

    coordinates: Float64
    classes: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def images(self) -> NDArray[np.int64]:
        """Return the image of each box, shape (b,)."""
        return owners(self.offsets)

    def where(self, mask: NDArray[np.bool_]) -> ImageBoxes:
        """Return the boxes of a mask, shape (b,), of the same images."""
        kept = offsets_of(mask)
        return ImageBoxes(self.coordinates[:, mask], self.classes[mask], kept[self.offsets])


@dataclass(frozen=True, slots=True)
class Detections:
    """The label boxes and the predicted boxes of n images.

    Attributes
    ----------
    labels, predictions : ImageBoxes
    probs : ndarray of float64, shape (number of predicted boxes,)
        The predicted probability of each predicted box.
    """

    labels: ImageBoxes
    predictions: ImageBoxes
    probs: Float64

    @property
    def n_images(self) -> int:
        """Return n."""
        return len(self.labels.offsets) - 1


class BoxFault(IntEnum):
    """Why a box cannot be used. A box with several faults has the one that comes first here."""

    NONE = 0
    CLASS_OUT_OF_RANGE = 1
    NOT_FINITE = 2
    X2_BELOW_X1 = 3
    Y2_BELOW_Y1 = 4
    PROB_NOT_FINITE = 5
    PROB_OUT_OF_RANGE = 6


BOX_REASONS = {
    BoxFault.CLASS_OUT_OF_RANGE: "label out of range",
    BoxFault.NOT_FINITE: "coordinate null or not finite",
    BoxFault.X2_BELOW_X1: "x2 below x1",
    BoxFault.Y2_BELOW_Y1: "y2 below y1",
    BoxFault.PROB_NOT_FINITE: "probability null or not finite",
    BoxFault.PROB_OUT_OF_RANGE: "probability outside 0..1",
}


def box_faults(
    coordinates: Float64,
    classes: NDArray[np.int64],
    n_classes: int,
    probs: Float64 | None = None,
) -> NDArray[np.uint8]:
    """Return the fault of each box as a BoxFault code, 0 where it is usable.

    Parameters
    ----------
    coordinates : ndarray of float64, shape (4, b)
    classes : ndarray of int64, shape (b,)
        Usable are 0 to K - 1.
    n_classes : int
        K.
    probs : ndarray of float64, shape (b,), optional
        Of predicted boxes.

    Examples
    --------
    >>> box_faults(np.array([[0.0, 9], [0, 0], [4, 8], [1, 1]]), np.array([0, 0]), 2)
    array([0, 3], dtype=uint8)
    """
    x1, y1, x2, y2 = coordinates
    conditions = {
        BoxFault.CLASS_OUT_OF_RANGE: (classes < 0) | (classes >= n_classes),
        BoxFault.NOT_FINITE: ~np.isfinite(coordinates).all(axis=0),
        BoxFault.X2_BELOW_X1: x2 < x1,
        BoxFault.Y2_BELOW_Y1: y2 < y1,
    }
    if probs is not None:
        conditions[BoxFault.PROB_NOT_FINITE] = ~np.isfinite(probs)
        conditions[BoxFault.PROB_OUT_OF_RANGE] = (probs < 0.0) | (probs > 1.0)
    return first_faults(conditions)


def checked_detections(
    labels: Labels | None,
    predictions: Predictions | None,
    auxiliary_inputs: AuxiliaryInputs | None = None,
) -> tuple[Detections, int]:
    """Return lists of images as flat arrays, and K.

    Parameters
    ----------
    labels : sequence of n mappings
        "bboxes": array-like of float, shape (L_i, 4), rows x1, y1, x2, y2; "labels": array-like of
        int, shape (L_i,), each in 0..K-1.
    predictions : sequence of n sequences of K array-like of float, shape (M_ik, 5)
        For each class the predicted boxes: x1, y1, x2, y2, probability. The flat arrays have the
        boxes of an image class by class.
    auxiliary_inputs : sequence of n mappings, optional
        Instead of labels and predictions the boxes as cleanlab prepares them for its box scores:
        "lab_labels", "lab_bboxes", "pred_labels" in ascending order, "pred_label_probs",
        "pred_bboxes".

    Raises
    ------
    OptionError
        If auxiliary_inputs are given beside labels or predictions.
    DataError
        Naming the first bad image, if entries are missing, numbers of images, boxes or classes
        differ, there is no image, or a box has a fault of :data:`BOX_REASONS`.

    Examples
    --------
    >>> label = {"bboxes": [[0, 0, 4, 4], [2, 2, 9, 9]], "labels": [1, 0]}
    >>> found, n_classes = checked_detections([label], [[[], [[0, 0, 4, 5, 0.9]]]])
    >>> found.labels.offsets, found.predictions.classes, found.probs, n_classes
    (array([0, 2]), array([1]), array([0.9]), 2)
    """
    labels, predictions = _labels_and_predictions(labels, predictions, auxiliary_inputs)
    if labels is None or predictions is None or len(labels) == 0:
        raise DataError("labels and predictions must have at least one image")
    if len(labels) != len(predictions):
        raise DataError(f"labels has {len(labels)} images, predictions has {len(predictions)}")
    n_classes = len(predictions[0])
    if n_classes == 0:
        raise DataError("predictions must have an array of boxes for each class, got none")
    given = [_label_arrays(i, label) for i, label in enumerate(labels)]
    predicted = [_predicted_arrays(i, image, n_classes) for i, image in enumerate(predictions)]
    rows = np.concatenate([array for image in predicted for array in image])
    lengths = [[len(array) for array in image] for image in predicted]
    found = Detections(
        ImageBoxes(
            np.ascontiguousarray(np.concatenate([boxes for boxes, _ in given]).T),
            np.concatenate([classes for _, classes in given]),
            offsets_of(len(classes) for _, classes in given),
        ),
        ImageBoxes(
            np.ascontiguousarray(rows[:, :4].T),
            np.repeat(np.tile(np.arange(n_classes), len(labels)), np.ravel(lengths)),
            offsets_of(sum(image) for image in lengths),
        ),
        np.ascontiguousarray(rows[:, 4]),
    )
    _require_usable("label", found.labels, n_classes, None)
    _require_usable("predicted", found.predictions, n_classes, found.probs)
    return found, n_classes


def _labels_and_predictions(
    labels: Labels | None, predictions: Predictions | None, auxiliary_inputs: AuxiliaryInputs | None
) -> tuple[Labels | None, Predictions | None]:
    """Return labels and predictions, those in auxiliary_inputs if they are given instead."""
    if auxiliary_inputs is None:
        return labels, predictions
    if labels is not None or predictions is not None:
        raise OptionError("auxiliary_inputs go without labels and predictions, got both")
    for i, image in enumerate(auxiliary_inputs):
        missing = [key for key in _BOXES if key not in image]
        if missing:
            raise DataError(
                f"auxiliary_inputs of image {i} must have {list(_BOXES)}, lacks {missing}"
            )
    columns = [[np.asarray(image[key]) for key in _BOXES] for image in auxiliary_inputs]
    n_classes = 1 + max(
        (int(part.max()) for image in columns for part in (image[0], image[2]) if part.size),
        default=0,
    )
    made: list[dict[str, Any]] = []
    predicted = []
    for given, boxes, classes, chances, predicted_boxes in columns:
        made.append({"bboxes": boxes.reshape(-1, 4), "labels": given})
        rows = np.column_stack([predicted_boxes.reshape(-1, 4), chances])
        predicted.append([rows[classes == k] for k in range(n_classes)])
    return made, predicted


def _label_arrays(i: int, label: Mapping[str, Any]) -> tuple[Float64, NDArray[np.int64]]:
    if not isinstance(label, Mapping) or not {"bboxes", "labels"} <= label.keys():
        raise DataError(f"labels of image {i} must be a mapping with 'bboxes' and 'labels'")
    boxes = _box_rows(f"labels of image {i}: 'bboxes'", label["bboxes"], 4)
    classes = np.asarray(label["labels"])
    if classes.shape != (len(boxes),) or (len(boxes) and classes.dtype.kind not in "iuf"):
        raise DataError(
            f"labels of image {i}: 'labels' must be {len(boxes)} whole numbers, one a box, "
            f"got shape {classes.shape} of {classes.dtype}"
        )
    with np.errstate(invalid="ignore"):
        whole = classes.astype(np.int64)
    if (whole != classes).any():
        raise DataError(f"labels of image {i}: 'labels' has {classes[whole != classes][0]}")
    return boxes, whole


def _predicted_arrays(i: int, image: Sequence[ArrayLike], n_classes: int) -> list[Float64]:
    if len(image) != n_classes:
        raise DataError(
            f"predictions of image {i} has {len(image)} classes, of image 0 {n_classes}"
        )
    return [_box_rows(f"predictions of image {i}", array, 5) for array in image]


def _box_rows(what: str, values: ArrayLike, width: int) -> Float64:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros((0, width))
    if array.ndim != 2 or array.shape[1] != width or array.dtype.kind not in "fiu":
        raise DataError(
            f"{what} must be an array of numbers with {width} columns, "
            f"got shape {array.shape} of {array.dtype}"
        )
    return array.astype(np.float64, copy=False)


def _require_usable(kind: str, boxes: ImageBoxes, n_classes: int, probs: Float64 | None) -> None:
    faults = box_faults(boxes.coordinates, boxes.classes, n_classes, probs)
    bad = np.flatnonzero(faults)
    if len(bad):
        image = int(boxes.images[bad[0]])
        raise DataError(
            f"image {image}, {kind} box {bad[0] - boxes.offsets[image]}: "
            f"{BOX_REASONS[BoxFault(faults[bad[0]])]} (K = {n_classes} classes); "
            f"{len(bad)} unusable {kind} boxes in all"
        )

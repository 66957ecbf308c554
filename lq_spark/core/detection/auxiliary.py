"""Boxes as cleanlab prepares them for its box scores, turned into labels and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lq_spark.core.detection.images import Labels, Predictions
from lq_spark.errors import DataError, OptionError

AuxiliaryInputs = Sequence[Mapping[str, Any]]

_BOXES = ("lab_labels", "lab_bboxes", "pred_labels", "pred_label_probs", "pred_bboxes")


def labels_and_predictions(
    labels: Labels | None, predictions: Predictions | None, auxiliary_inputs: AuxiliaryInputs | None
) -> tuple[Labels | None, Predictions | None]:
    """Return labels and predictions, those in auxiliary_inputs if they are given instead.

    Raises
    ------
    OptionError
        If auxiliary_inputs are given beside labels or predictions.
    DataError
        If an image has not all entries.
    """
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

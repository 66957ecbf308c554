"""The batch functions of tables of images with boxes: Arrow arrays in and out, no session."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DoubleType,
    IntegerType,
    StringType,
    StructField,
    StructType,
)

from lq_spark.core.detection.images import BOX_REASONS, BoxFault, Detections, ImageBoxes, box_faults
from lq_spark.core.detection.model import BoxFlags, DetectionModel, flag_boxes, flagged_images
from lq_spark.core.detection.scores import ISSUE_KINDS, BoxScores, box_scores, image_scores
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.shared.batches import (
    is_usable,
    list_array,
    reason_column,
    require_usable,
    spread_columns,
)
from lq_spark.tasks.shared.labels import NULL_LABEL, UNKNOWN_LABEL, class_indices
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, LABEL_QUALITY, NO_LABELS
from lq_spark.tasks.shared.reasons import LABEL_REASONS, named_label

OVERLOOKED_SCORES, BADLOC_SCORES, SWAP_SCORES = "overlooked_scores", "badloc_scores", "swap_scores"
BOX_ISSUES = "box_issues"
KIND, BOX_INDEX, BOX_SCORE = "kind", "box_index", "score"
KINDS, BOX_INDICES, BOX_SCORES = (f"__lq_{name}" for name in (KIND, BOX_INDEX, BOX_SCORE))

N_LABEL_INPUTS = 5
"""Arrays of the label boxes among the inputs: x1, y1, x2, y2, label; those of predicted ones, with
prob before label, follow."""


@dataclass(frozen=True, slots=True)
class DetectionBatch:
    """The images of a batch that can be scored, and why the others cannot.

    Attributes
    ----------
    found : Detections
        Of the images that can be scored, in order.
    reasons : ndarray of object, shape (n,), or None
        For each image of the batch a text, or None where it can be scored; None where all can.
    """

    found: Detections
    reasons: NDArray[np.object_] | None


def read_images(
    arrays: Sequence[pa.Array], n_classes: int, classes: tuple[str, ...] | None
) -> DetectionBatch:
    """Sort the images of a batch into those that can be scored and those that cannot.

    Parameters
    ----------
    arrays : sequence of 11 pyarrow Arrays
        Lists, in the order of ``DetectionColumns.inputs``.
    n_classes, classes
        K; class names, where labels are such.
    """
    labels, no_labels, _ = _read_boxes(arrays[:N_LABEL_INPUTS], classes)
    predictions, no_predictions, probs = _read_boxes(arrays[N_LABEL_INPUTS:], classes)
    found = Detections(labels, predictions, probs)
    reasons = np.full(found.n_images, None, dtype=object)
    # The reason that is written last stays.
    _name_faults(reasons, "predicted", predictions, arrays[-1], n_classes, probs)
    _name_faults(reasons, "label", labels, arrays[N_LABEL_INPUTS - 1], n_classes, None)
    reasons[no_predictions] = "null predictions"
    reasons[no_labels] = NO_LABELS
    usable = is_usable(reasons)
    if usable.all():
        return DetectionBatch(found, None)
    of_labels, of_predictions = usable[labels.images], usable[predictions.images]
    kept = Detections(
        _of_images(labels.where(of_labels), usable),
        _of_images(predictions.where(of_predictions), usable),
        probs[of_predictions],
    )
    return DetectionBatch(kept, reasons)


def _read_boxes(
    arrays: Sequence[pa.Array], classes: tuple[str, ...] | None
) -> tuple[ImageBoxes, NDArray[np.bool_], Float64]:
    """Return boxes, which images have no array of them, and their probabilities if they have."""
    *numbers, labels = arrays
    given = flat_lists(labels)
    columns = [_doubles(flat_lists(array).values) for array in numbers]
    boxes = ImageBoxes(np.stack(columns[:4]), _class_indices(given.values, classes), given.offsets)
    return boxes, given.is_null, columns[4] if len(columns) > 4 else np.zeros(0)


def _doubles(values: pa.Array) -> Float64:
    return np.asarray(pc.fill_null(values, np.nan), dtype=np.float64)


def _class_indices(labels: pa.Array, classes: tuple[str, ...] | None) -> NDArray[np.int64]:
    if not pa.types.is_floating(labels.type):
        return class_indices(labels, classes)
    numbers = _doubles(labels)
    known = np.abs(numbers) < 2.0**62  # neither NaN nor beyond int64
    return np.where(known, np.where(known, numbers, 0.0).astype(np.int64), NULL_LABEL)


def _name_faults(
    reasons: NDArray[np.object_],
    kind: str,
    boxes: ImageBoxes,
    labels: pa.Array,
    n_classes: int,
    probs: Float64 | None,
) -> None:
    """Put the fault of the first box of each image that cannot be scored into reasons."""
    faults = box_faults(boxes.coordinates, boxes.classes, n_classes, probs)
    faulty = np.flatnonzero(faults)
    if not len(faulty):
        return
    images, firsts = np.unique(boxes.images[faulty], return_index=True)
    flat = flat_lists(labels).values
    for image, box in zip(images, faulty[firsts], strict=True):
        text = LABEL_REASONS.get(int(boxes.classes[box])) or BOX_REASONS[BoxFault(faults[box])]
        if boxes.classes[box] == UNKNOWN_LABEL:
            text = named_label(flat[int(box)].as_py())
        reasons[image] = f"{kind} box {box - boxes.offsets[image]}: {text}"


def _of_images(boxes: ImageBoxes, images: NDArray[np.bool_]) -> ImageBoxes:
    """Return boxes, all of them of the images in the mask, with offsets of those images alone."""
    offsets = np.append(boxes.offsets[:-1][images], boxes.offsets[-1])
    return ImageBoxes(boxes.coordinates, boxes.classes, offsets)


def usable_images(
    arrays: Sequence[pa.Array], n_classes: int, classes: tuple[str, ...] | None, *, fail: bool
) -> DetectionBatch:
    """Return :func:`read_images`; if asked, raise InvalidRowsError for images it cannot score."""
    batch = read_images(arrays, n_classes, classes)
    if fail and batch.reasons is not None:
        # Counted by reason, without the places of boxes.
        texts = [text and re.sub(r" box \d+:", " box:", text) for text in batch.reasons]
        require_usable(np.array(texts, dtype=object), n_classes, "images", "detection")
    return batch


def score_schema(*, scores_of_boxes: bool) -> StructType:
    """Return what :func:`score_batch` gives of an image."""
    scores = (OVERLOOKED_SCORES, BADLOC_SCORES, SWAP_SCORES) if scores_of_boxes else ()
    return StructType(
        [
            StructField(LABEL_QUALITY, DoubleType()),
            *(StructField(name, ArrayType(DoubleType())) for name in scores),
        ]
    )


def score_batch(
    n_classes: int,
    classes: tuple[str, ...] | None,
    min_similarity: float,
    weights: Mapping[str, float] | None,
    *,
    overlapping_label_check: bool,
    scores_of_boxes: bool,
    fail: bool,
) -> BatchFunction:
    """Return (arrays of the boxes) -> the label quality of each image, and scores of its boxes."""

    def run(*arrays: pa.Array) -> dict[str, pa.Array]:
        batch = usable_images(arrays, n_classes, classes, fail=fail)
        found = batch.found
        scores = box_scores(found, min_similarity, overlapping_label_check=overlapping_label_check)
        columns = {LABEL_QUALITY: pa.array(image_scores(found, scores, weights))}
        if scores_of_boxes:
            columns |= _score_lists(found, scores)
        return spread_columns(columns, batch.reasons)

    return run


def issue_schema() -> StructType:
    """Return what :func:`issue_batch` gives of an image."""
    return StructType(
        [
            StructField(IS_LABEL_ISSUE, BooleanType()),
            StructField(LABEL_QUALITY, DoubleType()),
            StructField(KINDS, ArrayType(StringType())),
            StructField(BOX_INDICES, ArrayType(IntegerType())),
            StructField(BOX_SCORES, ArrayType(DoubleType())),
        ]
    )


def issue_batch(
    model: DetectionModel,
    classes: tuple[str, ...] | None,
    weights: Mapping[str, float] | None,
    *,
    overlapping_label_check: bool,
    fail: bool,
) -> BatchFunction:
    """Return (arrays of the boxes) -> whether an image has a label issue, and which of its boxes.

    An image that cannot be scored fails the batch, or gets nulls.
    """

    def run(*arrays: pa.Array) -> dict[str, pa.Array]:
        batch = usable_images(arrays, model.n_classes, classes, fail=fail)
        found = batch.found
        scores = box_scores(
            found, model.min_similarity, overlapping_label_check=overlapping_label_check
        )
        flags = flag_boxes(found, scores, model.issue_thresholds())
        columns = {
            IS_LABEL_ISSUE: pa.array(flagged_images(found, flags)),
            LABEL_QUALITY: pa.array(image_scores(found, scores, weights)),
            **_issue_lists(found, scores, flags),
        }
        return spread_columns(columns, batch.reasons)

    return run


def reason_batch(n_classes: int, classes: tuple[str, ...] | None) -> BatchFunction:
    """Return (arrays of the boxes) -> invalid_reason."""

    def run(*arrays: pa.Array) -> dict[str, pa.Array]:
        reasons = read_images(arrays, n_classes, classes).reasons
        return reason_column(reasons, len(arrays[0]))

    return run


def _score_lists(found: Detections, scores: BoxScores) -> dict[str, pa.Array]:
    """Return the scores of the boxes of each image; null for a box that has none."""
    overlooked = pa.array(scores.overlooked, mask=np.isnan(scores.overlooked))
    return {
        OVERLOOKED_SCORES: list_array(overlooked, found.predictions.offsets),
        BADLOC_SCORES: list_array(pa.array(scores.badloc), found.labels.offsets),
        SWAP_SCORES: list_array(pa.array(scores.swap), found.labels.offsets),
    }


def _issue_lists(found: Detections, scores: BoxScores, flags: BoxFlags) -> dict[str, pa.Array]:
    """Return kind, place and score of the boxes that are issues, the lowest score first."""
    parts = [
        (found.predictions, flags.overlooked, scores.overlooked),
        (found.labels, flags.badloc, scores.badloc),
        (found.labels, flags.swap, scores.swap),
    ]
    rows = [np.flatnonzero(mask) for _, mask, _ in parts]
    kind = np.repeat(np.arange(len(parts)), list(map(len, rows)))
    image = np.concatenate([boxes.images[at] for (boxes, *_), at in zip(parts, rows, strict=True)])
    place = np.concatenate(
        [at - boxes.offsets[boxes.images[at]] for (boxes, *_), at in zip(parts, rows, strict=True)]
    )
    score = np.concatenate([values[at] for (*_, values), at in zip(parts, rows, strict=True)])
    order = np.lexsort((place, kind, score, image))
    counts = np.bincount(image, minlength=found.n_images)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return {
        KINDS: list_array(pa.array(ISSUE_KINDS).take(pa.array(kind[order])), offsets),
        BOX_INDICES: list_array(pa.array(place[order].astype(np.int32)), offsets),
        BOX_SCORES: list_array(pa.array(score[order]), offsets),
    }

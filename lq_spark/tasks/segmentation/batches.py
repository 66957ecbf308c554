"""The batch functions of tables of images: Arrow arrays in, Arrow arrays out, no Spark session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from lq_spark.core.segmentation.blocks import LabelMask, Probabilities
from lq_spark.core.segmentation.issues import SegmentationModel, issue_mask, issue_pixels
from lq_spark.core.segmentation.pixels import doubtful_type, image_facts
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.segmentation.layout import ImageLayout
from lq_spark.tasks.shared.batches import require_usable
from lq_spark.tasks.shared.names import INVALID_REASON, IS_LABEL_ISSUE, LABEL_QUALITY

NUM_PIXEL_ISSUES, PIXEL_ISSUE_SHARE = "num_pixel_issues", "pixel_issue_share"
ISSUE_MASK, ISSUE_MASK_SHAPE = "issue_mask", "issue_mask_shape"
CLASS_SUMS, DOUBTFUL, IMAGE_SHAPE = "__lq_sums", "__lq_doubtful", "__lq_shape"
NUM_PIXELS = "__lq_pixels"

ALL_TIED = 1 << 62
"""Stands for all pixels at the cut, however many an image has."""

_TYPES: Mapping[str, tuple[DataType, pa.DataType]] = {
    LABEL_QUALITY: (DoubleType(), pa.float64()),
    INVALID_REASON: (StringType(), pa.string()),
    IS_LABEL_ISSUE: (BooleanType(), pa.bool_()),
    NUM_PIXEL_ISSUES: (LongType(), pa.int64()),
    PIXEL_ISSUE_SHARE: (DoubleType(), pa.float64()),
    ISSUE_MASK: (BinaryType(), pa.binary()),
    ISSUE_MASK_SHAPE: (ArrayType(IntegerType()), pa.list_(pa.int32())),
    CLASS_SUMS: (BinaryType(), pa.binary()),
    DOUBTFUL: (BinaryType(), pa.binary()),
    IMAGE_SHAPE: (ArrayType(IntegerType()), pa.list_(pa.int32())),
    NUM_PIXELS: (LongType(), pa.int64()),
}

FACTS = [LABEL_QUALITY, IMAGE_SHAPE, NUM_PIXELS, CLASS_SUMS, DOUBTFUL]
ISSUES = [
    IS_LABEL_ISSUE,
    NUM_PIXEL_ISSUES,
    PIXEL_ISSUE_SHARE,
    LABEL_QUALITY,
    ISSUE_MASK,
    ISSUE_MASK_SHAPE,
]


def image_schema(names: list[str]) -> StructType:
    """Return these columns of an image as a Spark struct."""
    return StructType([StructField(name, _TYPES[name][0]) for name in names])


ImageFunction = Callable[..., dict[str, Any]]
"""(mask, pred_probs, further inputs of its row) -> {new column: value}."""


def _image_batch(
    layout: ImageLayout, names: list[str], function: ImageFunction, *, fail: bool
) -> BatchFunction:
    """Return (columns of an image, further columns) -> the function's columns, of usable images.

    An image that cannot be scored gets nulls, or fails the batch.
    """
    n_own = (3 if layout.mask_is_binary else 1) + (3 if layout.probs_is_binary else 1)

    def run(*columns: pa.Array) -> dict[str, pa.Array]:
        others = [column.to_pylist() for column in columns[n_own:]]
        reasons, rows = [], []
        for i, image in enumerate(layout.images(columns[:n_own])):
            usable = not isinstance(image, str)
            reasons.append(None if usable else image)
            rows.append(function(*image, *(other[i] for other in others)) if usable else {})
        if fail and any(reasons):
            texts = np.array(reasons, dtype=object)
            require_usable(texts, layout.n_classes, "images", "segmentation")
        return _arrow(names, rows)

    return run


def _arrow(names: list[str], rows: list[dict[str, Any]]) -> dict[str, pa.Array]:
    return {name: pa.array([row.get(name) for row in rows], _TYPES[name][1]) for name in names}


def score_batch(layout: ImageLayout, temperature: float, *, fail: bool) -> BatchFunction:
    """Return (image) -> label_quality, the softmin of its pixels."""

    def score(mask: LabelMask, pred_probs: Probabilities) -> dict[str, Any]:
        return {LABEL_QUALITY: layout.softmin(mask, pred_probs, temperature)}

    return _image_batch(layout, [LABEL_QUALITY], score, fail=fail)


def facts_batch(layout: ImageLayout, temperature: float, *, fail: bool) -> BatchFunction:
    """Return (image) -> FACTS: what fitting and flagging need of it, much smaller than itself.

    ``__lq_sums`` holds int64 of shape (4, K): pixels of each class, those of the downsampled image,
    and the halves of their self-confidence. ``label_quality`` is the softmin, ``__lq_pixels`` how
    many pixels are not ignored.
    """
    facts = _facts(layout, temperature)
    return _image_batch(layout, FACTS, facts, fail=fail)


def _facts(layout: ImageLayout, temperature: float) -> ImageFunction:
    def facts(mask: LabelMask, pred_probs: Probabilities) -> dict[str, Any]:
        found = image_facts(
            mask,
            pred_probs,
            downsample=layout.downsample,
            tolerance=layout.tolerance,
            ignore_label=layout.ignore_label,
        )
        sums = [found.pixel_counts, found.sums.counts, found.sums.high, found.sums.low]
        return {
            LABEL_QUALITY: layout.softmin(mask, pred_probs, temperature),
            IMAGE_SHAPE: mask.shape,
            NUM_PIXELS: int(found.pixel_counts.sum()),
            CLASS_SUMS: np.stack(sums).astype("<i8").tobytes(),
            DOUBTFUL: found.doubtful.tobytes(),
        }

    return facts


def issues_batch(
    layout: ImageLayout,
    fitted: SegmentationModel,
    method: str,
    temperature: float,
    *,
    fail: bool,
) -> BatchFunction:
    """Return (image, pixels taken at the cut) -> ISSUES."""
    facts = _facts(layout, temperature)

    def issues(mask: LabelMask, pred_probs: Probabilities, n_tied: int) -> dict[str, Any]:
        return _issues(facts(mask, pred_probs), fitted, method, n_tied)

    return _image_batch(layout, ISSUES, issues, fail=fail)


def flags_batch(fitted: SegmentationModel, method: str) -> BatchFunction:
    """Return (label_quality, shape, pixels, doubtful ones, pixels taken at the cut) -> ISSUES."""

    def run(
        quality: pa.Array, shape: pa.Array, size: pa.Array, doubtful: pa.Array, n_tied: pa.Array
    ) -> dict[str, pa.Array]:
        names = (LABEL_QUALITY, IMAGE_SHAPE, NUM_PIXELS, DOUBTFUL)
        buffers = [pixels.as_buffer() for pixels in doubtful]
        facts = zip(
            *(values.to_pylist() for values in (quality, shape, size)), buffers, strict=True
        )
        rows = [
            _issues(dict(zip(names, each, strict=True)), fitted, method, n)
            for each, n in zip(facts, n_tied.to_pylist(), strict=True)
        ]
        return _arrow(ISSUES, rows)

    return run


def _issues(
    facts: dict[str, Any], fitted: SegmentationModel, method: str, n_tied: int
) -> dict[str, Any]:
    height, width = facts[IMAGE_SHAPE]
    doubtful = np.frombuffer(facts[DOUBTFUL], doubtful_type(fitted.downsample))
    chosen = issue_pixels(doubtful, fitted.cut, n_tied)
    mask = issue_mask(chosen, (height, width), fitted.downsample)
    n_issues = int(np.count_nonzero(mask))
    share = n_issues / max(facts[NUM_PIXELS], 1)
    return {
        IS_LABEL_ISSUE: n_issues > 0,
        NUM_PIXEL_ISSUES: n_issues,
        PIXEL_ISSUE_SHARE: share,
        LABEL_QUALITY: facts[LABEL_QUALITY] if method == "softmin" else 1.0 - share,
        ISSUE_MASK: mask.tobytes(),
        ISSUE_MASK_SHAPE: (height, width),
    }


def image_reason_batch(layout: ImageLayout) -> BatchFunction:
    """Return (image) -> invalid_reason."""

    def run(*columns: pa.Array) -> dict[str, pa.Array]:
        images = layout.images(columns)
        reasons = [image if isinstance(image, str) else None for image in images]
        return {INVALID_REASON: pa.array(reasons, pa.string())}

    return run

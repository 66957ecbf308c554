"""How images are read from the Arrow arrays of a batch, and why one cannot be scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lq_spark.core.segmentation.blocks import LabelMask, Probabilities
from lq_spark.core.segmentation.pixels import image_fault, self_confidence, softmin_score
from lq_spark.engine.tensors import FLOATS, INTEGERS, TensorFault, binary_tensor, nested_tensor
from lq_spark.tasks.shared.labels import FRACTIONAL_LABEL, LARGEST_WHOLE, NULL_LABEL
from lq_spark.tasks.shared.reasons import LABEL_REASONS

DIFFERENT_SHAPES = "label_mask and pred_probs differ in height or width"
WRONG_CLASSES = "pred_probs of another number of classes"
NOT_DIVISIBLE = "height or width not divisible by downsample"

_FAULT_TEXTS = {
    TensorFault.NULL: "null {name}",
    TensorFault.NULL_ELEMENT: "null in {name}",
    TensorFault.RAGGED: "{name} is no whole array of shape {shape}",
    TensorFault.SHAPE: "{name}_shape is no {shape}",
    TensorFault.DTYPE: "unknown {name}_dtype",
    TensorFault.LENGTH: "{name} has another number of bytes than its shape and dtype say",
}


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """How the images of a table are read, and when one cannot be scored."""

    mask_is_binary: bool
    probs_is_binary: bool
    n_classes: int
    downsample: int
    tolerance: float
    ignore_label: int | None = None

    def images(
        self, columns: tuple[pa.Array, ...]
    ) -> Iterator[tuple[LabelMask, Probabilities] | str]:
        """Yield (mask, pred_probs) of each image of a batch, or why it cannot be scored."""
        n_mask = 3 if self.mask_is_binary else 1
        n_probs = 3 if self.probs_is_binary else 1
        for row in range(len(columns[0])):
            mask = _tensor(columns[:n_mask], row, 2, (*INTEGERS, *FLOATS, "bool"))
            if self.mask_is_binary and not isinstance(mask, TensorFault):
                mask = _pixel_indices(mask)
            probs = _tensor(columns[n_mask : n_mask + n_probs], row, 3, FLOATS)
            yield self._fit(mask, probs)

    def _fit(
        self, mask: NDArray[Any] | TensorFault, probs: NDArray[Any] | TensorFault
    ) -> tuple[LabelMask, Probabilities] | str:
        if isinstance(mask, TensorFault):
            return _FAULT_TEXTS[mask].format(name="label_mask", shape="(H, W)")
        if isinstance(probs, TensorFault):
            return _FAULT_TEXTS[probs].format(name="pred_probs", shape="(K, H, W)")
        if len(probs) != self.n_classes:
            return WRONG_CLASSES
        if mask.shape != probs.shape[1:]:
            return DIFFERENT_SHAPES
        if mask.shape[0] % self.downsample or mask.shape[1] % self.downsample:
            return NOT_DIVISIBLE
        if mask.dtype.kind == "f":  # what pandas makes of whole numbers and nulls
            return _FAULT_TEXTS[TensorFault.NULL_ELEMENT].format(name="label_mask")
        options: dict[str, Any] = {"tolerance": self.tolerance, "ignore_label": self.ignore_label}
        fault = image_fault(mask, probs, **options)
        if fault is not None:  # of labels that are no whole number, or null, say so
            for label in (FRACTIONAL_LABEL, NULL_LABEL):
                where = np.argwhere(mask == label)
                if len(where):
                    return f"pixel {tuple(where[0].tolist())}: {LABEL_REASONS[label]}"
        return fault or (mask, probs)

    def softmin(self, mask: LabelMask, pred_probs: Probabilities, temperature: float) -> float:
        """Return the softmin of the pixels of an image that count."""
        confidence = self_confidence(mask, pred_probs, ignore_label=self.ignore_label)
        return softmin_score(confidence, temperature)


def _pixel_indices(mask: NDArray[Any]) -> NDArray[Any]:
    """Return a mask of whole numbers, as class indices, of one of any type of numbers."""
    if mask.dtype.kind == "b":
        return mask.view(np.uint8)
    if mask.dtype.kind != "f":
        return mask
    whole = np.isfinite(mask) & (np.floor(mask) == mask)
    clipped = np.clip(np.where(whole, mask, 0), -LARGEST_WHOLE, LARGEST_WHOLE).astype(np.int64)
    return np.where(whole, clipped, FRACTIONAL_LABEL)


def _tensor(
    columns: tuple[pa.Array, ...], row: int, ndim: int, allowed: tuple[str, ...]
) -> NDArray[Any] | TensorFault:
    if len(columns) == 1:
        return nested_tensor(columns[0], row, ndim)
    data, shapes, dtypes = columns
    return binary_tensor(data, shapes, dtypes, row, ndim=ndim, allowed=allowed)

"""Which pixels are label issues: as many as are confidently of another class, the least likely.

Pixels of all images are ordered by (self-confidence, image, row, column); of the lowest ones,
those whose given class is not the predicted one are issues.

Source: Lad, Mueller, "Estimating label quality and errors in semantic segmentation data via any
model" (2023), arXiv:2307.05080.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.joint import SparseMatrix, counted_pairs
from lq_spark.core.confident.thresholds import (
    ClassSums,
    Thresholds,
    finish_thresholds,
    merge_class_sums,
)
from lq_spark.core.segmentation.blocks import full_positions
from lq_spark.core.segmentation.pixels import AGREES, ImageFacts
from lq_spark.core.shared.constants import CONFIDENT_THRESHOLDS_LOWER_BOUND, FLOATING_POINT_SLACK
from lq_spark.core.shared.display import SmallTable
from lq_spark.core.shared.saved import Saved
from lq_spark.core.shared.selection import nth_lowest
from lq_spark.errors import DataError

Doubtful = NDArray[np.void]


@dataclass(frozen=True, slots=True, repr=False)
class SegmentationModel(Saved):
    """What the pixels of a data set say of their labels, frozen: thresholds, and where to cut.

    Attributes
    ----------
    thresholds : Thresholds
        Of each class the mean self-confidence of its pixels; of a class that never occurs 2e-6, so
        that each pixel predicted as it counts. With the pixels of each class.
    n_lowest : int
        How many pixels are confidently predicted as another class than given; as many of the
        lowest self-confidence are looked at.
    cut : float or None
        The self-confidence of the last of them; None where there is none.
    n_tied, n_taken : int
        How many pixels have the cut's self-confidence, and how many of these are looked at.
    downsample : int
        Side of the squares of pixels that were averaged.

    Examples
    --------
    >>> fitted = SegmentationModel(Thresholds((0.75, 0.5), (30, 10)), 4, 0.25, 2, 1)
    >>> SegmentationModel.from_json(fitted.to_json()) == fitted
    True
    """

    NOUN: ClassVar[str] = "segmentation_model"
    FORMAT_VERSION: ClassVar[int] = 1

    thresholds: Thresholds
    n_lowest: int
    cut: float | None
    n_tied: int = 0
    n_taken: int = 0
    downsample: int = 1

    @property
    def n_classes(self) -> int:
        """Return K."""
        return self.thresholds.n_classes

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": self.n_classes,
            "pixels": self.thresholds.n_rows,
            "candidate issues": self.n_lowest,
            "self-confidence up to": self.cut,
            "downsample": None if self.downsample == 1 else str(self.downsample),
        }

    def _tables(self) -> list[SmallTable]:
        return [self.thresholds._lowest("pixels")]

    def _content(self) -> dict[str, Any]:
        return {
            "thresholds": self.thresholds._content(),
            "n_lowest": self.n_lowest,
            "cut": self.cut,
            "n_tied": self.n_tied,
            "n_taken": self.n_taken,
            "downsample": self.downsample,
        }

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> SegmentationModel:
        names = ("n_lowest", "n_tied", "n_taken", "downsample")
        cls._require_keys(content, {"thresholds", "cut", *names})
        numbers = {name: content[name] for name in names}
        cut = content["cut"]
        is_cut = all(type(number) is int and number >= 0 for number in numbers.values())
        is_cut = is_cut and numbers["downsample"] >= 1 and isinstance(content["thresholds"], dict)
        if not is_cut or not (cut is None or isinstance(cut, float)):
            raise DataError(f"{cls.NOUN}: no cut of numbers of pixels, got {numbers}, {cut!r}")
        return cls(Thresholds._from_content(content["thresholds"]), cut=cut, **numbers)


def pixel_thresholds(sums: ClassSums) -> Thresholds:
    """Return the threshold of each class: the mean self-confidence of its pixels, at least 2e-6."""
    means = finish_thresholds(sums)
    means[sums.counts == 0] = CONFIDENT_THRESHOLDS_LOWER_BOUND
    return Thresholds(tuple(means.tolist()), tuple(sums.counts.tolist()))


def count_confident(doubtful: Doubtful, thresholds: NDArray[np.float64]) -> int:
    """Return how many pixels are confidently predicted as another class; adds up over images."""
    others = doubtful[doubtful["guess"] != AGREES]
    reached = others["highest"] >= thresholds[others["guess"]] - FLOATING_POINT_SLACK
    return int(np.count_nonzero(reached))


def fit_pixels(images: Sequence[ImageFacts], downsample: int = 1) -> SegmentationModel:
    """Return what all images say: the lowest pixels are found among the doubtful ones.

    All pixels predicted as another class are doubtful, so there are enough of them.
    """
    sums = functools.reduce(merge_class_sums, (image.sums for image in images))
    thresholds = pixel_thresholds(sums)
    n_lowest = sum(count_confident(image.doubtful, thresholds.as_array()) for image in images)
    if n_lowest == 0:
        return SegmentationModel(thresholds, 0, None, downsample=downsample)
    confidence = np.concatenate([image.doubtful["confidence"] for image in images])
    last = nth_lowest(confidence, n_lowest)
    return SegmentationModel(
        thresholds, n_lowest, last.value, last.count or 0, last.n, downsample=downsample
    )


def count_tied(doubtful: Doubtful, cut: float) -> int:
    """Return how many pixels have the very self-confidence of the cut."""
    return int(np.count_nonzero(doubtful["confidence"] == cut))


def issue_pixels(doubtful: Doubtful, cut: float | None, n_tied: int | None = None) -> Doubtful:
    """Return the doubtful pixels of an image that are among the lowest.

    Parameters
    ----------
    doubtful : structured ndarray
        Of :func:`lq_spark.core.segmentation.pixels.doubtful_type`.
    cut : float or None
        From a :class:`SegmentationModel`.
    n_tied : int, optional
        How many of the pixels at the cut are taken, the first ones; all where not given.
    """
    if cut is None:
        return doubtful[:0]
    taken = doubtful["confidence"] < cut
    taken[np.flatnonzero(doubtful["confidence"] == cut)[:n_tied]] = True
    return doubtful[taken]


def issue_mask(chosen: Doubtful, shape: tuple[int, int], downsample: int = 1) -> NDArray[np.bool_]:
    """Return which pixels of an image (H, W) are issues: chosen, and not predicted as given."""
    mask = np.zeros(shape, dtype=bool)
    pixels = full_positions(chosen["position"], shape[1], downsample)
    mask.reshape(-1)[pixels[chosen["given"] != chosen["predicted"]]] = True
    return mask


def count_issue_pairs(chosen: Doubtful, n_classes: int) -> SparseMatrix:
    """Return how many issue pixels there are of each pair (given, predicted) of classes."""
    differ = chosen["given"] != chosen["predicted"]
    given, predicted = chosen["given"][differ], chosen["predicted"][differ]
    return counted_pairs(n_classes, given.astype(np.int64), predicted.astype(np.int64))

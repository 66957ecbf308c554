"""Pairs of classes, given and predicted, of the pixels that have label issues.

Source: Lad, Mueller, "Estimating label quality and errors in semantic segmentation data via any
model" (2023), arXiv:2307.05080.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.confident.joint import counted_pairs
from lq_spark.core.segmentation.pixels import image_fault
from lq_spark.core.shared.checks import checked_class_names
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.core.shared.printed import print_tables
from lq_spark.errors import DataError, OptionError

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_TOP: Final = 20


def common_label_issues(
    issues: ArrayLike,
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    exclude: Collection[int] | None = None,
    top: int | None = None,
    verbose: bool = True,
    ignore_label: int | None = None,
) -> pd.DataFrame:
    """Return a table of the pairs of classes that most label issues are of.

    Parameters
    ----------
    issues : array-like of bool, shape (N, H, W)
        As from :func:`lq_spark.core.segmentation.find_label_issues`.
    labels, pred_probs, ignore_label
        As for :func:`lq_spark.core.segmentation.find_label_issues`.
    class_names : sequence of str, length K, optional
        Put into the table in place of class indices, which are texts, as in cleanlab.
    exclude : collection of int, optional
        Predicted classes whose issues do not count.
    top : int, optional
        How many pairs; 20 if None, as in cleanlab.
    verbose : bool
        Whether to print the table.

    Returns
    -------
    pandas.DataFrame
        "given_label", "predicted_label", "num_pixel_issues"; most issues first, equal ones in the
        order of the classes.

    Raises
    ------
    OptionError
        If class_names has another length than K.
    DataError
        If an image cannot be scored, or issues is no mask of the images.

    Examples
    --------
    >>> probs = np.array([[[[0.9, 0.8, 0.9, 0.2]], [[0.1, 0.2, 0.1, 0.8]]]])
    >>> issues = [[[False, False, True, False]]]
    >>> common_label_issues(issues, [[[0, 0, 1, 1]]], probs, verbose=False)
      given_label predicted_label  num_pixel_issues
    0           1               0                 1
    """
    import pandas as pd

    masks, probs = checked_images(labels, pred_probs, ignore_label)
    given, predicted = _classes_of(_checked_issues(issues, masks, ignore_label), masks, probs)
    indices = [str(k) for k in range(probs.shape[1])]
    names = checked_class_names(indices if class_names is None else class_names, probs.shape[1])
    pairs = counted_pairs(probs.shape[1], given, predicted)
    kept = np.flatnonzero(~np.isin(pairs.guess, list(exclude or ())))
    order = kept[np.argsort(-pairs.values[kept], kind="stable")]
    order = order[: DEFAULT_TOP if top is None else top]
    table = {"given_label": names[pairs.given[order]], "predicted_label": names[pairs.guess[order]]}
    found = pd.DataFrame({**table, "num_pixel_issues": pairs.values[order]})
    if verbose and len(found):
        print_tables({"Pairs of classes with most pixels": found})
    return found


def filter_by_class(
    class_index: int,
    issues: ArrayLike,
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    ignore_label: int | None = None,
) -> NDArray[np.bool_]:
    """Return the issues whose given or predicted class is this one, as a mask (N, H, W).

    Parameters and errors as for :func:`common_label_issues`.

    Examples
    --------
    >>> probs = np.array([[[[0.9, 0.8]], [[0.1, 0.2]], [[0.0, 0.0]]]])
    >>> filter_by_class(2, [[[True, True]]], [[[1, 2]]], probs)
    array([[[False,  True]]])
    """
    masks, probs = checked_images(labels, pred_probs, ignore_label)
    chosen = _checked_issues(issues, masks, ignore_label)
    given, predicted = _classes_of(chosen, masks, probs)
    chosen[chosen] = (given == class_index) | (predicted == class_index)
    return chosen


def require_ignore_label(ignore_label: int | None) -> None:
    """Raise OptionError unless ignore_label is a whole number or None."""
    is_whole = isinstance(ignore_label, (int, np.integer)) and not isinstance(ignore_label, bool)
    if not (ignore_label is None or is_whole):
        raise OptionError(f"ignore_label must be a whole number or None, got {ignore_label!r}")


def checked_images(
    labels: ArrayLike, pred_probs: ArrayLike, ignore_label: int | None = None
) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
    """Return labels (N, H, W) and pred_probs (N, K, H, W), or raise a DataError."""
    require_ignore_label(ignore_label)
    masks, probs = np.asarray(labels), np.asarray(pred_probs)
    if probs.ndim != 4 or probs.dtype.kind not in "fiu" or masks.dtype.kind not in "iu":
        raise DataError(
            "labels must be whole numbers of shape (N, H, W), pred_probs numbers of shape "
            f"(N, K, H, W); got {masks.dtype} {masks.shape} and {probs.dtype} {probs.shape}"
        )
    if masks.shape != (probs.shape[0], *probs.shape[2:]) or masks.size == 0 or probs.shape[1] < 2:
        raise DataError(
            f"labels of shape {masks.shape} do not fit pred_probs of shape {probs.shape}, "
            "or there are no pixels, or fewer than 2 classes"
        )
    probs = probs if probs.dtype.kind == "f" else probs.astype(np.float64)
    for i, (mask, image) in enumerate(zip(masks, probs, strict=True)):
        fault = image_fault(mask, image, tolerance=SUM_TOLERANCE, ignore_label=ignore_label)
        if fault:
            raise DataError(f"image {i}, {fault} (K = {probs.shape[1]} classes)")
    return masks, probs


def _checked_issues(
    issues: ArrayLike, masks: NDArray[np.integer], ignore_label: int | None
) -> NDArray[np.bool_]:
    """Return issues as a new mask without ignored pixels; raise DataError if it is none."""
    chosen = np.asarray(issues)
    if chosen.dtype != bool or chosen.shape != masks.shape:
        raise DataError(
            f"issues must be a mask of shape {masks.shape}, got {chosen.dtype} {chosen.shape}"
        )
    return chosen.copy() if ignore_label is None else chosen & (masks != ignore_label)


def _classes_of(
    chosen: NDArray[np.bool_], masks: NDArray[np.integer], probs: NDArray[np.floating]
) -> tuple[NDArray[np.integer], NDArray[np.intp]]:
    """Return the given and predicted classes of the chosen pixels, in order."""
    image, row, column = np.nonzero(chosen)
    return masks[chosen], probs[image, :, row, column].argmax(axis=1)

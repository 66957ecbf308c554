"""Label quality of images with a label a pixel, and which pixels are label issues.

Source: Lad, Mueller, "Estimating label quality and errors in semantic segmentation data via any
model" (2023), arXiv:2307.05080.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.segmentation.issues import count_tied, fit_pixels, issue_mask, issue_pixels
from lq_spark.core.segmentation.pixels import image_facts, self_confidence, softmin_score
from lq_spark.core.segmentation.summary import checked_images
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_scores
from lq_spark.core.shared.selection import lowest_first
from lq_spark.errors import OptionError, require_number, require_one_of, require_whole_number

IMAGE_METHODS: Final = ("softmin", "num_pixel_issues")

DEFAULT_TEMPERATURE: Final = 0.1


def find_label_issues(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    batch_size: int | None = None,
    n_jobs: int | None = None,
    verbose: bool = True,
    downsample: int = 1,
    ignore_label: int | None = None,
) -> NDArray[np.bool_]:
    """Return which pixels have a label issue.

    Parameters
    ----------
    labels : array-like of int, shape (N, H, W)
        Given class of each pixel, in 0..K-1.
    pred_probs : array-like of float, shape (N, K, H, W)
        Out-of-sample predicted probabilities.
    batch_size : int, optional
        At least 1; not used further, since an image is looked at by itself.
    n_jobs, verbose
        Not used; there for calls written for cleanlab.
    downsample : int
        Side of the squares of pixels to average first, labels as numbers; divides H and W. What is
        found of a square holds for all its pixels that are not predicted as labelled. Of a square
        that holds ignored pixels the others are averaged.
    ignore_label : int, optional
        Label of pixels that are left out, as if they were not there (255, say, of borders): none is
        an issue, and none counts. Any whole number; cleanlab has no such option.

    Returns
    -------
    ndarray of bool, shape (N, H, W)
        As many pixels as are confidently predicted as another class, those of the lowest
        self-confidence, of equal ones the first; without those predicted as labelled.

    Raises
    ------
    OptionError
        If downsample is no whole number that divides H and W, batch_size is below 1, or
        ignore_label is no whole number.
    DataError
        If the shapes differ, or an image cannot be scored.

    Notes
    -----
    The threshold of a class without pixels is 2e-6, as in cleanlab: each pixel predicted as such a
    class counts.

    Source: Lad and Mueller (2023).

    Examples
    --------
    >>> probs = np.array([[[[0.9, 0.8, 0.9, 0.2]], [[0.1, 0.2, 0.1, 0.8]]]])
    >>> find_label_issues([[[0, 0, 1, 1]]], probs)
    array([[[False, False,  True, False]]])
    """
    _require_batch_size(batch_size)
    masks, probs = checked_images(labels, pred_probs, ignore_label)
    require_downsample(downsample)
    if masks.shape[1] % downsample or masks.shape[2] % downsample:
        raise OptionError(
            f"downsample must divide height and width, got {downsample} for {masks.shape[1:]}"
        )
    facts = [
        image_facts(mask, image, downsample=downsample, ignore_label=ignore_label)
        for mask, image in zip(masks, probs, strict=True)
    ]
    fitted = fit_pixels(facts, downsample)
    issues = np.zeros(masks.shape, dtype=bool)
    left = fitted.n_taken
    for i, image in enumerate(facts):
        chosen = issue_pixels(image.doubtful, fitted.cut, left)
        issues[i] = issue_mask(chosen, masks.shape[1:], downsample)
        if fitted.cut is not None:
            left -= count_tied(chosen, fitted.cut)
    return issues


def get_label_quality_scores(
    labels: ArrayLike,
    pred_probs: ArrayLike,
    *,
    method: str = "softmin",
    batch_size: int | None = None,
    n_jobs: int | None = None,
    verbose: bool = True,
    temperature: float = DEFAULT_TEMPERATURE,
    downsample: int = 1,
    ignore_label: int | None = None,
) -> tuple[Float64, NDArray[np.floating]]:
    """Return the label quality of each image and of its pixels: 1 clean, 0 suspect.

    Parameters
    ----------
    labels, pred_probs, batch_size, n_jobs, verbose, downsample, ignore_label
        As for :func:`find_label_issues`; downsample goes with "num_pixel_issues" alone.
    method : {"softmin", "num_pixel_issues"}
        "softmin": the mean of the pixels' scores s, weighted by ``softmax((1 - s) / temperature)``.
        "num_pixel_issues": the share of pixels without a label issue.
    temperature : float
        Of "softmin": near 0 the minimum, towards infinity the mean.

    Returns
    -------
    ndarray of float64, shape (N,)
        Of the images, over the pixels that are not ignored; 1 for an image of ignored pixels alone.
    ndarray of float, shape (N, H, W)
        Of the pixels: their self-confidence; NaN for ignored ones.

    Raises
    ------
    OptionError
        If the method is unknown or an option is out of range or not for this method.
    DataError
        As :func:`find_label_issues`.

    Examples
    --------
    >>> probs = np.array([[[[0.75, 0.5]], [[0.25, 0.5]]]])
    >>> images, pixels = get_label_quality_scores([[[0, 1]]], probs, temperature=1e-3)
    >>> images, pixels
    (array([0.5]), array([[[0.75, 0.5 ]]]))
    """
    require_one_of("method", method, IMAGE_METHODS)
    _require_batch_size(batch_size)
    require_temperature(temperature)
    require_downsample(downsample)
    if method == "softmin" and downsample != 1:
        raise OptionError("downsample goes with method 'num_pixel_issues', not with 'softmin'")
    masks, probs = checked_images(labels, pred_probs, ignore_label)
    pixels = np.stack(
        [
            self_confidence(mask, image, ignore_label=ignore_label)
            for mask, image in zip(masks, probs, strict=True)
        ]
    )
    if method == "softmin":
        return np.array([softmin_score(image, temperature) for image in pixels]), pixels
    issues = find_label_issues(masks, probs, downsample=downsample, ignore_label=ignore_label)
    n_counted = np.count_nonzero(~np.isnan(pixels), axis=(1, 2))
    return 1.0 - issues.sum(axis=(1, 2)) / np.maximum(n_counted, 1), pixels


def issues_from_scores(
    image_scores: ArrayLike | None, pixel_scores: ArrayLike | None = None, threshold: float = 0.1
) -> NDArray[np.int64] | NDArray[np.bool_]:
    """Return what scores below a threshold.

    Parameters
    ----------
    image_scores : array-like of float, shape (N,)
        Label quality of the images; None only with pixel scores.
    pixel_scores : array-like of float, shape (N, H, W), optional
        Label quality of the pixels.
    threshold : float
        From 0 to 1; scores below it are issues, those equal to it are not.

    Returns
    -------
    ndarray of int64, or ndarray of bool
        With pixel scores a mask of the pixels, shape (N, H, W); else the positions of the images,
        lowest score first. cleanlab returns one image more, the first that is no issue.

    Raises
    ------
    OptionError
        If the threshold is no number from 0 to 1.
    DataError
        If the image scores are no numbers, and there are no pixel scores.

    Examples
    --------
    >>> issues_from_scores([0.5, 0.05, 0.02])
    array([2, 1])
    """
    require_number("threshold", threshold, 0.0, 1.0)
    if pixel_scores is not None:
        return np.asarray(np.asarray(pixel_scores) < threshold)
    scores = checked_scores("image_scores", image_scores)
    return lowest_first(np.flatnonzero(scores < threshold), scores)


def _require_batch_size(batch_size: int | None) -> None:
    if batch_size is not None and batch_size < 1:
        raise OptionError(f"batch_size must be None or at least 1, got {batch_size}")


def require_downsample(downsample: int) -> None:
    """Raise OptionError unless downsample is a whole number of at least 1."""
    require_whole_number("downsample", downsample, 1)


def require_temperature(temperature: float) -> None:
    """Raise OptionError unless the temperature is a number above 0."""
    require_number("temperature", temperature, 0.0, above=True)

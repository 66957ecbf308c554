"""The pixels of an image that count, in blocks, as they are or averaged over squares.

An image is walked in blocks of pixels, so that no copy of its probabilities is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK_ELEMENTS: Final = 1 << 17
"""Probabilities in one block of pixels."""

LabelMask = NDArray[np.integer]
Probabilities = NDArray[np.floating]
Pixels = tuple[NDArray[np.intp], LabelMask, Probabilities]
"""Positions (n,), row by row, labels (n,) and probabilities (K, n)."""


def pixel_blocks(
    mask: LabelMask, pred_probs: Probabilities, ignore_label: int | None
) -> Iterator[Pixels]:
    """Yield positions (n,), labels (n,) and probabilities (K, n) of the pixels that count."""
    labels, matrix = mask.reshape(-1), pred_probs.reshape(len(pred_probs), -1)
    step = max(1, BLOCK_ELEMENTS // len(matrix))
    for start in range(0, len(labels), step):
        given, block = labels[start : start + step], matrix[:, start : start + step]
        position = np.arange(start, start + len(given))
        counted = pixels_counted(given, ignore_label)
        if counted is not None:
            position, given, block = position[counted], given[counted], block[:, counted]
        if len(given):
            yield position, given, block


def pixels_counted(labels: LabelMask, ignore_label: int | None) -> NDArray[np.bool_] | None:
    """Return which pixels are not ignored; None where all count."""
    if ignore_label is None:
        return None
    counted = np.asarray(labels != ignore_label)
    return None if counted.all() else counted


def low_resolution(
    mask: LabelMask, pred_probs: Probabilities, size: int, ignore_label: int | None
) -> Iterator[Pixels]:
    """Yield positions, labels (n,) and probabilities (K, n) of the downsampled pixels, in order.

    Labels are averaged and rounded to even as numbers, probabilities averaged and normalised, as in
    cleanlab; both over the pixels of a square that are not ignored. A square of ignored pixels
    alone is left out.
    """
    if size == 1:
        yield from pixel_blocks(mask, pred_probs, ignore_label)
        return
    n_classes, _, width = pred_probs.shape
    step = max(1, BLOCK_ELEMENTS // (n_classes * width * size)) * size
    for start in range(0, len(mask), step):
        squares = mask[start : start + step].reshape(-1, size, width // size, size)
        counted = pixels_counted(squares, ignore_label)
        counts = np.full((len(squares), width // size), size * size)
        if counted is not None:
            counts = counted.sum(axis=(1, 3))
        # Sums of whole slices: several times as fast as a mean over the axes of the squares.
        sums = np.zeros((n_classes, *counts.shape))
        labels = np.zeros(counts.shape)
        for row, column in np.ndindex(size, size):
            here = True if counted is None else counted[:, row, :, column]
            part = pred_probs[:, start + row : start + step : size, column::size]
            np.add(sums, part, out=sums, where=here)
            np.add(labels, squares[:, row, :, column], out=labels, where=here)
        position, matrix = np.arange(counts.size), sums.reshape(n_classes, -1)
        if not counts.all():
            position = np.flatnonzero(counts)
            matrix = matrix[:, position]
        means = labels.reshape(-1)[position] / counts.reshape(-1)[position]
        position += start // size * (width // size)
        yield position, np.rint(means).astype(np.int64), matrix / matrix.sum(axis=0)


def full_positions(position: NDArray[np.integer], width: int, downsample: int) -> NDArray[np.intp]:
    """Return the positions of the d × d pixels of each one of a downsampled image, shape (n, d·d).

    ``width`` is that of the image as it is.

    >>> full_positions(np.array([3]), width=4, downsample=2)
    array([[10, 11, 14, 15]])
    """
    row, column = np.divmod(position.astype(np.intp), width // downsample)
    steps = np.arange(downsample)
    within = (steps[:, np.newaxis] * width + steps).reshape(-1)
    corner: NDArray[np.intp] = (row * width + column) * downsample
    return corner[:, np.newaxis] + within

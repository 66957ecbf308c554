"""Axis-parallel boxes: overlap and similarity of pairs, and pairs of boxes without a Python loop.

Boxes are arrays of shape (4, n): rows x1, y1, x2, y2. Sizes are in the units of the coordinates,
pixels as a rule.

Source: Tkachenko, Thyagarajan, Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images in
Object Detection Data" (2023), arXiv:2309.00832.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.segments import ranges

ALPHA: Final = 0.9
"""Weight of the overlap in a similarity; the rest is that of the distance."""

DISTANCE_FACTOR: Final = 0.1
"""How fast the similarity of centres falls with their distance, per unit of length."""

UNION_LOWER_BOUND: Final = 1e-6
"""Floor of the area of a union."""

MAX_PAIRS = 1 << 14
"""Pairs in one chunk, unless one box alone has more partners: arrays that fit the cache."""

SIDES: Final = np.concatenate([[0.0], 2.0 ** np.arange(-16, 17)])
"""Lower ends of the size classes of boxes: sides of a square of the same area, each twice the one
before, from 0 to 65,536 and beyond."""

Places = NDArray[np.int64]


def areas(boxes: Float64) -> Float64:
    """Return the area of each box, shape (n,).

    >>> areas(np.array([[0.0], [0.0], [4.0], [2.5]]))
    array([10.])
    """
    x1, y1, x2, y2 = boxes
    return np.asarray((x2 - x1) * (y2 - y1))


def size_classes(boxes: Float64) -> Places:
    """Return the size class of each box, shape (n,): its place in :data:`SIDES`.

    >>> SIDES[size_classes(np.array([[0.0, 0], [0, 0], [8, 1], [8, 0]]))]
    array([8., 0.])
    """
    return np.searchsorted(SIDES * SIDES, areas(boxes), side="right") - 1


def overlaps(a: Float64, b: Float64) -> Float64:
    """Return the intersection over union of pairs of boxes: 1 the same box, 0 disjoint.

    Boxes that touch have no intersection.

    Parameters
    ----------
    a, b : ndarray of float64, shape (4, p)
        The boxes of each pair.

    Examples
    --------
    >>> overlaps(np.array([[0.0], [0.0], [4.0], [1.0]]), np.array([[0.0], [0.0], [3.0], [1.0]]))
    array([0.75])
    """
    width = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    union = areas(a) + areas(b) - shared
    return np.asarray(shared / np.maximum(union, UNION_LOWER_BOUND))


def similarities(a: Float64, b: Float64, alpha: float = ALPHA) -> tuple[Float64, Float64]:
    """Return the similarity of pairs of boxes, 1 the same box, and their overlap.

    The similarity is ``alpha * overlap + (1 - alpha) * exp(-0.1 * distance of the centres)``; the
    exponential is rounded to a multiple of 2^-53, as in cleanlab, so that boxes more than about 370
    apart have a similarity of 0. Parameters as for :func:`overlaps`.

    Notes
    -----
    Source: Tkachenko et al. (2023), section 3.

    Examples
    --------
    >>> a, b = np.array([[0.0], [0.0], [4.0], [1.0]]), np.array([[9.0], [0.0], [13.0], [1.0]])
    >>> similarity, overlap = similarities(a, b)
    >>> similarity.round(4), overlap
    (array([0.0407]), array([0.]))
    """
    overlap = overlaps(a, b)
    dx = (a[0] + a[2]) / 2.0 - (b[0] + b[2]) / 2.0
    dy = (a[1] + a[3]) / 2.0 - (b[1] + b[3]) / 2.0
    with np.errstate(under="ignore"):
        far = 1.0 - np.exp(-DISTANCE_FACTOR * np.sqrt(dx * dx + dy * dy))
        return alpha * overlap + (1.0 - alpha) * (1.0 - far), overlap


def box_pairs(firsts: Places, counts: Places) -> Iterator[tuple[Places, Places]]:
    """Yield chunks of pairs (left, right): left box i with the boxes of a range on the right.

    The pairs of one left box are in one chunk, in ascending order.

    Parameters
    ----------
    firsts, counts : ndarray of int64, shape (n,)
        The range of box i is ``firsts[i]`` to ``firsts[i] + counts[i] - 1``.

    Examples
    --------
    >>> [(left, right)] = box_pairs(np.array([3, 0, 0]), np.array([2, 0, 1]))
    >>> left, right
    (array([0, 0, 2]), array([3, 4, 0]))
    """
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = int(ends[start] - counts[start])
        stop = max(start + 1, int(np.searchsorted(ends, done + MAX_PAIRS, side="right")))
        chunk = counts[start:stop]
        yield np.repeat(np.arange(start, stop), chunk), ranges(firsts[start:stop], chunk)
        start = stop

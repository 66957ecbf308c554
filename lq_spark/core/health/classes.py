"""How healthy each class is, and which classes are taken for each other, by a sparse joint.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 4 and appendix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.joint import SparseMatrix
from lq_spark.core.shared.blocks import Float64

_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class ClassHealth:
    """The health of each class, worst first: arrays of shape (K,).

    Attributes
    ----------
    class_index : ndarray of int64
    label_issues, inverse_label_issues : ndarray of int64
        Rows given this label that truly are of another class, and the reverse.
    label_noise, inverse_label_noise : ndarray of float64
        The same as shares of the rows given this label, and of the rows truly of this class.
    """

    class_index: NDArray[np.int64]
    label_issues: NDArray[np.int64]
    inverse_label_issues: NDArray[np.int64]
    label_noise: Float64
    inverse_label_noise: Float64


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pairs of classes by how often one is taken for the other, most first: arrays (m,)."""

    class_a: NDArray[np.int64]
    class_b: NDArray[np.int64]
    num_overlapping: NDArray[np.int64]
    joint_probability: Float64


def class_health(joint: SparseMatrix, n_rows: int) -> ClassHealth:
    """Return the health of each class by a joint of sum 1; equal ones in the order of classes."""
    n = joint.n_classes
    off = joint.given != joint.guess
    shares = [
        np.bincount(classes, weights=values, minlength=n)
        for classes, values in (
            (joint.given, joint.values),
            (joint.guess, joint.values),
            (joint.given[off], joint.values[off]),
            (joint.guess[off], joint.values[off]),
        )
    ]
    given, true, wrong, missed = shares
    noise = wrong / np.maximum(given, _EPSILON)
    inverse = missed / np.maximum(true, _EPSILON)
    order = np.argsort(-noise, kind="stable")
    return ClassHealth(
        order,
        np.rint(wrong * n_rows).astype(np.int64)[order],
        np.rint(missed * n_rows).astype(np.int64)[order],
        noise[order],
        inverse[order],
    )


def class_overlaps(joint: SparseMatrix, n_rows: int, *, asymmetric: bool = False) -> Overlaps:
    """Return the pairs of classes that overlap at all; equal ones in the order of classes.

    Symmetric: a < b, both directions together. Asymmetric: a is the given class, b the true one.
    """
    off = joint.given != joint.guess
    a, b = joint.given[off], joint.guess[off]
    values = np.asarray(joint.values[off], dtype=np.float64)
    if not asymmetric:
        keys = np.minimum(a, b) * joint.n_classes + np.maximum(a, b)
        pairs, places = np.unique(keys, return_inverse=True)
        values = np.bincount(places, weights=values, minlength=len(pairs)).astype(np.float64)
        a, b = pairs // joint.n_classes, pairs % joint.n_classes
    order = np.lexsort([b, a, -values])
    counts = np.rint(values * n_rows).astype(np.int64)
    return Overlaps(a[order], b[order], counts[order], values[order])

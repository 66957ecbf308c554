"""How healthy each class is, and which classes are taken for each other, by a sparse joint.

As arrays, and as pandas tables under cleanlab's column names.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 4 and appendix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.joint import SparseMatrix
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.display import Displayed, SmallTable, class_column, frame_table
from lq_spark.errors import require_ordered

if TYPE_CHECKING:
    import pandas as pd


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


@dataclass(frozen=True, eq=False, repr=False)
class DatasetHealth(Displayed):
    """The health of a data set.

    Attributes
    ----------
    overall_label_health_score : float
        Share of labels that are no confident label issue: 1 clean.
    classes_by_label_quality : pandas.DataFrame
        A row a class, worst first: see :func:`lq_spark.core.health.rank_classes_by_label_quality`.
    overlapping_classes : pandas.DataFrame
        A row a pair of classes that overlap at all, most first: see
        :func:`lq_spark.core.health.find_overlapping_classes`.
    """

    overall_label_health_score: float
    classes_by_label_quality: pd.DataFrame
    overlapping_classes: pd.DataFrame

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": len(self.classes_by_label_quality),
            "estimated issues": self.classes_by_label_quality["Label Issues"].sum(),
            "overlapping pairs": len(self.overlapping_classes),
            "health score": self.overall_label_health_score,
        }

    def _tables(self) -> list[SmallTable]:
        classes, pairs = self.classes_by_label_quality, self.overlapping_classes
        score = {"health score": [self.overall_label_health_score]}
        figures = {"estimated issues": "Label Issues", "label quality": "Label Quality Score"}
        ends = {"class": class_column(pairs, " A"), "and": class_column(pairs, " B")}
        rows = {"rows": "Num Overlapping Examples"}
        return [
            SmallTable("overall", score, {"health score": 1.0}),
            frame_table(
                "worst classes",
                classes,
                {"class": class_column(classes)},
                figures,
                {"label quality": 1.0},
            ),
            frame_table("most confused pairs", pairs, ends, rows, {"rows": None}),
        ]


def dataset_health(model: NoiseModel, *, asymmetric: bool = False) -> DatasetHealth:
    """Return the health of the data set that a model was computed from.

    The pairs that do not overlap are left out, so that K classes do not make K² / 2 rows.
    """
    return DatasetHealth(
        model.health_score,
        class_table(class_health(model.joint, model.n_rows), model.classes),
        overlap_table(
            class_overlaps(model.joint, model.n_rows, asymmetric=asymmetric), model.classes
        ),
    )


def class_table(health: ClassHealth, class_names: Sequence[str] | None) -> pd.DataFrame:
    """Return the health of classes as a table."""
    import pandas as pd

    columns: dict[str, Any] = {
        "Class Index": health.class_index,
        "Label Issues": health.label_issues,
        "Inverse Label Issues": health.inverse_label_issues,
        "Label Noise": health.label_noise,
        "Inverse Label Noise": health.inverse_label_noise,
        "Label Quality Score": 1.0 - health.label_noise,
    }
    if class_names is not None:
        require_ordered("class_names", class_names)
        columns = {"Class Name": np.asarray(class_names)[health.class_index], **columns}
    return pd.DataFrame(columns)


def overlap_table(overlaps: Overlaps, class_names: Sequence[str] | None) -> pd.DataFrame:
    """Return overlapping classes as a table."""
    import pandas as pd

    columns: dict[str, Any] = {
        "Class Index A": overlaps.class_a,
        "Class Index B": overlaps.class_b,
        "Num Overlapping Examples": overlaps.num_overlapping,
        "Joint Probability": overlaps.joint_probability,
    }
    if class_names is not None:
        require_ordered("class_names", class_names)
        names = np.asarray(class_names)
        columns = {
            "Class Name A": names[overlaps.class_a],
            "Class Name B": names[overlaps.class_b],
            **columns,
        }
    return pd.DataFrame(columns)

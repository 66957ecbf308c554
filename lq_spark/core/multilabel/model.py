"""What a table of label sets says of its label noise, frozen: saved, and applied to other rows.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.joint import calibrated, sparse, with_diagonal
from lq_spark.core.multilabel.cells import CellCounts
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import ABSENT_CLASS_THRESHOLD, TINY
from lq_spark.core.shared.display import N_SHOWN, SmallTable, names_at
from lq_spark.core.shared.saved import Saved
from lq_spark.core.shared.selection import lowest
from lq_spark.errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class MultilabelModel(Saved):
    """Thresholds and confident joints of K binary problems, one for each class.

    Attributes
    ----------
    thresholds : ndarray of float64, shape (K, 2)
        Confident thresholds of each class as absent and as present; 2.0 for a bit that no row had.
    class_counts : ndarray of int64, shape (K, 2)
        Rows not given the class, rows given it.
    confident_counts : ndarray of int64, shape (K, 2, 2)
        How many rows of given bit b are confidently of bit g; as counted, not calibrated.
    n_issue_rows : int
        Rows with a confident label issue in any class.
    classes : tuple of str, length K, or None
        Class names in the order of the probabilities, where labels are names.
    """

    NOUN: ClassVar[str] = "multilabel_model"
    FORMAT_VERSION: ClassVar[int] = 1

    thresholds: Float64
    class_counts: NDArray[np.int64]
    confident_counts: NDArray[np.int64]
    n_issue_rows: int
    classes: tuple[str, ...] | None = None

    @classmethod
    def of_counts(
        cls, thresholds: Float64, counts: CellCounts, classes: tuple[str, ...] | None = None
    ) -> MultilabelModel:
        """Return the model of thresholds (K, 2) and the cells counted with them."""
        return cls(thresholds, counts.class_counts, counts.confident, counts.n_issue_rows, classes)

    @property
    def n_classes(self) -> int:
        """Return K."""
        return len(self.thresholds)

    @property
    def n_rows(self) -> int:
        """Return how many rows the model was computed from."""
        return int(self.class_counts[0].sum())

    @property
    def confident_joint(self) -> NDArray[np.int64]:
        """Return the calibrated joints of counts (given bit, true bit), shape (K, 2, 2)."""
        return calibrated_joints(with_diagonals(self.confident_counts), self.class_counts)

    @property
    def joint(self) -> Float64:
        """Return the joint distributions (given bit, true bit), shape (K, 2, 2), each of sum 1."""
        joint = self.confident_joint
        return np.asarray(joint / np.maximum(joint.sum(axis=(1, 2), keepdims=True), TINY))

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": self.n_classes,
            "rows": self.n_rows if self.n_classes else 0,
            "with a label issue": self.n_issue_rows,
        }

    def _tables(self) -> list[SmallTable]:
        wrong, missing = self.confident_counts[:, 1, 0], self.confident_counts[:, 0, 1]
        places = lowest(-(wrong + missing), N_SHOWN)
        columns = {
            "class": names_at(self.classes, places),
            "given, confidently absent": wrong[places].tolist(),
            "not given, confidently present": missing[places].tolist(),
        }
        bars = dict.fromkeys(list(columns)[1:])
        return [SmallTable("most contradicted classes", columns, bars)]

    def _content(self) -> dict[str, Any]:
        return {
            "n_rows": self.n_rows,
            "n_issue_rows": self.n_issue_rows,
            "classes": self.classes,
            "class_counts": self.class_counts.tolist(),
            "thresholds": self.thresholds.tolist(),
            "confident_counts": self.confident_counts.tolist(),
        }

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> MultilabelModel:
        cls._require_keys(
            content, {"thresholds", "class_counts", "confident_counts", "n_issue_rows", "classes"}
        )
        named = content["classes"] is not None
        classes = cls._checked_list(content, "classes", (str,)) if named else None
        cls._checked_list(content, "thresholds", (list,))
        n = len(content["thresholds"] if classes is None else classes)
        thresholds = cls._array(content, "thresholds", (n, 2), "fi").astype(np.float64)
        if not (thresholds <= ABSENT_CLASS_THRESHOLD).all():
            raise DataError(f"{cls.NOUN}: 'thresholds' must lie in 0..1, or be 2 for an absent bit")
        return cls(
            thresholds,
            cls._array(content, "class_counts", (n, 2), "i"),
            cls._array(content, "confident_counts", (n, 2, 2), "i"),
            int(cls._array(content, "n_issue_rows", (), "i")),
            classes,
        )

    @classmethod
    def _array(
        cls, content: dict[str, Any], key: str, shape: tuple[int, ...], kinds: str
    ) -> NDArray[Any]:
        """Return numbers of at least 0 as an array; raise DataError if they are something else."""
        try:
            array = np.array(content[key])
        except ValueError:  # lists of different lengths
            array = np.array(None)
        if array.shape != shape or array.dtype.kind not in kinds or not (array >= 0).all():
            raise DataError(
                f"{cls.NOUN}: {key!r} must be numbers of at least 0 of shape {shape}, "
                f"got {content[key]!r:.80}"
            )
        return array


def with_diagonals(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts (K, 2, 2) with at least 1 on each diagonal."""
    return np.array([with_diagonal(sparse(matrix)).dense() for matrix in counts])


def calibrated_joints(joints: NDArray[Any], class_counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return joints (K, 2, 2) scaled so that the rows of class k sum to ``class_counts[k]``.

    Each by itself: see :func:`lq_spark.core.confident.joint.calibrated`.

    Examples
    --------
    >>> calibrated_joints(np.array([[[1, 1], [0, 3]]]), np.array([[4, 1]]))
    array([[[2, 2],
            [0, 1]]])
    """
    pairs = zip(joints, class_counts, strict=True)
    return np.array([calibrated(sparse(joint), counts).dense() for joint, counts in pairs])

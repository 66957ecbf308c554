"""What a data set says of its label noise, frozen: saved, and applied to rows seen later.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.joint import (
    COLLISION_RULES,
    SparseMatrix,
    calibrated,
    counted_pairs,
    with_diagonal,
)
from lq_spark.core.confident.latent import PY_METHODS, noise_matrices, prior
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import TINY
from lq_spark.core.shared.display import N_SHOWN, SmallTable, names_at
from lq_spark.core.shared.saved import Saved
from lq_spark.core.shared.selection import lowest
from lq_spark.errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class NoiseModel(Saved):
    """Class thresholds, confident joint and noise matrices of a data set.

    Attributes
    ----------
    thresholds : Thresholds
        With the class counts and class names.
    confident_counts : SparseMatrix
        How many rows of given class k are confidently of class j; as counted, not calibrated.
    n_label_issues : int
        Rows that are confidently of another class than the given one, and not predicted as given.
    collision_rule : str
        Which class a row counts for that reaches several thresholds:
        :data:`lq_spark.core.confident.joint.COLLISION_RULES`.

    Notes
    -----
    The K × K arrays are made when asked for; what is kept and saved are the pairs that occur.
    """

    NOUN: ClassVar[str] = "noise_model"
    FORMAT_VERSION: ClassVar[int] = 1

    thresholds: Thresholds
    confident_counts: SparseMatrix
    n_label_issues: int
    collision_rule: str = "highest_of_all"

    @property
    def n_classes(self) -> int:
        """Return K."""
        return self.thresholds.n_classes

    @property
    def n_rows(self) -> int:
        """Return how many rows the model was computed from."""
        return self.thresholds.n_rows

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Return the class names in the order of the probabilities, where labels are names."""
        return self.thresholds.classes

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """Return the rows of each given class, shape (K,)."""
        return np.array(self.thresholds.class_counts, dtype=np.int64)

    def calibrated_joint(self, class_counts: NDArray[np.int64] | None = None) -> SparseMatrix:
        """Return the joint (given, true) whose row k sums to ``class_counts[k]``.

        ``class_counts``, shape (K,), are those of the model's own rows where not given.
        """
        counts = self.class_counts if class_counts is None else class_counts
        return calibrated(with_diagonal(self.confident_counts), counts)

    @property
    def joint(self) -> SparseMatrix:
        """Return the joint distribution (given, true) of the labels; sums to 1."""
        counts = self.calibrated_joint()
        shares = counts.values / max(counts.values.sum(), TINY)
        return SparseMatrix(counts.n_classes, counts.given, counts.guess, shares)

    @property
    def health_score(self) -> float:
        """Return the share of labels that are no confident label issue: 1 clean."""
        return 1.0 - self.n_label_issues / self.n_rows

    @property
    def confident_joint(self) -> NDArray[np.int64]:
        """Return the calibrated joint of counts (given, true), shape (K, K)."""
        return self.calibrated_joint().dense()

    @property
    def noise_matrix(self) -> Float64:
        """Return P(given | true), shape (K, K): a row for each given label; columns sum to 1."""
        return self._noise_matrices()[0]

    @property
    def inverse_noise_matrix(self) -> Float64:
        """Return P(true | given), shape (K, K): a row for each true label; columns sum to 1."""
        return self._noise_matrices()[1]

    @property
    def prior(self) -> Float64:
        """Return the estimated share of each true label, shape (K,); sums to 1."""
        joint = self.confident_joint.astype(np.float64)
        return prior(
            PY_METHODS["cnt"](self.class_counts / self.n_rows, *noise_matrices(joint), joint)
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": self.n_classes,
            "rows": self.n_rows,
            "label issues": self.n_label_issues,
            "health score": self.health_score if self.n_rows else None,
        }

    def _tables(self) -> list[SmallTable]:
        counts = self.confident_counts
        other = np.flatnonzero(counts.given != counts.guess)
        most = other[lowest(-counts.values[other], N_SHOWN)]
        columns = {
            "given": names_at(self.classes, counts.given[most]),
            "confidently": names_at(self.classes, counts.guess[most]),
            "rows": counts.values[most].tolist(),
        }
        pairs = SmallTable("most confused pairs", columns, {"rows": None})
        return [pairs, *self.thresholds._tables()]

    def _noise_matrices(self) -> tuple[Float64, Float64]:
        return noise_matrices(self.confident_joint.astype(np.float64))

    def _content(self) -> dict[str, Any]:
        counts = self.confident_counts
        return {
            "collision_rule": self.collision_rule,
            "n_label_issues": self.n_label_issues,
            "thresholds": self.thresholds._content(),
            "confident_counts": {
                "given": counts.given.tolist(),
                "guess": counts.guess.tolist(),
                "count": counts.values.tolist(),
            },
        }

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> NoiseModel:
        cls._require_keys(
            content, {"collision_rule", "n_label_issues", "thresholds", "confident_counts"}
        )
        thresholds, pairs = content["thresholds"], content["confident_counts"]
        rule, n_label_issues = content["collision_rule"], content["n_label_issues"]
        if not (isinstance(thresholds, dict) and isinstance(pairs, dict)):
            raise DataError(f"{cls.NOUN}: 'thresholds' and 'confident_counts' must be objects")
        is_number = type(n_label_issues) is int and n_label_issues >= 0
        if not isinstance(rule, str) or rule not in COLLISION_RULES or not is_number:
            raise DataError(
                f"{cls.NOUN}: collision_rule is {rule!r}, n_label_issues {n_label_issues!r}"
            )
        cls._require_keys(pairs, {"given", "guess", "count"})
        fitted = Thresholds._from_content(thresholds)
        lists = [cls._checked_list(pairs, key, (int,)) for key in ("given", "guess", "count")]
        if any(not 0 <= number < 1 << 63 for numbers in lists for number in numbers):
            raise DataError(f"{cls.NOUN}: 'confident_counts' are no counts of pairs of classes")
        given, guess, count = (np.array(numbers, dtype=np.int64) for numbers in lists)
        in_range = all((classes < fitted.n_classes).all() for classes in (given, guess))
        if not len(given) == len(guess) == len(count) or not in_range:
            raise DataError(f"{cls.NOUN}: 'confident_counts' are no counts of pairs of classes")
        counts = counted_pairs(fitted.n_classes, given, guess, count)
        return cls(fitted, counts, n_label_issues, rule)

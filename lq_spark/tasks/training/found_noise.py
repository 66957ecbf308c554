"""The label issues of rows with probabilities, and the noise that they are found under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.confident.joint import SparseMatrix
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.training.noise import (
    MIN_EXAMPLES_PER_CLASS,
    LabelNoise,
    checked_thresholds,
    label_noise,
    positive_unlabeled,
    told_matrix,
)
from lq_spark.engine.verbs import select
from lq_spark.errors import OptionError, require_one_of
from lq_spark.tasks.multiclass.issues import fit, issues_with_noise
from lq_spark.tasks.multiclass.thresholds import fit_thresholds
from lq_spark.tasks.shared.class_counts import checked_labels, class_counts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ISSUE_OPTIONS = (
    *("filter_by", "frac_noise", "num_to_remove_per_class", "min_examples_per_class"),
    "collision_rule",
)
"""Options of :func:`lq_spark.multiclass.find_issues` that say which rows are issues."""

QUALITY_OPTIONS = ("method", "adjust_pred_probs")
"""Those of the label quality."""


def checked_options(
    option: str, given: Mapping[str, Any] | None, allowed: Sequence[str]
) -> dict[str, Any]:
    """Return options of the caller; raise OptionError if one is not allowed."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise OptionError(f"{option} must be a mapping of options, got {given!r}")
    for name in given:
        require_one_of(f"a name in {option}", name, allowed)
    return dict(given)


@dataclass(frozen=True)
class FoundNoise:
    """The table with its label issues, and the noise that they were found under.

    Attributes
    ----------
    issues : DataFrame
    model : NoiseModel
    joint : SparseMatrix
        Counts (given, true), which say how many rows were pruned.
    noise : LabelNoise
        That of the model, or as it was given.
    """

    issues: DataFrame
    model: NoiseModel
    joint: SparseMatrix
    noise: LabelNoise


class NoiseFigures:
    """The noise that label issues were found under last; None before."""

    _found: FoundNoise | None = None

    @property
    def noise_model(self) -> NoiseModel | None:
        """Return what the last table says of its noise; it can be saved."""
        return None if self._found is None else self._found.model

    @property
    def py(self) -> NDArray[np.float64] | None:
        """Return the estimated share of each true label, shape (K,)."""
        return None if self._found is None else self._found.noise.py

    @property
    def noise_matrix(self) -> NDArray[np.float64] | None:
        """Return P(given | true), shape (K, K)."""
        return None if self._found is None else self._found.noise.noise_matrix

    @property
    def inverse_noise_matrix(self) -> NDArray[np.float64] | None:
        """Return P(true | given), shape (K, K)."""
        return None if self._found is None else self._found.noise.inverse_noise_matrix

    @property
    def confident_joint(self) -> NDArray[np.int64] | None:
        """Return the counts (given, true), shape (K, K), by which rows were pruned."""
        return None if self._found is None else self._found.joint.dense()


@dataclass(frozen=True)
class Told:
    """What a caller knows of the noise.

    Attributes
    ----------
    thresholds : Thresholds, array-like of float, shape (K,), or None
        By which the confident joint is counted.
    noise_matrix, inverse_noise_matrix : ndarray of float64, shape (K, K), or None
    pulearning : int or None
        The class, of two, whose given labels are all right.
    """

    thresholds: Thresholds | ArrayLike | None
    noise_matrix: Float64 | None
    inverse_noise_matrix: Float64 | None
    pulearning: int | None

    def require_of_labels(self, df: DataFrame, label: str, classes: Sequence[str] | None) -> None:
        """Raise OptionError if it is of another number of classes than the labels of a table."""
        given = (self.thresholds, self.noise_matrix, self.inverse_noise_matrix, self.pulearning)
        if any(one is not None for one in given):
            labels = checked_labels(df, label, classes, None)
            counts = class_counts(
                select(df, label), labels, fail=True, validate="training.validate"
            )
            self.require_of(len(counts))

    def require_of(self, n_classes: int) -> None:
        """Raise OptionError if it is of another K."""
        told_matrix("noise_matrix", self.noise_matrix, n_classes)
        told_matrix("inverse_noise_matrix", self.inverse_noise_matrix, n_classes)
        if self.pulearning is not None and n_classes != 2:
            raise OptionError(f"pulearning is given, and there are K = {n_classes} classes")
        if self.thresholds is not None:
            self.thresholds_of(n_classes)

    def thresholds_of(self, n_classes: int) -> tuple[float, ...]:
        """Return the thresholds; raise OptionError if they are of another K."""
        if not isinstance(self.thresholds, Thresholds):
            return checked_thresholds(self.thresholds, n_classes)  # type: ignore[arg-type]
        if self.thresholds.n_classes != n_classes:
            raise OptionError(
                f"thresholds has K = {self.thresholds.n_classes} classes, the table has "
                f"K = {n_classes}"
            )
        return self.thresholds.values


def found_noise(
    df: DataFrame,
    *,
    id: str,
    label: str,
    pred_probs: str,
    classes: Sequence[str] | None,
    told: Told,
    converge: bool,
    options: Mapping[str, Any],
) -> FoundNoise:
    """Return the table with its issues and their noise; ``options`` are those of the issues."""
    columns: dict[str, Any] = {"label": label, "pred_probs": pred_probs, "classes": classes}
    counted_by = None
    if told.thresholds is not None or told.pulearning is not None:
        counted_by = _counted_by(df, columns, told)
    issues, counted = issues_with_noise(
        df,
        id=id,
        **columns,
        **{"min_examples_per_class": MIN_EXAMPLES_PER_CLASS, **options},
        joint=None if counted_by is None else _joint(counted_by, told.pulearning),
        count=True,
    )
    model: Any = counted_by or counted
    told.require_of(model.n_classes)
    noise = label_noise(
        model,
        noise_matrix=told.noise_matrix,
        inverse_noise_matrix=told.inverse_noise_matrix,
        converge=converge,
        pulearning=told.pulearning,
    )
    return FoundNoise(issues, model, _joint(model, told.pulearning), noise)


def _joint(model: NoiseModel, pulearning: int | None) -> SparseMatrix:
    joint = model.calibrated_joint()
    return joint if pulearning is None else positive_unlabeled(joint, pulearning)


def _counted_by(df: DataFrame, columns: dict[str, Any], told: Told) -> NoiseModel:
    """Return what a table says of its noise by the thresholds that it is told, or its own."""
    given = fit_thresholds(df, **columns)
    told.require_of(given.n_classes)
    if told.thresholds is not None:
        given = replace(given, values=told.thresholds_of(given.n_classes))
    return fit(df, **columns, thresholds=given)

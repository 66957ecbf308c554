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
    checked_noise_matrix,
    checked_thresholds,
    label_noise,
    positive_unlabeled,
)
from lq_spark.errors import OptionError, require_one_of
from lq_spark.tasks.multiclass.issues import fit, issues_with_noise
from lq_spark.tasks.multiclass.thresholds import fit_thresholds

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


def found_noise(
    df: DataFrame,
    *,
    id: str,
    label: str,
    pred_probs: str,
    classes: Sequence[str] | None,
    thresholds: Thresholds | ArrayLike | None,
    noise_matrix: Float64 | None,
    inverse_noise_matrix: Float64 | None,
    converge: bool,
    pulearning: int | None,
    options: Mapping[str, Any],
) -> FoundNoise:
    """Return the table with its issues and their noise; ``options`` are those of the issues."""
    columns: dict[str, Any] = {"label": label, "pred_probs": pred_probs, "classes": classes}
    told = None
    if thresholds is not None or pulearning is not None:
        told = _told(df, columns, thresholds, pulearning)
    issues, counted = issues_with_noise(
        df,
        id=id,
        **columns,
        **{"min_examples_per_class": MIN_EXAMPLES_PER_CLASS, **options},
        joint=None if told is None else _joint(told, pulearning),
        count=True,
    )
    model: Any = told or counted
    for name, matrix in (
        ("noise_matrix", noise_matrix),
        ("inverse_noise_matrix", inverse_noise_matrix),
    ):
        checked_noise_matrix(name, matrix, model.n_classes)
    noise = label_noise(
        model,
        noise_matrix=noise_matrix,
        inverse_noise_matrix=inverse_noise_matrix,
        converge=converge,
        pulearning=pulearning,
    )
    return FoundNoise(issues, model, _joint(model, pulearning), noise)


def _joint(model: NoiseModel, pulearning: int | None) -> SparseMatrix:
    joint = model.calibrated_joint()
    return joint if pulearning is None else positive_unlabeled(joint, pulearning)


def _told(
    df: DataFrame,
    columns: dict[str, Any],
    thresholds: Thresholds | ArrayLike | None,
    pulearning: int | None,
) -> NoiseModel:
    """Return what a table says of its noise by thresholds; of two classes, if one is sure."""
    own = fit_thresholds(df, **columns)
    if pulearning is not None and own.n_classes != 2:
        raise OptionError(f"pulearning is given, and there are K = {own.n_classes} classes")
    given = own if thresholds is None else thresholds
    if not isinstance(given, Thresholds):
        given = replace(own, values=checked_thresholds(given, own.n_classes))
    return fit(df, **columns, thresholds=given)

"""The label issues of rows with probabilities, and the noise that they are found under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

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
from lq_spark.errors import OptionError
from lq_spark.tasks.multiclass.issues import fit, issues_with_noise
from lq_spark.tasks.multiclass.thresholds import fit_thresholds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class FoundNoise:
    """The table with its label issues, and the noise that they were found under.

    Attributes
    ----------
    issues : DataFrame
    model : NoiseModel
    noise : LabelNoise
        That of the model, or as it was given.
    """

    issues: DataFrame
    model: NoiseModel
    noise: LabelNoise


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
    fitted = None
    if thresholds is not None or pulearning is not None:
        fitted = _fitted(df, columns, thresholds, pulearning)
    issues, counted = issues_with_noise(
        df,
        id=id,
        **columns,
        **{"min_examples_per_class": MIN_EXAMPLES_PER_CLASS, **options},
        fitted=fitted,
        count=True,
    )
    model: Any = fitted or counted
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
    return FoundNoise(issues, model, noise)


def _fitted(
    df: DataFrame,
    columns: dict[str, Any],
    thresholds: Thresholds | ArrayLike | None,
    pulearning: int | None,
) -> NoiseModel:
    """Return what a table says of its noise, as told by thresholds or a class without any.

    Its own thresholds stay those of scores and of rules that do without a joint.
    """
    own = fit_thresholds(df, **columns)
    if pulearning is not None and own.n_classes != 2:
        raise OptionError(f"pulearning is given, and there are K = {own.n_classes} classes")
    given = thresholds
    if given is not None and not isinstance(given, Thresholds):
        given = replace(own, values=checked_thresholds(given, own.n_classes))
    model = replace(fit(df, **columns, thresholds=given or own), thresholds=own)
    return model if pulearning is None else positive_unlabeled(model, pulearning)

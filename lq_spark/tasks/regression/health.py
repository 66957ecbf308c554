"""A few numbers of the health of a table of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lq_spark.core.regression.api import is_usable
from lq_spark.core.regression.moments import r_squared
from lq_spark.core.regression.outre import EXACT_UP_TO
from lq_spark.core.regression.plane import Plane, merge_planes, partial_plane
from lq_spark.core.regression.rules import QUANTILES, n_issues
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.engine.inputs import columns_alone
from lq_spark.engine.numbers import values_of
from lq_spark.engine.readings import Input
from lq_spark.engine.reductions import Reduced, Reduction, Reductions, unwritten
from lq_spark.engine.verbs import select_inputs
from lq_spark.tasks.regression.columns import RegressionTable, regression_table
from lq_spark.tasks.regression.issues import find_issues
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.order_statistics import first_counts, nth_lowest
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.sums import score_sums

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, repr=False)
class RegressionHealth(Displayed):
    """What the labels and predictions of a table have in common.

    Attributes
    ----------
    n_rows, n_label_issues : int
    mean_label_quality : float or None
        None, as the other numbers, where there are no rows.
    r_squared : float or None
        The share of the labels' variance that the predictions explain; None if they have none.
    mean_residual, rms_residual : float or None
        Mean and root mean square of prediction minus label.
    residual_quantiles : mapping of float to float
        For each share of :data:`~lq_spark.core.regression.rules.QUANTILES` the lowest residual
        that at least that share of rows does not exceed.
    """

    n_rows: int
    n_label_issues: int
    mean_label_quality: float | None
    r_squared: float | None
    mean_residual: float | None
    rms_residual: float | None
    residual_quantiles: Mapping[float, float]

    @property
    def issue_rate(self) -> float | None:
        """Return the share of rows that are label issues."""
        return self.n_label_issues / self.n_rows if self.n_rows else None

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "label issues": self.n_label_issues,
            "mean label quality": self.mean_label_quality,
            "R²": self.r_squared,
            "RMS residual": self.rms_residual,
        }

    def _tables(self) -> list[SmallTable]:
        quantiles = self.residual_quantiles
        overall = {"mean label quality": [self.mean_label_quality], "R²": [self.r_squared]}
        residuals = {"share of rows": list(quantiles), "residual up to": list(quantiles.values())}
        return [
            SmallTable("overall", overall, dict.fromkeys(overall, 1.0)),
            SmallTable("residuals", residuals),
        ]


def summarize(
    df: DataFrame,
    *,
    id: str = "id",
    label: str = "label",
    prediction: str = "prediction",
    method: str = "outre",
    uncertainty: str | float | None = None,
    threshold: float | None = None,
    frac_issues: float | None = None,
    exact_up_to: int = EXACT_UP_TO,
) -> RegressionHealth:
    """Return the health of a table of numbers: its issues, mean quality and residuals.

    All exact, whatever the partitions.

    Parameters
    ----------
    df, id, label, prediction, method, uncertainty, threshold, frac_issues, exact_up_to
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "regression.summarize")
    named = [id, label, prediction, *([uncertainty] if isinstance(uncertainty, str) else [])]
    found = find_issues(
        columns_alone(df, named),
        id=id,
        label=label,
        prediction=prediction,
        method=method,
        uncertainty=uncertainty,
        threshold=threshold,
        frac_issues=frac_issues,
        exact_up_to=exact_up_to,
    )
    table = regression_table(found, label=label, prediction=PREDICTED_LABEL)
    return health_of(unwritten(found, health_reductions(table)), table)


def health_reductions(table: RegressionTable) -> Reductions:
    """Return what is summed up of rows with issues, as they are written, for their health."""
    numbers = _numbers_of(table)
    return {
        "scores": score_sums(LABEL_QUALITY, IS_LABEL_ISSUE),
        "plane": Reduction(numbers, _partial_plane, _merged_planes),
        "residuals": first_counts(numbers, _residuals),
    }


def health_of(found: Reduced, table: RegressionTable) -> RegressionHealth:
    """Return the health of rows with issues, reduced by :func:`health_reductions`."""
    sums, plane, counts = (found.states[name] for name in ("scores", "plane", "residuals"))
    if sums is None or not sums.n:
        return RegressionHealth(0, 0, None, None, None, None, {})
    ranks = [max(1, n_issues(sums.n, share)) for share in QUANTILES]
    numbers = select_inputs(found.rows, **_numbers_of(table))
    residuals = nth_lowest(numbers, _residuals, ranks, counts)
    return RegressionHealth(
        sums.n,
        sums.n_issues,
        sums.mean,
        r_squared(plane.labels, plane.residuals),
        plane.residuals.mean,
        plane.residuals.rms,
        {q: found.value for q, found in zip(QUANTILES, residuals, strict=True)},
    )


def _numbers_of(table: RegressionTable) -> dict[str, Input]:
    return dict(zip(("label", "prediction"), table.inputs, strict=True))


def _usable(batch: pa.RecordBatch) -> tuple[Float64, Float64]:
    """Return the labels and predictions of the rows that can be scored."""
    labels, predictions = (values_of(column, np.nan) for column in batch.columns)
    usable = is_usable(labels, predictions)
    return (labels, predictions) if usable.all() else (labels[usable], predictions[usable])


def _partial_plane(batch: pa.RecordBatch) -> Plane | None:
    labels, predictions = _usable(batch)
    return partial_plane(labels, predictions) if len(labels) else None


def _merged_planes(a: Plane | None, b: Plane | None) -> Plane | None:
    return merge_planes(a, b) if a and b else a or b


def _residuals(batch: pa.RecordBatch) -> Float64:
    labels, predictions = _usable(batch)
    return predictions - labels

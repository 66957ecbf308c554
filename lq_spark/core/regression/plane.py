"""The plane of the OUTRE score: rows as points, and how far each lies from its nearest half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.regression.moments import Moments, merge_moments, partial_moments
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import DataError

RESIDUAL_WEIGHT: Final = 5.0
"""How much a residual weighs against a label, both in units of their standard deviation."""

MEDIAN_FLOOR: Final = 1e-6
"""Floor of the median distance."""

ON_THE_SPOT: Final = 10.0 * float(np.sqrt(np.finfo(np.float64).eps))
"""A row with a lower mean distance than this, 1.5e-7, has the score 1."""


@dataclass(frozen=True, slots=True)
class Plane:
    """What standardizes rows: the moments of their labels and of their residuals."""

    labels: Moments
    residuals: Moments

    def points(self, labels: Float64, predictions: Float64) -> tuple[Float64, Float64]:
        """Return rows as points (x, y)."""
        return self.x(labels), self.y(predictions - labels)

    def x(self, labels: Float64) -> Float64:
        """Return standardized labels."""
        return _standardized(labels, self.labels)

    def y(self, residuals: Float64) -> Float64:
        """Return standardized residuals with their weight."""
        return RESIDUAL_WEIGHT * _standardized(residuals, self.residuals)


def partial_plane(labels: Float64, predictions: Float64) -> Plane:
    """Return the state of a batch of rows, at least one."""
    return Plane(partial_moments(labels), partial_moments(predictions - labels))


def merge_planes(a: Plane, b: Plane) -> Plane:
    """Return the state of the rows of ``a`` and ``b`` together."""
    return Plane(merge_moments(a.labels, b.labels), merge_moments(a.residuals, b.residuals))


class Distances(Protocol):
    """The mean distance of each row of a data set to its nearest half."""

    @property
    def median(self) -> float:
        """Return the median of these distances."""

    def of(self, labels: Float64, predictions: Float64) -> Float64:
        """Return the distances of rows of the data set."""


def deviations(distances: Distances, labels: Float64, predictions: Float64) -> Float64:
    """Return the distances of rows in units of the median one."""
    own = distances.of(labels, predictions)
    return np.where(own < ON_THE_SPOT, 0.0, own / max(distances.median, MEDIAN_FLOOR))


def require_known(is_known: NDArray[np.bool_]) -> None:
    """Raise DataError unless each row was there when the distances were fitted."""
    if not is_known.all():
        raise DataError(
            f"{np.count_nonzero(~is_known)} rows were not there when the table was read before: "
            "it gives other rows each time; write it down, or cache it, and score that"
        )


def _standardized(values: Float64, moments: Moments) -> Float64:
    # With cleanlab's 1e-100 in the denominator, numbers near it would vanish.
    return (values - moments.mean) / (moments.std or 1.0)

"""The OUTRE score: how far a row's label and residual lie from those of the other rows.

A row is a point of a plane: its standardized label, and its standardized residual times 5. Its
distance is the mean one to the nearest half of all rows, itself included; its deviation is that
distance in units of the median one, its score exp(-deviation).

Source: Zhou, Mueller, Kumar, Wang, Lei, "Detecting Errors in Numerical Data via any Regression
Model", DMLR (2024), arXiv:2305.16583; the constants are cleanlab's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.regression.grid import CellSums, Grid, partial_cell_sums
from lq_spark.core.regression.neighborhoods import Cloud, mean_distances
from lq_spark.core.regression.outre_grid import fit_cells
from lq_spark.core.regression.plane import Distances, Plane, partial_plane, require_known
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import OptionError

EXACT_UP_TO: Final = 50_000
"""Rows up to which each is compared with each other one, by default: 2.5e9 pairs, 15 seconds of
one core. Beyond, see :mod:`lq_spark.core.regression.outre_grid`."""


class Rows(Protocol):
    """What is asked of a data set, wherever its rows are. Each answer is one pass over them."""

    def plane(self) -> Plane:
        """Return the moments of all rows."""

    def points(self) -> tuple[Float64, Float64]:
        """Return the labels and predictions of all rows, in any order: only if they are few."""

    def cell_sums(self, plane: Plane, cells: Grid) -> CellSums:
        """Return how many rows each cell holds, and where."""

    def measure(self, cloud: Cloud) -> Float64:
        """Return the mean distances in a cloud: no pass, but work that may be shared out."""


@dataclass(frozen=True, slots=True)
class ArrayRows:
    """A data set in memory."""

    labels: Float64
    predictions: Float64

    def plane(self) -> Plane:
        """Return the moments of all rows."""
        return partial_plane(self.labels, self.predictions)

    def points(self) -> tuple[Float64, Float64]:
        """Return the labels and predictions of all rows."""
        return self.labels, self.predictions

    def cell_sums(self, plane: Plane, cells: Grid) -> CellSums:
        """Return how many rows each cell holds, and where."""
        return partial_cell_sums(cells, *plane.points(self.labels, self.predictions))

    def measure(self, cloud: Cloud) -> Float64:
        """Return the mean distances in a cloud."""
        return mean_distances(cloud)


@dataclass(frozen=True, slots=True)
class ExactDistances:
    """The distances of the rows of a data set, row by row.

    Attributes
    ----------
    rows : ndarray of complex128, shape (n,)
        Each (label, prediction) that occurs, as a complex number, once, in order.
    values : ndarray of float64, shape (n,)
        Its distance.
    median : float
    """

    rows: NDArray[np.complex128]
    values: Float64
    median: float

    def of(self, labels: Float64, predictions: Float64) -> Float64:
        """Return the distances of rows of the data set."""
        wanted = _complex(labels, predictions)
        place = np.minimum(np.searchsorted(self.rows, wanted), len(self.rows) - 1)
        require_known(self.rows[place] == wanted)
        return self.values[place]


def fit_distances(rows: Rows, exact_up_to: int = EXACT_UP_TO) -> Distances:
    """Return the distances of a data set of at least one row: exact if it has few enough rows."""
    plane = rows.plane()
    if plane.labels.count > exact_up_to:
        return fit_cells(plane, lambda cells: rows.cell_sums(plane, cells), rows.measure)
    ordered = np.sort(_complex(*rows.points()))
    x, y = plane.points(ordered.real, ordered.imag)
    values = rows.measure(Cloud(x, y))[0]
    each, first = np.unique(ordered, return_index=True)
    return ExactDistances(each, values[first], float(np.median(values)))


def require_exact_up_to(exact_up_to: object) -> None:
    """Raise OptionError unless it is a whole number of at least 0."""
    if not isinstance(exact_up_to, int) or isinstance(exact_up_to, bool) or exact_up_to < 0:
        raise OptionError(
            f"exact_up_to must be a whole number of rows, at least 0, got {exact_up_to!r}"
        )


def _complex(labels: Float64, predictions: Float64) -> NDArray[np.complex128]:
    """Return pairs of numbers as complex ones, which numpy orders by the first, then the second."""
    pairs = np.empty(len(labels), dtype=np.complex128)
    pairs.real, pairs.imag = labels, predictions
    return pairs

"""Square cells of a plane, small where points are dense: grids in the cells of grids.

Which cell a point is in depends on the point and the cells alone, and how many points a cell holds,
and their centre, are sums of whole numbers; so what is counted does not depend on how the points
are split into batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.regression.neighborhoods import Cloud
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.exact import SCALE_BITS
from lq_spark.core.shared.segments import offsets_of, ranges

_BLOCK_ROWS = 1 << 16
"""Rows located at once; bincount adds their whole numbers of 30 bits without rounding."""

MAX_NEW_CELLS = 1 << 15
"""How many cells a pass over the points may add, beyond four in each cell that is divided."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A square and the cells that it is divided into, again and again.

    Attributes
    ----------
    x, y, side : ndarray of float64, shape (m,)
        Lower left corner and length of each cell, the whole square first.
    bits : ndarray of int64, shape (m,)
        A cell is divided into a grid of 2^bits times 2^bits cells, or not at all if 0.
    first : ndarray of int64, shape (m,)
        The first cell of that grid.
    """

    x: Float64
    y: Float64
    side: Float64
    bits: NDArray[np.int64]
    first: NDArray[np.int64]

    def locate(self, x: Float64, y: Float64) -> NDArray[np.int64]:
        """Return the undivided cell that each point is in; outside the square, the nearest."""
        cell = np.zeros(len(x), dtype=np.int64)
        while (bits := self.bits[cell]).any():
            n = 1 << bits
            step = self.side[cell] / n
            column, row = (
                np.clip(np.floor((place - corner[cell]) / step), 0, n - 1).astype(np.int64)
                for place, corner in ((x, self.x), (y, self.y))
            )
            cell = np.where(bits > 0, self.first[cell] + row * n + column, cell)
        return cell

    def divided(self, cells: NDArray[np.int64], bits: NDArray[np.int64]) -> Grid:
        """Return the cells with some undivided ones divided."""
        sizes = 1 << (2 * bits)
        first = len(self.x) + offsets_of(sizes)
        parent = np.repeat(cells, sizes)
        place = ranges(np.zeros_like(sizes), sizes)
        n = np.repeat(1 << bits, sizes)
        side = self.side[parent] / n
        all_bits = np.concatenate([self.bits, np.zeros(len(parent), dtype=np.int64)])
        all_first = np.concatenate([self.first, np.zeros(len(parent), dtype=np.int64)])
        all_bits[cells], all_first[cells] = bits, first[:-1]
        return Grid(
            np.concatenate([self.x, self.x[parent] + (place % n) * side]),
            np.concatenate([self.y, self.y[parent] + (place // n) * side]),
            np.concatenate([self.side, side]),
            all_bits,
            all_first,
        )


def square(x: float, y: float, side: float) -> Grid:
    """Return an undivided square."""
    undivided = np.zeros(1, dtype=np.int64)
    return Grid(np.array([x]), np.array([y]), np.array([side]), undivided, undivided)


CellSums = NDArray[np.int64]
"""Shape (3, m): how many points each cell holds, and the sums of their places in it along x and y,
in units of 2^-30 of its side. States are merged by adding them."""


def partial_cell_sums(cells: Grid, x: Float64, y: Float64) -> CellSums:
    """Return the state of a batch of points."""
    sums = np.zeros((3, len(cells.x)), dtype=np.int64)
    for start in range(0, len(x), _BLOCK_ROWS):
        places = x[start : start + _BLOCK_ROWS], y[start : start + _BLOCK_ROWS]
        cell = cells.locate(*places)
        sums[0] += np.bincount(cell, minlength=len(cells.x))
        for total, place, corner in zip(sums[1:], places, (cells.x, cells.y), strict=True):
            share = np.clip((place - corner[cell]) / cells.side[cell], 0.0, 1.0)
            whole = np.floor(share * 2.0**SCALE_BITS)
            total += np.bincount(cell, weights=whole, minlength=len(cells.x)).astype(np.int64)
    return sums


def finish_cell_sums(cells: Grid, sums: CellSums) -> tuple[NDArray[np.int64], Cloud]:
    """Return which cells hold points, and for each of these its points as one at their centre."""
    held = np.flatnonzero(sums[0])
    counts = sums[0, held]
    x, y = (
        corner[held] + cells.side[held] * (total[held] / counts) * 2.0**-SCALE_BITS
        for corner, total in zip((cells.x, cells.y), sums[1:], strict=True)
    )
    return held, Cloud(x, y, counts)


def refined(cells: Grid, held: NDArray[np.int64], too_large: Float64) -> Grid:
    """Return the cells with those divided that are too large.

    Parameters
    ----------
    cells : Grid
    held : ndarray of int64, shape (m,)
        Undivided cells.
    too_large : ndarray of float64, shape (m,)
        How many times too large each of them is; up to 1 it is not. They are divided so far that
        they are not, or as far as the bounded number of new cells allows.
    """
    coarse = too_large > 1.0
    bits = np.ceil(np.log2(too_large[coarse])).astype(np.int64)
    while bits.max() > 1 and (1 << (2 * bits)).sum() > MAX_NEW_CELLS:
        bits = np.minimum(bits, bits.max() - 1)
    return cells.divided(held[coarse], bits)

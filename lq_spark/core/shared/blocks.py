"""Row blocks small enough for the processor's cache: how core walks an (n, K) matrix.

Working block by block in one float64 scratch array bounds the memory that a call needs to the
scratch, whatever n is, and is several times as fast as whole-array temporaries.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

Mask = NDArray[np.bool_]
"""Which rows, or other things, are meant."""

BLOCK_ELEMENTS = 1 << 16
"""Probabilities in one block: 512 KiB as float64."""

FEW_CLASSES = 32
"""Up to this many classes a block is stored class by class, so that operations along a row run
over long contiguous vectors (3 times as fast at K = 10); beyond it, row by row."""


def float64_blocks(matrix: NDArray[np.floating]) -> Iterator[tuple[slice, Float64]]:
    """Yield (rows, block): a float64 copy of ``matrix[rows]`` that the caller may change.

    The same scratch memory holds the next block.
    """
    n_rows, n_classes = matrix.shape
    step = max(1, min(n_rows, BLOCK_ELEMENTS // n_classes))
    order = "F" if n_classes <= FEW_CLASSES else "C"
    scratch: Float64 = np.empty((step, n_classes), dtype=np.float64, order=order)  # type: ignore[call-overload]
    for start in range(0, n_rows, step):
        rows = slice(start, min(start + step, n_rows))
        block = scratch[: rows.stop - start]
        np.copyto(block, matrix[rows])
        yield rows, block


def row_sums(block: Float64) -> Float64:
    """Sum each row of a block, in an order of addition that depends on K alone.

    numpy's own choice for a class-by-class block depends on how many rows it has, which would make
    the last bit of a score depend on how the table is split into batches.
    """
    if block.shape[1] > FEW_CLASSES:
        wide: Float64 = np.add.reduce(block, axis=1)
        return wide
    total: Float64 = block[:, 0].copy()
    for k in range(1, block.shape[1]):
        total += block[:, k]
    return total

"""What confident learning says of cells, the K binary problems of each row, counted in one scan.

Class k as absent or present are the two *groups* 2k and 2k + 1: a cell is of one by its given bit.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.thresholds import ClassSums, finish_thresholds
from lq_spark.core.multilabel.scores import score_cells, self_confidence
from lq_spark.core.multilabel.sets import Bits
from lq_spark.core.shared.blocks import Float64, float64_blocks
from lq_spark.core.shared.constants import FLOATING_POINT_SLACK
from lq_spark.core.shared.exact import scaled_halves

GIVEN, CONFIDENT, OTHER, AGREES = 1, 2, 4, 8
"""What a cell's kind is the sum of: its class is given; its bit is confidently known; and is the
other one than given; the given bit has the higher probability, within 1e-6."""

N_KINDS: Final = 16

UNDECIDED: Final = 0.5
"""A cell that scores at least this agrees, whichever score it is: no rule that orders flags it."""


def partial_cell_sums(is_given: Bits, pred_probs: NDArray[np.floating]) -> ClassSums:
    """Return the exact sums of self-confidence of a batch, by group: arrays of shape (2K,)."""
    n_rows, n_classes = is_given.shape
    sums = np.zeros((2, n_classes, 2), dtype=np.int64)
    for rows, block in float64_blocks(pred_probs):
        given = is_given[rows]
        ones = given.astype(np.float64)
        # Whole numbers below 2^30 in a block of at most 2^16 rows: their sums have no rounding.
        for place, half in enumerate(scaled_halves(self_confidence(given, block))):
            present = np.einsum("nk,nk->k", half, ones)
            sums[place, :, 0] += (half.sum(axis=0) - present).astype(np.int64)
            sums[place, :, 1] += present.astype(np.int64)
    n_given = np.count_nonzero(is_given, axis=0)
    counts = np.stack([n_rows - n_given, n_given], axis=-1).astype(np.int64)
    return ClassSums(counts.ravel(), sums[0].ravel(), sums[1].ravel())


def cell_thresholds(sums: ClassSums) -> Float64:
    """Return the confident thresholds of each class as absent and as present, shape (K, 2).

    A bit that no row has gets 2, see :func:`lq_spark.core.confident.thresholds.finish_thresholds`.
    """
    return finish_thresholds(sums).reshape(-1, 2)


def cell_kinds(is_given: Bits, block: Float64, thresholds: Float64 | None) -> NDArray[np.uint8]:
    """Return the kind of each cell of a block, shape (n, K); no OTHER without thresholds.

    It says what :func:`lq_spark.core.confident.joint.row_facts` says of the cells as rows of two
    classes.
    """
    absent = 1.0 - block
    agrees = (is_given & (block + FLOATING_POINT_SLACK > absent)) | (
        ~is_given & (absent + FLOATING_POINT_SLACK >= block)
    )
    kinds = is_given.view(np.uint8) + AGREES * agrees.view(np.uint8)
    if thresholds is None:
        return kinds
    reaches_present = block >= thresholds[:, 1] - FLOATING_POINT_SLACK
    reaches_absent = absent >= thresholds[:, 0] - FLOATING_POINT_SLACK
    is_present = reaches_present & (~reaches_absent | (block > absent))
    is_confident = reaches_present | reaches_absent
    is_other = is_confident & (is_present != is_given)
    kinds += CONFIDENT * is_confident.view(np.uint8)
    kinds += OTHER * is_other.view(np.uint8)
    return kinds


def is_confident_issue(kinds: NDArray[np.uint8]) -> Bits:
    """Return which cells are confidently of the other bit, and do not agree."""
    return np.asarray((kinds & (OTHER | AGREES)) == OTHER)


@dataclass(frozen=True, eq=False)
class CellCounts:
    """What is counted of a table's cells.

    Attributes
    ----------
    n_rows, n_issue_rows : int
        All rows; those with a confident issue in any class.
    kinds : ndarray of int64, shape (K, 2, 2, 2, 2)
        Cells of each class by kind: AGREES, OTHER, CONFIDENT, GIVEN.
    buckets : ndarray of int64, shape (K, 2, n_buckets)
        Cells of each group that score below 0.5, by :func:`score_buckets`.
    """

    n_rows: int
    n_issue_rows: int
    kinds: NDArray[np.int64]
    buckets: NDArray[np.int64]

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """Return the rows of each group, shape (K, 2): not given the class, given it."""
        return np.asarray(self.kinds.sum(axis=(1, 2, 3)))

    @property
    def confident(self) -> NDArray[np.int64]:
        """Return how many rows of given bit b are confidently of bit g: shape (K, 2, 2)."""
        same, other = np.moveaxis(self.kinds[:, :, :, 1].sum(axis=1), 1, 0)
        bits = np.arange(2)
        counts = np.zeros((len(self.kinds), 2, 2), dtype=np.int64)
        counts[:, bits, bits] = same
        counts[:, bits, 1 - bits] = other
        return counts

    @property
    def doubtful(self) -> NDArray[np.int64]:
        """Return the cells of each group that do not agree, shape (K, 2)."""
        return np.asarray(self.kinds[:, 0].sum(axis=(1, 2)))

    @property
    def confident_issues(self) -> NDArray[np.int64]:
        """Return the confident issues of each group, shape (K, 2)."""
        return np.asarray(self.kinds[:, 0, 1].sum(axis=1))


def score_buckets(scores: Float64, n_buckets: int) -> NDArray[np.int64]:
    """Return the bucket, 0 to n_buckets - 1, of scores below 0.5, finer near 0.

    A lower bucket never holds a higher value: square roots are correctly rounded.
    """
    share = np.sqrt(np.sqrt(np.maximum(scores, 0.0) / UNDECIDED))
    buckets = np.minimum(np.floor(share * n_buckets), n_buckets - 1)
    return np.asarray(buckets, dtype=np.int64)


def partial_cell_counts(
    is_given: Bits,
    pred_probs: NDArray[np.floating],
    thresholds: Float64,
    n_buckets: int = 0,
    order: str = "self_confidence",
) -> NDArray[np.int64]:
    """Return the counts of a batch as one vector: those of two batches add up.

    Parameters
    ----------
    is_given, pred_probs : ndarray, shape (n, K)
        Checked before.
    thresholds : ndarray of float64, shape (K, 2)
        From :func:`cell_thresholds`.
    n_buckets : int
        Into how many buckets the low scores of each group are counted.
    order : {"self_confidence", "normalized_margin"}
        Which score that is.

    Returns
    -------
    ndarray of int64
        Of length :func:`counts_length`; :func:`cell_counts` says what is where.
    """
    n_classes = is_given.shape[1]
    kind_counts = np.zeros(n_classes * N_KINDS, dtype=np.int64)
    bucket_counts = np.zeros(2 * n_classes * n_buckets, dtype=np.int64)
    n_issue_rows = np.int64(0)
    of_class = np.arange(n_classes) * N_KINDS
    for rows, block in float64_blocks(pred_probs):
        given = is_given[rows]
        kinds = cell_kinds(given, block, thresholds)
        n_issue_rows += np.count_nonzero(is_confident_issue(kinds).any(axis=1))
        kind_counts += np.bincount((kinds + of_class).ravel(), minlength=len(kind_counts))
        if n_buckets:
            groups, scores = low_cells(given, score_cells(given, block, order))[1:]
            places = groups * n_buckets + score_buckets(scores, n_buckets)
            bucket_counts += np.bincount(places, minlength=len(bucket_counts))
    return np.concatenate([[len(pred_probs), n_issue_rows], kind_counts, bucket_counts])


def counts_length(n_classes: int, n_buckets: int = 0) -> int:
    """Return the length of the vector of :func:`partial_cell_counts`."""
    return 2 + n_classes * (N_KINDS + 2 * n_buckets)


def cell_counts(vector: NDArray[np.int64], n_classes: int) -> CellCounts:
    """Return what a (summed) vector of :func:`partial_cell_counts` counts."""
    kinds, buckets = np.split(vector[2:], [n_classes * N_KINDS])
    return CellCounts(
        int(vector[0]),
        int(vector[1]),
        kinds.reshape(n_classes, 2, 2, 2, 2),
        buckets.reshape(n_classes, 2, -1),
    )


def low_cells(
    is_given: Bits, scores: Float64
) -> tuple[NDArray[np.int64], NDArray[np.int64], Float64]:
    """Return the row, the group and the score of the cells that score below 0.5."""
    row, column = np.divmod(np.flatnonzero(scores < UNDECIDED), scores.shape[1])
    return row, 2 * column + is_given[row, column], scores[row, column]

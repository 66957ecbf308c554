"""The confident joint: how often a given label k meets a true label guessed to be j.

Kept sparse, as the (given, guess) pairs that occur: K = 20,000 classes have 4·10^8 pairs and a
table of a million rows meets at most a million of them.

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.1, equations 1-3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64, float64_blocks
from lq_spark.core.shared.constants import FLOATING_POINT_SLACK, TINY
from lq_spark.core.shared.display import Displayed

MAX_DENSE_CLASSES = 2048
"""Up to this K a K by K array is made where cleanlab's very last bit depends on it: 32 MiB."""

NOT_CONFIDENT = -1
"""Guess of a row that reaches no class threshold."""


@dataclass(frozen=True, slots=True, repr=False)
class SparseMatrix(Displayed):
    """A K × K matrix by its non-zero entries, ordered by row (given), then column (guess).

    Attributes
    ----------
    n_classes : int
    given, guess : ndarray of int64, shape (m,)
    values : ndarray of int64 or float64, shape (m,)
    """

    n_classes: int
    given: NDArray[np.int64]
    guess: NDArray[np.int64]
    values: NDArray[Any]

    def dense(self) -> NDArray[Any]:
        """Return the K × K array."""
        matrix: NDArray[Any] = np.zeros((self.n_classes, self.n_classes), dtype=self.values.dtype)
        matrix[self.given, self.guess] = self.values
        return matrix

    def row_sums(self) -> Float64:
        """Return the sum of each row, shape (K,)."""
        return np.bincount(
            self.given, weights=self.values.astype(np.float64), minlength=self.n_classes
        ).astype(np.float64)

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": self.n_classes,
            "entries": len(self.values),
            "sum": float(self.values.sum()),
        }


def sparse(matrix: NDArray[Any]) -> SparseMatrix:
    """Return the non-zero entries of a K × K array."""
    given, guess = np.nonzero(matrix)
    return SparseMatrix(len(matrix), given, guess, matrix[given, guess])


def counted_pairs(
    n_classes: int,
    given: NDArray[np.integer],
    guess: NDArray[np.integer],
    counts: NDArray[np.integer] | None = None,
) -> SparseMatrix:
    """Return how often each pair occurs; ``counts`` says how often each given one does, else 1."""
    every = given.astype(np.int64) * n_classes + guess
    if counts is None and n_classes**2 <= len(every):  # a place for each pair, without a sort
        totals = np.bincount(every)
        keys = np.flatnonzero(totals)
        totals = totals[keys]
    else:
        keys, places = np.unique(every, return_inverse=True)
        totals = np.zeros(len(keys), dtype=np.int64)
        np.add.at(totals, places, 1 if counts is None else counts)
    return SparseMatrix(n_classes, keys // n_classes, keys % n_classes, totals)


def added_pairs(a: SparseMatrix, b: SparseMatrix) -> SparseMatrix:
    """Return the counts of ``a`` and ``b`` together."""
    return counted_pairs(
        a.n_classes,
        np.concatenate([a.given, b.given]),
        np.concatenate([a.guess, b.guess]),
        np.concatenate([a.values, b.values]),
    )


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What confident learning says of each row of a batch.

    Attributes
    ----------
    predicted : ndarray of int64, shape (n,)
        Class of the highest probability, the first of equal ones.
    guess : ndarray of int64, shape (n,)
        Confident guess of the true class; NOT_CONFIDENT where no threshold is reached.
    agrees : ndarray of bool, shape (n,)
        Whether the given class has the highest probability, within 1e-6; so also where it is
        the predicted one.
    """

    predicted: NDArray[np.int64]
    guess: NDArray[np.int64]
    agrees: NDArray[np.bool_]

    def off_diagonal(self, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return which rows are confidently of another class than the given one."""
        off: NDArray[np.bool_] = (self.guess != NOT_CONFIDENT) & (self.guess != labels)
        return off

    def is_confident_issue(self, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return which rows are confidently of another class, and not predicted as given."""
        return self.off_diagonal(labels) & ~self.agrees


def _highest_of_all(
    block: Float64, reached: NDArray[np.bool_], predicted: NDArray[np.int64]
) -> NDArray[np.int64]:
    guess = predicted.copy()
    # The predicted class's own threshold is mostly among those reached.
    missed = np.flatnonzero(~reached[np.arange(len(predicted)), predicted])
    only = missed[reached[missed].sum(axis=1) == 1]
    guess[only] = reached[only].argmax(axis=1)
    return guess


def _highest_reached(
    block: Float64, reached: NDArray[np.bool_], predicted: NDArray[np.int64]
) -> NDArray[np.int64]:
    guess: NDArray[np.int64] = np.where(reached, block, -np.inf).argmax(axis=1)
    return guess


CollisionRule = Callable[[Float64, NDArray[np.bool_], NDArray[np.int64]], NDArray[np.int64]]

COLLISION_RULES: Mapping[str, CollisionRule] = {
    "highest_of_all": _highest_of_all,
    "highest_reached": _highest_reached,
}
"""Which class a row is guessed to be that reaches several thresholds: the one of the highest
probability of all, reached or not (cleanlab), or of those reached (the paper, equation 3)."""


def row_facts(
    labels: NDArray[np.integer],
    pred_probs: NDArray[np.floating],
    thresholds: Float64,
    collision_rule: str = "highest_of_all",
) -> RowFacts:
    """Return the facts of each row: labels (n,), pred_probs (n, K), thresholds (K,)."""
    n = len(labels)
    facts = RowFacts(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, bool))
    resolve = COLLISION_RULES[collision_rule]
    for rows, block in float64_blocks(pred_probs):
        predicted = pred_probs[rows].argmax(axis=1)
        facts.predicted[rows] = predicted
        reached = block >= thresholds - FLOATING_POINT_SLACK
        guess = resolve(block, reached, predicted)
        facts.guess[rows] = np.where(reached.any(axis=1), guess, NOT_CONFIDENT)
        # With the slack the given class may be highest where it is not predicted, not the reverse.
        agrees = predicted == labels[rows]
        otherwise = np.flatnonzero(~agrees)
        favoured, given = block[otherwise], labels[rows][otherwise]
        favoured[np.arange(len(given)), given] += FLOATING_POINT_SLACK
        agrees[otherwise] = favoured.argmax(axis=1) == given
        facts.agrees[rows] = agrees
    return facts


def confident_counts(labels: NDArray[np.integer], facts: RowFacts, n_classes: int) -> SparseMatrix:
    """Return the counts (given, guess) of the confident rows of a batch; they add up over batches.

    At the end :func:`with_diagonal` raises the diagonal to 1.
    """
    confident = facts.guess >= 0
    return counted_pairs(n_classes, labels[confident], facts.guess[confident])


def with_diagonal(counts: SparseMatrix) -> SparseMatrix:
    """Return the counts with at least 1 on the diagonal, for every class."""
    classes = np.arange(counts.n_classes)
    diagonal = np.zeros(counts.n_classes, dtype=np.int64)
    on_diagonal = counts.given == counts.guess
    diagonal[counts.given[on_diagonal]] = counts.values[on_diagonal]
    return counted_pairs(
        counts.n_classes,
        np.concatenate([counts.given[~on_diagonal], classes]),
        np.concatenate([counts.guess[~on_diagonal], classes]),
        np.concatenate([counts.values[~on_diagonal], np.maximum(diagonal, 1)]).astype(np.int64),
    )


def calibrated(
    counts: SparseMatrix, class_counts: NDArray[np.integer], *, by_rows: bool = False
) -> SparseMatrix:
    """Return the counts scaled so that row k sums to the number of rows with given label k.

    Whole numbers again; entries that are zero stay zero. ``by_rows`` says in which order they are
    added up. Source: Northcutt et al., equation 4.
    """
    row_sums = np.maximum(counts.row_sums(), TINY)
    values = counts.values / row_sums[counts.given] * class_counts[counts.given]
    scaled = SparseMatrix(counts.n_classes, counts.given, counts.guess, values)
    values = values / max(_total(scaled, by_rows), TINY) * class_counts.sum()
    return rounded_rows(SparseMatrix(counts.n_classes, counts.given, counts.guess, values))


def _total(matrix: SparseMatrix, by_rows: bool) -> float:
    """Return the sum of a matrix.

    The last bit of it can decide which of two equal entries is rounded up, so it is added as
    cleanlab adds it, up to the size where that is feasible: column by column of the dense matrix
    that it counts itself, in the order of memory of one that it is given.
    """
    if matrix.n_classes > MAX_DENSE_CLASSES:
        return math.fsum(matrix.values)
    dense = matrix.dense()
    return float((np.ascontiguousarray(dense) if by_rows else np.asfortranarray(dense)).sum())


def rounded_rows(matrix: SparseMatrix) -> SparseMatrix:
    """Return the matrix rounded to whole numbers so that each row keeps its (rounded) sum.

    What rounding adds or takes too much goes to the entries with the largest residual; of equal
    ones to the last when adding, to the first when taking.
    """
    values = np.asarray(matrix.values, dtype=np.float64)
    rounded = np.rint(values)
    n = matrix.n_classes
    wanted = np.rint(np.bincount(matrix.given, weights=values, minlength=n))
    got = np.bincount(matrix.given, weights=rounded, minlength=n)
    starts = np.searchsorted(matrix.given, np.arange(n + 1))
    for k in np.flatnonzero(wanted != got):
        row = slice(starts[k], starts[k + 1])
        while (missing := int(wanted[k] - rounded[row].sum())) != 0:
            order = np.argsort(values[row] - rounded[row], kind="stable")
            chosen = order[-missing:] if missing > 0 else order[:-missing]
            rounded[row][chosen] += np.sign(missing)
    whole = rounded.astype(np.int64)
    kept = whole != 0
    return SparseMatrix(n, matrix.given[kept], matrix.guess[kept], whole[kept])

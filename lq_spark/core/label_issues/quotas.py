"""How many rows of each class, or pair of classes, confident learning prunes.

The calibrated joint says how many rows with given label k truly are of class j; the rules of
pruning take that many of the least likely rows. All on sparse matrices (given, true).

Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.joint import SparseMatrix, rounded_rows
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import TINY
from lq_spark.errors import OptionError


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many rows to prune.

    Attributes
    ----------
    per_class : ndarray of int64, shape (K,)
        Of each given class, its rows of the lowest self-confidence.
    given, true, per_pair : ndarray of int64, shape (m,)
        Of each pair that has any, the rows of class ``given`` with the largest margin of ``true``.
    """

    per_class: NDArray[np.int64]
    given: NDArray[np.int64]
    true: NDArray[np.int64]
    per_pair: NDArray[np.int64]


def are_enough(class_counts: NDArray[np.integer], min_examples_per_class: int) -> NDArray[np.bool_]:
    """Return whether rows are so many that some may be pruned; the only one of a class is kept."""
    return np.asarray(class_counts > max(min_examples_per_class, 1))


def require_a_number_each(numbers: int | Sequence[int] | None, n_classes: int) -> None:
    """Raise OptionError unless there are as many numbers to remove as classes, one, or none."""
    if numbers is not None and np.shape(numbers) not in ((), (n_classes,)):
        raise OptionError(_wrong_numbers(numbers, n_classes))


def numbers_to_remove(
    numbers: int | Sequence[int], class_counts: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Return how many rows of each class to remove; one number is that of each class.

    Raises
    ------
    OptionError
        If there are not as many whole numbers as classes, one is below 0, or one of several
        exceeds the rows of its class.

    Examples
    --------
    >>> numbers_to_remove(1, np.array([4, 0]))
    array([1, 1])
    """
    wanted = np.asarray(numbers)
    is_valid = wanted.shape in ((), class_counts.shape) and wanted.dtype.kind in "iu"
    if not is_valid or (wanted < 0).any() or (wanted.ndim and (wanted > class_counts).any()):
        raise OptionError(_wrong_numbers(numbers, len(class_counts)))
    return np.broadcast_to(wanted.astype(np.int64), class_counts.shape)


def _wrong_numbers(numbers: object, n_classes: int) -> str:
    return (
        f"num_to_remove_per_class must be {n_classes} numbers, each between 0 and the rows of its "
        f"class, or one number for all, got {numbers!r:.80}"
    )


def prune_quotas(
    joint: SparseMatrix,
    class_counts: NDArray[np.integer],
    *,
    min_examples_per_class: int = 1,
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
) -> Quotas:
    """Return how many rows to prune by a (calibrated) joint of counts.

    Parameters
    ----------
    joint : SparseMatrix
        Counts (given, true).
    class_counts : ndarray of int, shape (K,)
        Rows of each given class.
    min_examples_per_class : int
        How many rows of each class to keep; classes with no more rows lose none.
    frac_noise : float
        Which share of the estimated label issues to prune.
    num_to_remove_per_class : int or sequence of int, length K, optional
        How many to prune of each class instead, one number being that of each. As in
        cleanlab, pruning by noise rate counts them by the class that a row truly is of, pruning by
        class by the given one.

    Raises
    ------
    OptionError
        As :func:`numbers_to_remove`.
    """
    n = joint.n_classes
    on_diagonal = joint.given == joint.guess
    diagonal = np.zeros(n)
    diagonal[joint.given[on_diagonal]] = joint.values[on_diagonal]
    given, true = joint.given[~on_diagonal], joint.guess[~on_diagonal]
    values = joint.values[~on_diagonal].astype(np.float64)

    # Keep enough rows of each class: what its diagonal lacks is taken evenly off its other entries.
    kept = np.maximum(diagonal, min_examples_per_class)
    n_entries = np.bincount(given, minlength=n) + (diagonal != 0)
    reduction = (kept - diagonal) / np.maximum(n_entries - 1, 1)
    values = np.maximum(values - reduction[given], 0.0)
    kept = kept + np.bincount(given, weights=values - values * frac_noise, minlength=n)
    values = np.trunc(values * frac_noise)
    kept = np.trunc(kept)

    if num_to_remove_per_class is not None:
        values, kept = _spread_numbers(
            given, true, values, kept, class_counts, num_to_remove_per_class
        )
    enough = are_enough(class_counts, min_examples_per_class)
    per_class = np.where(enough, np.clip(class_counts - kept, 0, class_counts), 0).astype(np.int64)
    chosen = (values > 0) & enough[given]
    return Quotas(per_class, given[chosen], true[chosen], values[chosen].astype(np.int64))


def _spread_numbers(
    given: NDArray[np.int64],
    true: NDArray[np.int64],
    values: Float64,
    kept: Float64,
    class_counts: NDArray[np.integer],
    numbers: int | Sequence[int],
) -> tuple[Float64, Float64]:
    """Return (off-diagonals, diagonal) that prune the numbers asked for, spread as estimated."""
    n = len(kept)
    wanted = numbers_to_remove(numbers, np.asarray(class_counts))
    # Rows of the matrix here are true classes: its sums are over the given ones.
    sums = np.bincount(true, weights=values, minlength=n) + kept
    shares = values / np.maximum(sums[given], TINY)
    share_sums = np.bincount(true, weights=shares, minlength=n)
    spread = shares * (wanted / np.maximum(share_sums, TINY))[true]
    classes = np.arange(n)
    rows, columns = np.concatenate([true, classes]), np.concatenate([given, classes])
    everything = np.concatenate([spread, class_counts - wanted])
    order = np.lexsort([columns, rows])
    rounded = rounded_rows(SparseMatrix(n, rows[order], columns[order], everything[order])).dense()
    return rounded[true, given].astype(np.float64), np.diag(rounded).astype(np.float64)

"""What makes a row unusable, and the one check of labels and probabilities in core."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import float64_blocks, row_sums
from lq_spark.core.shared.constants import PROBABILITY_SLACK, SUM_TOLERANCE
from lq_spark.errors import DataError, OptionError, require_ordered


class RowFault(IntEnum):
    """Why a row cannot be scored. A row with several faults has the one that comes first here."""

    NONE = 0
    LABEL_OUT_OF_RANGE = 1
    NOT_FINITE = 2
    NEGATIVE = 3
    ABOVE_ONE = 4
    SUM_NOT_ONE = 5


FAULT_REASONS = {
    RowFault.LABEL_OUT_OF_RANGE: "label out of range",
    RowFault.NOT_FINITE: "probability not finite",
    RowFault.NEGATIVE: "probability below 0",
    RowFault.ABOVE_ONE: "probability above 1",
    RowFault.SUM_NOT_ONE: "probabilities do not sum to 1",
}


def row_faults(
    labels: NDArray[np.integer],
    pred_probs: NDArray[np.floating],
    *,
    tolerance: float = SUM_TOLERANCE,
) -> NDArray[np.uint8]:
    """Return the fault of each row as a RowFault code, 0 where the row is usable.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Given labels; usable are 0 to K - 1.
    pred_probs : ndarray of float, shape (n, K)
        Predicted probabilities.
    tolerance : float
        How far the probabilities of a row may sum from 1, and one of them exceed 1.

    Examples
    --------
    >>> row_faults(np.array([0, 2]), np.array([[0.9, 0.1], [0.5, 0.5]]))
    array([0, 1], dtype=uint8)
    """
    n_classes = pred_probs.shape[1]
    faults = np.zeros(len(labels), dtype=np.uint8)
    faults[(labels < 0) | (labels >= n_classes)] = RowFault.LABEL_OUT_OF_RANGE
    for rows, block in float64_blocks(pred_probs):
        # Three cheap tests pass every good block; NaN fails all of them.
        with np.errstate(invalid="ignore", over="ignore"):
            sums_to_one = np.abs(row_sums(block) - 1.0) <= tolerance
        part = pred_probs[rows]  # as doubles: a float32 is compared with what is rounded to one
        lowest, highest = float(part.min()), float(part.max())
        in_range = lowest >= -PROBABILITY_SLACK and highest <= 1.0 + tolerance
        if not (in_range and sums_to_one.all()):
            block_faults = _probability_faults(block, sums_to_one, tolerance)
            np.copyto(faults[rows], block_faults, where=faults[rows] == RowFault.NONE)
    return faults


def _probability_faults(
    block: NDArray[np.float64], sums_to_one: NDArray[np.bool_], tolerance: float
) -> NDArray[np.uint8]:
    return first_faults(
        {
            RowFault.NOT_FINITE: ~np.isfinite(block).all(axis=1),
            RowFault.NEGATIVE: block.min(axis=1) < -PROBABILITY_SLACK,
            RowFault.ABOVE_ONE: block.max(axis=1) > 1.0 + tolerance,
            RowFault.SUM_NOT_ONE: ~sums_to_one,
        }
    )


def first_faults(conditions: Mapping[Any, Any]) -> NDArray[np.uint8]:
    """Return the code of the first fault that each row has, 0 where it has none.

    ``conditions`` say for each fault, by its code, which rows have it: arrays of shape (n,).
    """
    codes = [np.uint8(fault) for fault in conditions]
    return np.select(list(conditions.values()), codes, default=np.uint8(0))


def require_tolerance(tolerance: float) -> None:
    """Raise OptionError unless the tolerance is a number from 0 to below 1."""
    if not isinstance(tolerance, (int, float)) or not 0.0 <= tolerance < 1.0:
        raise OptionError(f"tolerance must be a number from 0 to below 1, got {tolerance!r}")


def require_one_label(multi_label: bool, instead: str) -> None:
    """Raise OptionError if rows are said to have sets of labels; name what is there for them."""
    if multi_label:
        raise OptionError(
            f"multi_label must be False, got True: sets of labels are for lq_spark.core.{instead}"
        )


def checked_class_names(class_names: Sequence[str], n_classes: int) -> NDArray[np.object_]:
    """Return the names of the classes; raise OptionError unless they are K, in an order."""
    require_ordered("class_names", class_names)
    names = np.array(class_names, dtype=object)
    if len(names) != n_classes:
        raise OptionError(f"class_names must have {n_classes} names, got {len(names)}")
    return names


def warn_of_unused(name: str, why: str, *, stacklevel: int) -> None:
    """Warn that an argument that is given changes nothing here; ``stacklevel`` of the caller."""
    warnings.warn(f"{name} is not used: {why}", UserWarning, stacklevel=stacklevel + 1)


def checked_scores(name: str, scores: ArrayLike | None) -> NDArray[np.float64]:
    """Return scores as a 1-D array of float64; raise DataError for anything else."""
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if array.ndim != 1:
        raise DataError(f"{name} must be a 1-D array of numbers, got {scores!r:.80}")
    return array


def checked_labels(labels: ArrayLike) -> NDArray[np.int64]:
    """Return labels as a one-dimensional int64 array.

    Raises
    ------
    DataError
        If they are not one-dimensional, are empty, or hold something else than whole numbers.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.size == 0:
        raise DataError(f"labels must be a non-empty 1-D array, got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"labels must be whole numbers 0..K-1, got an array of {array.dtype}")
    if array.dtype.kind == "f":
        # Beyond 2^53 every float is whole, and no class index.
        bad = np.flatnonzero(~((np.floor(array) == array) & (np.abs(array) < 2.0**53)))
        if len(bad):
            raise DataError(
                f"labels must be whole numbers 0..K-1, got {array[bad[0]]} at row {bad[0]} "
                f"({len(bad)} such rows)"
            )
    return array.astype(np.int64, copy=False)


def checked_pred_probs(pred_probs: ArrayLike) -> NDArray[np.floating]:
    """Return pred_probs as a two-dimensional float array with at least two columns.

    Raises
    ------
    DataError
        If it has another shape or type.
    """
    matrix = np.asarray(pred_probs)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise DataError(
            f"pred_probs must be a 2-D array of numbers, got shape {matrix.shape} of {matrix.dtype}"
        )
    if matrix.shape[1] < 2:
        raise DataError(f"pred_probs must have at least 2 classes, got {matrix.shape[1]}")
    return matrix if matrix.dtype.kind == "f" else matrix.astype(np.float64)


def checked_inputs(
    labels: ArrayLike, pred_probs: ArrayLike, *, tolerance: float = SUM_TOLERANCE
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Return labels (n,) and pred_probs (n, K), or raise a DataError that names rows at fault."""
    label_array, matrix = checked_labels(labels), checked_pred_probs(pred_probs)
    if len(label_array) != len(matrix):
        raise DataError(f"labels has {len(label_array)} rows, pred_probs has {len(matrix)}")
    faults = row_faults(label_array, matrix, tolerance=tolerance)
    if faults.any():
        raise DataError(f"{_faults_text(faults)} (pred_probs has K = {matrix.shape[1]} classes)")
    return label_array, matrix


def _faults_text(faults: NDArray[np.uint8]) -> str:
    parts = []
    for fault, reason in FAULT_REASONS.items():
        rows = np.flatnonzero(faults == fault)
        if len(rows):
            parts.append(f"{reason}: {len(rows)} rows, for instance row {rows[0]}")
    return "; ".join(parts)


def checked_members(
    members: Sequence[ArrayLike], n_rows: int | None = None, name: str = "pred_probs"
) -> list[NDArray[np.floating]]:
    """Return each model's pred_probs of the same rows, without labels, as for scoring.

    Raises
    ------
    DataError
        If there is no model, the models differ in shape, a model has another number of rows than
        ``n_rows``, or a row cannot be scored.
    """
    matrices = [checked_pred_probs(member) for member in members]
    if not matrices:
        raise DataError(f"{name} is empty; at least 1 model's {name} are needed")
    shapes = [matrix.shape for matrix in matrices]
    if len(set(shapes)) > 1:
        raise DataError(f"{name} has models of shapes {shapes}")
    if n_rows is not None and len(matrices[0]) != n_rows:
        raise DataError(f"the labels are of {n_rows} items, {name} of {len(matrices[0])}")
    for matrix in matrices:
        faults = row_faults(np.zeros(len(matrix), dtype=np.int64), matrix)
        if faults.any():
            raise DataError(f"{name}: {_faults_text(faults)}")
    return matrices

"""What a model that was trained with some rows predicts of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import LARGEST
from lq_spark.errors import DataError

BLOCK_ROWS: Final = 1024
"""Rows that are predicted together."""


class Classifier(Protocol):
    """What has been trained: as scikit-learn's classifiers are."""

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the classes, shape (n, K)."""


class Regressor(Protocol):
    """What has been trained where labels are numbers: as scikit-learn's regressors are."""

    def predict(self, X: Any) -> Any:
        """Return a number for each row, shape (n,) or (n, 1)."""


def predicted_numbers(model: Regressor, features: NDArray[np.floating]) -> Float64:
    """Return what a trained model predicts, shape (m,); raise DataError if that is no numbers."""
    found = np.asarray(model.predict(features))
    if found.shape not in ((len(features),), (len(features), 1)):
        raise DataError(f"predict gave shape {found.shape}, not {(len(features),)}")
    if found.dtype.kind not in "biuf":
        raise DataError(f"predict gave {found.dtype}, not numbers")
    numbers: Float64 = found.reshape(-1).astype(np.float64)
    if not (np.abs(numbers) <= LARGEST).all():
        raise DataError(f"predict gave numbers that are NaN or beyond {LARGEST}")
    return numbers


def class_probabilities(
    model: Classifier, features: NDArray[np.floating], n_classes: int
) -> Float64:
    """Return what a trained model gives the classes of rows, shape (m, K).

    A class that it does not know has probability 0.

    Raises
    ------
    DataError
        If it gives something else than probabilities of its classes.
    """
    found = np.asarray(model.predict_proba(features))
    known = np.asarray(getattr(model, "classes_", np.arange(n_classes)))
    wanted = (len(features), len(known))
    if found.shape != wanted:
        raise DataError(f"predict_proba gave shape {found.shape}, not {wanted}")
    if not np.isfinite(found).all():
        raise DataError("predict_proba gave probabilities that are NaN or infinite")
    probabilities = np.zeros((len(features), n_classes))
    probabilities[:, known.astype(np.int64)] = found
    return probabilities


def in_blocks(
    function: Callable[[NDArray[np.floating]], NDArray[Any]], rows: NDArray[np.floating]
) -> NDArray[Any]:
    """Return what a function makes of rows, shape (n, …), which is given BLOCK_ROWS at a time.

    Products of matrices of other sizes are added up in another order: with blocks of one size the
    last bits of a row do not depend on how many others it comes with. The last block is filled up
    with its own rows.
    """
    made = []
    for start in range(0, max(len(rows), 1), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        whole = np.zeros((BLOCK_ROWS, rows.shape[1]), rows.dtype)
        if len(block):
            whole[:] = block[np.arange(BLOCK_ROWS) % len(block)]
        made.append(np.asarray(function(whole))[: len(block)])
    return np.concatenate(made)

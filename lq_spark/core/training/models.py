"""What a model that was trained with some rows predicts of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import LARGEST
from lq_spark.errors import DataError


class Classifier(Protocol):
    """What is trained: as scikit-learn's classifiers are."""

    def fit(self, X: Any, y: Any, **options: Any) -> Any:
        """Train with features, shape (n, d), and class indices, shape (n,)."""

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the classes, shape (n, K)."""


class Regressor(Protocol):
    """What is trained where labels are numbers: as scikit-learn's regressors are."""

    def fit(self, X: Any, y: Any, **options: Any) -> Any:
        """Train with features, shape (n, d), and labels, shape (n,)."""

    def predict(self, X: Any) -> Any:
        """Return a number for each row, shape (n,) or (n, 1)."""


def held_out_numbers(
    model: Regressor,
    features: NDArray[np.floating],
    labels: Float64,
    held_out: NDArray[np.floating],
    fit_kwargs: Mapping[str, Any],
) -> Float64:
    """Train a model, and return what it predicts of rows it was not trained with, shape (m,).

    Parameters
    ----------
    model : Regressor
        Not trained before.
    features, labels : ndarray, shapes (n, d) and (n,)
        Of the rows to train with.
    held_out : ndarray, shape (m, d)
        Features of the other rows.
    fit_kwargs : mapping
        What else ``fit`` is given.

    Raises
    ------
    DataError
        If the model gives something else than a finite number for each row.
    """
    model.fit(features, labels, **fit_kwargs)
    return predicted_numbers(model, held_out)


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


def held_out_probabilities(
    model: Classifier,
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    held_out: NDArray[np.floating],
    fit_kwargs: Mapping[str, Any],
    n_classes: int,
) -> Float64:
    """Train a model, and return the probabilities of rows it was not trained with, shape (m, K).

    Parameters
    ----------
    model : Classifier
        Not trained before.
    features, labels : ndarray, shapes (n, d) and (n,)
        Of the rows to train with; class indices.
    held_out : ndarray, shape (m, d)
        Features of the other rows.
    fit_kwargs : mapping
        What else ``fit`` is given.
    n_classes : int
        K. A class that the model does not know has probability 0.

    Raises
    ------
    DataError
        If the model gives something else than probabilities of its classes.
    """
    model.fit(features, labels, **fit_kwargs)
    return class_probabilities(model, held_out, n_classes)


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

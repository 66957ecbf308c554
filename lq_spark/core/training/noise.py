"""What is known of the label noise that a model is trained under: estimated, or given.

Everything here is algebra on K × K arrays: P(given | true) has a row for each given label,
P(true | given) a row for each true one; columns of both sum to 1. Source: Northcutt, Jiang, Chuang,
"Confident Learning", JAIR 70 (2021), section 3.1 and appendix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from lq_spark.core.confident.joint import SparseMatrix, sparse
from lq_spark.core.confident.latent import clipped_noise, converged, over, prior
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.noise_matrices import checked_noise_matrix
from lq_spark.errors import DataError, OptionError

MIN_EXAMPLES_PER_CLASS = 10
"""Of classes with no more rows that are confidently of them none is an issue, as in cleanlab."""

_MIN_RATE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class LabelNoise:
    """Label noise of K classes.

    Attributes
    ----------
    py : ndarray of float64, shape (K,)
        Share of each true label; sums to 1, unless noise matrices were given that do not go with
        how often the labels are given.
    noise_matrix : ndarray of float64, shape (K, K)
        P(given | true): a row for each given label; columns sum to 1.
    inverse_noise_matrix : ndarray of float64, shape (K, K)
        P(true | given): a row for each true label; columns sum to 1.
    """

    py: Float64
    noise_matrix: Float64
    inverse_noise_matrix: Float64

    @property
    def class_weights(self) -> Float64:
        """Return 1 / P(given k | true k) of each class, shape (K,), at most 1,000.

        Rows of class k that have been pruned as label issues are missing from the class: the others
        stand for them.
        """
        weights: Float64 = 1.0 / np.maximum(np.diag(self.noise_matrix), _MIN_RATE)
        return weights


def told_matrix(
    name: str, matrix: ArrayLike | None, n_classes: int | None = None
) -> Float64 | None:
    """Return a noise matrix of the caller, None if there is none.

    ``n_classes`` is K, where it is known.

    Raises
    ------
    OptionError
        If it is none, of another K, or has a trace of at most 1.
    """
    if matrix is None:
        return None
    rates = checked_noise_matrix(matrix, name=name)
    if n_classes not in (None, len(rates)):
        raise OptionError(f"{name} is of {len(rates)} classes, and there are K = {n_classes}")
    if np.trace(rates) <= 1.0:
        raise OptionError(
            f"the trace of {name} is {np.trace(rates):g}, and must be above 1: else labels say "
            "nothing of the classes"
        )
    return rates


def checked_thresholds(thresholds: ArrayLike, n_classes: int) -> tuple[float, ...]:
    """Return confident thresholds of the caller; raise OptionError if they are none."""
    try:
        values = np.asarray(thresholds, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(f"thresholds must be K numbers ({error})") from error
    if values.shape != (n_classes,) or not ((values >= 0) & (values <= 1)).all():
        raise OptionError(
            f"thresholds must be {n_classes} numbers from 0 to 1, one a class, got {thresholds!r}"
        )
    return tuple(values.tolist())


def label_noise(
    model: NoiseModel,
    *,
    noise_matrix: Float64 | None = None,
    inverse_noise_matrix: Float64 | None = None,
    converge: bool = False,
    pulearning: int | None = None,
) -> LabelNoise:
    """Return the noise of a data set: as given, and else by its confident joint.

    Parameters
    ----------
    model : NoiseModel
    noise_matrix, inverse_noise_matrix : ndarray of float64, shape (K, K), optional
        P(given | true) and P(true | given), where they are known; of one the other follows, and
        ``py``, the share of each true label.
    converge : bool
        Whether estimates are fitted to each other.
    pulearning : int, optional
        The class (of two) whose given labels are all right.

    Raises
    ------
    DataError
        If a noise matrix cannot be inverted.
    """
    ps = model.class_counts / model.n_rows
    if inverse_noise_matrix is not None:
        noise = _of_inverse(ps, noise_matrix, inverse_noise_matrix)
    elif noise_matrix is not None:
        noise = _of_noise_matrix(ps, noise_matrix)
    else:
        noise = _estimated(model, converge=converge)
    return noise if pulearning is None else _without_noise_of(noise, pulearning)


def _estimated(model: NoiseModel, *, converge: bool) -> LabelNoise:
    py, noise, inverse = model.prior, model.noise_matrix, model.inverse_noise_matrix
    if converge:
        py, noise, inverse = converged(model.class_counts / model.n_rows, py, noise, inverse)
    return LabelNoise(py, noise, inverse)


def _of_noise_matrix(ps: Float64, noise: Float64) -> LabelNoise:
    try:
        py = np.linalg.inv(noise) @ ps
    except np.linalg.LinAlgError as error:
        raise DataError(
            "noise_matrix cannot be inverted, so it does not say how many rows are of each class; "
            "give inverse_noise_matrix too"
        ) from error
    py = prior(py)
    return LabelNoise(py, noise, clipped_noise(over((noise * py).T, ps)))


def _of_inverse(ps: Float64, noise: Float64 | None, inverse: Float64) -> LabelNoise:
    py = inverse @ ps
    if noise is None:
        noise = clipped_noise(over((inverse * ps).T, py))
    return LabelNoise(py, noise, inverse)


def _without_noise_of(noise: LabelNoise, clean: int) -> LabelNoise:
    """Return the noise of two classes, one of which is always given rightly."""
    other = 1 - clean
    matrix, inverse = noise.noise_matrix.copy(), noise.inverse_noise_matrix.copy()
    matrix[:, other] = np.eye(2)[other]
    inverse[:, clean] = np.eye(2)[clean]
    return replace(noise, noise_matrix=matrix, inverse_noise_matrix=inverse)


def positive_unlabeled(joint: SparseMatrix, clean: int) -> SparseMatrix:
    """Return a joint of two classes (given, true), one of which is always given rightly.

    No row of that given label counts for the other class; of the rows of the other given label one
    alone counts for it, as in cleanlab, so that all of those that may be of the clean class are
    looked at.

    Parameters
    ----------
    joint : SparseMatrix
        Of counts.
    clean : {0, 1}
        The class whose given labels are all right.

    Notes
    -----
    The setting is that of Elkan, Noto, "Learning Classifiers from Only Positive and Unlabeled Data"
    (2008).

    Examples
    --------
    >>> positive_unlabeled(sparse(np.array([[50, 7], [9, 30]])), clean=1).dense()
    array([[ 1,  7],
           [ 0, 30]])
    """
    counts, other = joint.dense(), 1 - clean
    counts[clean, other], counts[other, other] = 0, 1
    return sparse(counts)

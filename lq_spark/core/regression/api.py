"""Label quality of numbers: how well a label agrees with its prediction, 1 clean, 0 suspect.

Every score is exp(-deviation), of one of three deviations: the residual itself; how far the row
lies from others (:mod:`lq_spark.core.regression.outre`); the residual in units of its uncertainty.

Source: Zhou, Mueller, Kumar, Wang, Lei, "Detecting Errors in Numerical Data via any Regression
Model", DMLR (2024), arXiv:2305.16583.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.regression.outre import (
    EXACT_UP_TO,
    ArrayRows,
    fit_distances,
    require_exact_up_to,
)
from lq_spark.core.regression.plane import deviations
from lq_spark.core.regression.rules import n_issues, require_frac_issues
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import LARGEST, TINY
from lq_spark.core.shared.selection import lowest
from lq_spark.errors import DataError, require_one_of

if TYPE_CHECKING:
    import pandas as pd

METHODS: Final = ("outre", "residual")


def get_label_quality_scores(
    labels: ArrayLike,
    predictions: ArrayLike,
    *,
    method: str = "outre",
    exact_up_to: int = EXACT_UP_TO,
) -> Float64:
    """Return a label quality score for each row: 1 clean, 0 suspect.

    Parameters
    ----------
    labels : array-like of numbers, shape (n,)
        Given labels.
    predictions : array-like of numbers, shape (n,)
        Out-of-sample predictions.
    method : {"outre", "residual"}
        How far the row lies from the others in the plane of labels and residuals, in units of the
        median row; or the residual alone, in the labels' own unit.
    exact_up_to : int
        How many rows "outre" compares each with each other one. Beyond, nearly equal rows are taken
        together: scores then are within 0.0025 of the exact ones, as measured
        (:mod:`lq_spark.core.regression.outre_grid`).

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    OptionError
        If an option is not allowed.
    DataError
        If labels or predictions are not numbers, not finite or beyond 1e300, differ in length, or
        there are none.

    Notes
    -----
    Numbers are taken as float64, and means and deviations are exact. cleanlab computes in the given
    types, so that small unsigned labels wrap around and float16 ones overflow; it has score 1 for
    all rows when a variance overflows, gives equal labels a spread by rounding, and refuses a data
    set of one row.

    Examples
    --------
    >>> get_label_quality_scores([1, 2, 3, 4], [2, 2, 5, 4.1]).round(4)
    array([0.2162, 0.6259, 0.2028, 0.6259])
    >>> get_label_quality_scores([1, 2], [1, 4], method="residual").round(4)
    array([1.    , 0.1353])
    """
    require_one_of("method", method, METHODS)
    require_exact_up_to(exact_up_to)
    given, predicted = _checked_pair(labels, predictions)
    if method == "residual":
        return quality(residual_deviations(given, predicted))
    distances = fit_distances(ArrayRows(given, predicted), exact_up_to)
    return quality(deviations(distances, given, predicted))


def find_label_issues(
    labels: ArrayLike,
    predictions: ArrayLike,
    *,
    uncertainty: ArrayLike,
    frac_issues: float,
) -> pd.DataFrame:
    """Return the rows whose residuals are largest beside their uncertainty, as label issues.

    The part of cleanlab's ``CleanLearning.find_label_issues`` that needs no model: it trains models
    to choose ``frac_issues``, and to estimate the uncertainty where none is given.

    Parameters
    ----------
    labels, predictions
        As for :func:`get_label_quality_scores`.
    uncertainty : float or array-like of float, shape (n,)
        How far predictions may be off, in the labels' unit, epistemic and aleatoric together: one
        number for all rows or one for each; none below 0.
    frac_issues : float
        Which share of the rows are issues, from 0 to 1; their number is rounded up.

    Returns
    -------
    pandas.DataFrame
        ``is_label_issue``, ``label_quality`` (1 clean, 0 suspect), ``given_label`` and
        ``predicted_label`` of each row.

    Raises
    ------
    OptionError
        If ``frac_issues`` is no share.
    DataError
        If a number cannot be used, or lengths differ.

    Notes
    -----
    With a = ``|residual / uncertainty|``, the score is exp(-a / median of a). Rows are flagged by
    a, equal ones in their order; cleanlab leaves it to chance which of the scores that are so low
    as to be 0 it flags. Predictions are given back as they are; cleanlab scores them so, but gives
    them back cut to whole numbers where labels are of an integer type. The number of issues is the
    exact product rounded up; cleanlab rounds up the rounded one, 15 of 50 rows at 0.28.

    Examples
    --------
    >>> find_label_issues([1, 2, 3], [1.5, 2, 9], uncertainty=0.5, frac_issues=0.3)
       is_label_issue  label_quality  given_label  predicted_label
    0           False       0.367879          1.0              1.5
    1           False       1.000000          2.0              2.0
    2            True       0.000006          3.0              9.0
    """
    import pandas as pd

    require_frac_issues(frac_issues)
    given, predicted = _checked_pair(labels, predictions)
    scale = np.broadcast_to(_checked_uncertainty(uncertainty, len(given)), given.shape)
    scaled = scaled_residuals(given, predicted, scale)
    flags = np.zeros(len(given), dtype=bool)
    flags[lowest(-scaled, n_issues(len(given), frac_issues))] = True
    return pd.DataFrame(
        {
            "is_label_issue": flags,
            "label_quality": quality(in_medians(scaled, float(np.median(scaled)))),
            "given_label": given,
            "predicted_label": predicted,
        }
    )


def quality(deviations: Float64) -> Float64:
    """Return the score of deviations: 1 where there is none, 0 where it is large."""
    return np.exp(-deviations)


def is_usable(*numbers: Float64) -> NDArray[np.bool_]:
    """Return which rows can be scored, of labels, predictions and, if given, uncertainties."""
    labels, predictions, *uncertainty = numbers
    usable: NDArray[np.bool_] = _is_finite(labels) & _is_finite(predictions)
    for values in uncertainty:
        usable &= _is_finite(values) & (values >= 0.0)
    return usable


def residual_deviations(labels: Float64, predictions: Float64) -> Float64:
    """Return the residuals without their sign."""
    return np.abs(predictions - labels)


def scaled_residuals(labels: Float64, predictions: Float64, uncertainty: Float64) -> Float64:
    """Return the residuals in units of their uncertainty, finite also where that is 0."""
    with np.errstate(over="ignore"):
        scaled = np.abs((predictions - labels) / (uncertainty + TINY))
    return np.minimum(scaled, np.finfo(np.float64).max)


def in_medians(scaled: Float64, median: float) -> Float64:
    """Return scaled residuals as deviations: in units of the median one, finite too."""
    with np.errstate(over="ignore"):
        return np.minimum(scaled / max(median, TINY), np.finfo(np.float64).max)


def _checked_pair(labels: ArrayLike, predictions: ArrayLike) -> tuple[Float64, Float64]:
    given, predicted = _checked(labels, "labels"), _checked(predictions, "predictions")
    if len(given) != len(predicted):
        raise DataError(f"labels has {len(given)} rows, predictions has {len(predicted)}")
    return given, predicted


def _checked(numbers: ArrayLike, name: str) -> Float64:
    array = np.asarray(numbers)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iuf":
        raise DataError(
            f"{name} must be a non-empty 1-D array of numbers, "
            f"got shape {array.shape} of {array.dtype}"
        )
    values = array.astype(np.float64)
    _require_no(~_is_finite(values), values, f"{name}: not finite, or beyond {LARGEST}")
    return values


def _is_finite(values: Float64) -> NDArray[np.bool_]:
    return np.abs(values) <= LARGEST  # not so of NaN


def _checked_uncertainty(uncertainty: ArrayLike, n_rows: int) -> Float64:
    array = np.asarray(uncertainty)
    if array.ndim == 0:
        array = array[np.newaxis]
    elif len(array) != n_rows:
        raise DataError(f"labels has {n_rows} rows, uncertainty has {len(array)}")
    values = _checked(array, "uncertainty")
    _require_no(values < 0.0, values, "uncertainty: below 0")
    return values


def _require_no(bad: NDArray[np.bool_], values: Float64, what: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise DataError(f"{what}: {len(rows)} rows, for instance row {rows[0]}: {values[rows[0]]}")

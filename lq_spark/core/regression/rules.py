"""The options of scores and label issues of numbers: what is allowed, and what is meant."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

from lq_spark.core.regression.outre import require_exact_up_to
from lq_spark.errors import OptionError, require_number, require_one_of

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the residuals that a table's health tells."""

METHODS: Final = ("outre", "residual", "uncertainty")
"""By which deviation a row is scored: how far it lies from others, its residual, its residual in
units of its uncertainty."""

OUTRE_THRESHOLD: Final = 0.05 * math.exp(-1.0)
"""A twentieth of the score of the median row, exp(-1): below it cleanlab's Datalab flags."""


def require_score_options(method: str, uncertainty: object, exact_up_to: object) -> None:
    """Raise OptionError unless the options are allowed, together."""
    require_one_of("method", method, METHODS)
    require_exact_up_to(exact_up_to)
    if method == "uncertainty" and uncertainty is None:
        raise OptionError("method 'uncertainty' needs uncertainty: a column or a number")
    if method != "uncertainty" and uncertainty is not None:
        raise OptionError(
            f"uncertainty is given but method is {method!r}; it is for method 'uncertainty'"
        )
    require_uncertainty(uncertainty)


def require_uncertainty(uncertainty: object) -> None:
    """Raise OptionError unless it is None, a text, or a finite number of at least 0."""
    if isinstance(uncertainty, str) or uncertainty is None:
        return
    is_number = isinstance(uncertainty, (int, float)) and not isinstance(uncertainty, bool)
    if not is_number or not 0.0 <= uncertainty < math.inf:  # type: ignore[operator]
        raise OptionError(
            "uncertainty must be the name of a column or a finite number of at least 0, "
            f"got {uncertainty!r}"
        )


def agreed_threshold(method: str, threshold: object, frac_issues: object) -> float | None:
    """Return the score below which rows are issues; None if a share of them is.

    Raises
    ------
    OptionError
        If the two options are out of range, or do not say which.
    """
    if frac_issues is not None:
        require_frac_issues(frac_issues)
        if threshold is not None:
            raise OptionError("threshold and frac_issues are both given; one of them decides")
        return None
    if threshold is None:
        if method != "outre":
            raise OptionError(
                f"method {method!r} needs threshold or frac_issues: only the scores of 'outre' are "
                "alike from table to table"
            )
        return OUTRE_THRESHOLD
    return require_number("threshold", threshold, 0.0, 1.0)


def require_frac_issues(frac_issues: object) -> None:
    """Raise OptionError unless it is a number from 0 to 1."""
    require_number("frac_issues", frac_issues, 0.0, 1.0)


def n_issues(n_rows: int, frac_issues: float) -> int:
    """Return how many rows a share of them is, rounded up.

    >>> n_issues(100, 0.07)  # 100 * 0.07 is 7.000000000000001
    7
    """
    return math.ceil(Fraction(repr(float(frac_issues))) * n_rows)

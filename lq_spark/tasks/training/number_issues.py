"""Label issues of numbers: which share of the rows they are is found out by training without it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.regression.moments import Moments, r_squared
from lq_spark.core.regression.outre import EXACT_UP_TO
from lq_spark.core.regression.rules import n_issues
from lq_spark.core.training.search import best_share, chosen_share, fine_shares
from lq_spark.engine.kept import kept
from lq_spark.errors import DataError
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.regression.columns import regression_table
from lq_spark.tasks.regression.issues import with_issues
from lq_spark.tasks.regression.passes import fit_deviations
from lq_spark.tasks.training.batches import LABEL, PREDICTION
from lq_spark.tasks.training.rounds import (
    Round,
    Trainer,
    moments_of,
    name_of,
    with_residual_rank,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def without_issues(
    trainer: Trainer,
    first: DataFrame,
    n_folds: int,
    coarse: Sequence[float],
    fine_size: int,
    stack: ExitStack,
) -> tuple[float, DataFrame]:
    """Return which share of the rows to leave out, and the rows as predicted without them, kept.

    That is 0 where models that leave some out do not predict all labels better, or the labels are
    all equal.

    Parameters
    ----------
    trainer : Trainer
    first : DataFrame
        Of :func:`lq_spark.tasks.training.numbers.first_predictions`.
    n_folds : int
    coarse : sequence of float
        The shares to try first, the lowest first.
    fine_size : int
        How many to try on each side of the best of these.
    stack : ExitStack
        Keeps what is needed until it ends.

    Raises
    ------
    DataError
        If one share alone is to be tried, and leaves fewer rows than folds.
    """
    n_rows = trainer.n_rows
    if len(coarse) == 1 and _n_left(n_rows, coarse[0]) < n_folds:
        raise DataError(
            f"coarse_search_range: without a share of {coarse[0]!r} of {n_rows} rows there are "
            f"fewer of them than {trainer.folds}, {n_folds}"
        )
    residual = (F.col(PREDICTION) - F.col(LABEL)).alias("residual")
    labels, residuals = moments_of(first.select(LABEL, residual))
    initial = r_squared(labels, residuals)
    if initial is None:
        return 0.0, first
    largest = max(-residuals.low, residuals.high)
    rows = first.select(*trainer.labels().columns, PREDICTION)
    ranked = stack.enter_context(kept(with_residual_rank(rows, largest)))

    def tried(shares: Sequence[float]) -> Mapping[float, float]:
        return _r_squared_without(trainer, ranked, shares, n_folds, labels, stack)

    of_coarse = tried(coarse)
    of_fine = tried(fine_shares(coarse, best_share(of_coarse), fine_size))
    share = chosen_share(initial, of_coarse, of_fine)
    if not share:
        return share, first
    rounds = [Round(n_folds, 0, n_issues(n_rows, share))]
    made = trainer.predicted(ranked, rounds, stack, stacklevel=None)
    made = made.select(ROW, F.col(name_of(0)).alias(PREDICTION))
    return share, stack.enter_context(kept(first.drop(PREDICTION).join(made, ROW)))


def flagged(found: DataFrame, share: float, uncertainty: str | float) -> DataFrame:
    """Return rows with LABEL and PREDICTION and their issues, what compares them is found now."""
    method = "uncertainty"
    table = regression_table(found, label=LABEL, prediction=PREDICTION, uncertainty=uncertainty)
    deviations = fit_deviations(found, table, method, EXACT_UP_TO, fail=True)
    return with_issues(found, table, ROW, deviations, None, share, fail=True)


def _n_left(n_rows: int, share: float) -> int:
    return n_rows - n_issues(n_rows, share)


def _r_squared_without(
    trainer: Trainer,
    ranked: DataFrame,
    shares: Sequence[float],
    n_folds: int,
    labels: Moments,
    stack: ExitStack,
) -> dict[float, float]:
    """Return R² over all rows of models trained without each share; -inf where few are left.

    All are trained in one query, which gives back sums alone.
    """
    found = dict.fromkeys(shares, -math.inf)
    enough = [share for share in shares if _n_left(trainer.n_rows, share) >= n_folds]
    if not enough:
        return found
    rounds = [Round(n_folds, 0, n_issues(trainer.n_rows, share)) for share in enough]
    made = trainer.predicted(ranked, rounds, stack, stacklevel=None)
    given = made.join(ranked.select(ROW, LABEL), ROW)
    names = [name_of(place) for place in range(len(rounds))]
    residuals = moments_of(
        given.select(*((F.col(name) - F.col(LABEL)).alias(name) for name in names))
    )
    for share, moments in zip(enough, residuals, strict=True):
        explained = r_squared(labels, moments)
        found[share] = -math.inf if explained is None else explained
    return found

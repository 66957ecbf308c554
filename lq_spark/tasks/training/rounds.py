"""Rounds of models of labels that are numbers: each round predicts all rows, with its own folds.

The models of all rounds of a phase are trained in one query. Folds of different rounds are counted
on: those of round r are from r * F on, if a round has F folds at most.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from lq_spark.core.regression.moments import Moments, merge_moments, partial_moments
from lq_spark.core.training.folds import require_held_out
from lq_spark.core.training.samples import training_quotas
from lq_spark.engine.kept import kept
from lq_spark.engine.numbers import values_of
from lq_spark.engine.rank import ranked, ranked_by_code
from lq_spark.engine.readings import column_input
from lq_spark.engine.verbs import reduce_rows, with_mapped
from lq_spark.errors import DataError
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.training.batches import (
    CODE,
    CODES,
    FOLD,
    GROUP,
    LABEL,
    LEFT_OUT,
    PREDICTION,
    round_codes_batch,
)
from lq_spark.tasks.training.fold_task import FoldTask
from lq_spark.tasks.training.passes import (
    IS_TRAINED,
    coded_groups,
    n_parts_of,
    predictions,
    warn_of_drawn,
    with_drawn,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

RANK = "__lq_rank"
_ROUND = "__lq_round"


@dataclass(frozen=True)
class Round:
    """Models that predict all rows, each fold's by one that was trained without it.

    Attributes
    ----------
    n_folds : int
    number : int
        Says which folds: equal ones the same, of the same rows.
    n_left_out : int
        With so many of the rows of lowest RANK no model is trained; the mean of what all predict of
        such a row is its prediction.
    """

    n_folds: int
    number: int
    n_left_out: int = 0


@dataclass(frozen=True)
class Trainer:
    """What rounds have in common.

    Attributes
    ----------
    rows : DataFrame
        ROW, LABEL, CODE, VECTOR and, if there are any, GROUP; kept.
    n_rows : int
    estimator : object
        A regressor, not trained.
    n_features, dtype, kind
        Of a row; of a feature; of an id.
    groups : str or None
        The column of groups.
    seed, max_train_rows : int
    folds : str
        The option that says how many folds there are.
    """

    rows: DataFrame
    n_rows: int
    estimator: Any
    n_features: int
    dtype: DTypeLike
    kind: DataType
    groups: str | None
    seed: int
    max_train_rows: int
    folds: str

    def labels(self, *names: str) -> DataFrame:
        """Return ROW, LABEL, CODE, GROUP if there are any, and other columns of the rows."""
        groups = [] if self.groups is None else [GROUP]
        return self.rows.select(ROW, LABEL, CODE, *groups, *names)

    def predicted(
        self,
        labels: DataFrame,
        rounds: Sequence[Round],
        stack: ExitStack,
        *,
        stacklevel: int | None,
    ) -> DataFrame:
        """Return ROW, FOLD and what each round predicts: columns named by :func:`name_of`. Lazy.

        FOLD is that of the first round; of a row that this leaves out, the last of its models.

        Parameters
        ----------
        labels : DataFrame
            ROW, LABEL to train with, CODE, GROUP if there are any, and RANK if rows are left out;
            it is read a few times.
        rounds : sequence of Round
        stack : ExitStack
            Keeps what is needed until it ends.
        stacklevel : int or None
            Of a warning that not all rows are trained with; None: there has been one.

        Raises
        ------
        DataError
            If a fold holds no rows out.
        """
        most = max(one.n_folds for one in rounds)
        number = F.explode(F.array(*(F.lit(r) for r in range(len(rounds)))))
        each = labels.withColumn(_ROUND, number)
        n_left_out = max(one.n_left_out for one in rounds)
        is_left_out = F.lit(False)
        if n_left_out:
            is_left_out = F.col(RANK) <= _of_round([one.n_left_out for one in rounds])
        folds, counts = self._dealt(each.where(~is_left_out), rounds, most, stack)
        level = None if stacklevel is None else stacklevel + 1
        folds = self._drawn(folds, rounds, counts, level)
        if n_left_out:
            fold, is_trained = F.lit(LEFT_OUT).alias(FOLD), F.lit(False).alias(IS_TRAINED)
            left = each.where(is_left_out).select(ROW, LABEL, _ROUND, fold, is_trained)
            folds = folds.unionByName(left)
        n_parts = n_parts_of(int(counts.max()) + n_left_out, self.n_features)
        if n_parts > 1:
            folds = stack.enter_context(kept(folds))
        task = FoldTask(self.estimator, None, most, self.n_features, self.dtype)
        first = F.col(_ROUND) * F.lit(most)
        found = predictions(
            self.rows,
            folds,
            task,
            self.kind,
            first=first,
            last=first + _of_round([one.n_folds for one in rounds]) - F.lit(1),
            n_models=len(rounds) * most,
            n_parts=n_parts,
            stack=stack,
        )
        return _joined(found, rounds, most)

    def _dealt(
        self, each: DataFrame, rounds: Sequence[Round], most: int, stack: ExitStack
    ) -> tuple[DataFrame, NDArray[np.int64]]:
        """Return ROW, LABEL, round, CODE, FOLD of rows, and how many of each, shape (R, F)."""
        recode = round_codes_batch([one.number for one in rounds])
        inputs = [column_input(CODE), column_input(_ROUND)]
        n_folds = _of_round([one.n_folds for one in rounds])
        dealt = F.col(_ROUND) * F.lit(most) + F.pmod(F.col("rank") - 1, n_folds).cast("int")
        group, code = F.col(_ROUND).cast("bigint").alias("group"), F.col(CODE).alias("code")
        counts = np.zeros((len(rounds), most), dtype=np.int64)
        if self.groups is None:
            recoded = with_mapped(each, recode, inputs, CODES, keep=[ROW, LABEL, _ROUND])
            narrow = recoded.select(F.col(ROW).alias("key"), group, code, _ROUND, LABEL)
            folds = ranked_by_code(narrow, "group").select(
                F.col("key").alias(ROW),
                LABEL,
                _ROUND,
                F.col("code").alias(CODE),
                dealt.alias(FOLD),
            )
            for place, one in enumerate(rounds):
                ranks = np.arange(self.n_rows - one.n_left_out)
                counts[place] = np.bincount(ranks % one.n_folds, minlength=most)
        else:
            coded = coded_groups(each, self.seed)
            there = each.select(GROUP, _ROUND).distinct().join(coded, GROUP)
            there = with_mapped(there, recode, inputs, CODES, keep=[GROUP, _ROUND])
            narrow = there.select(F.col(GROUP).alias("key"), group, code, _ROUND)
            of_group = ranked_by_code(narrow, "group").select(
                F.col("key").alias(GROUP), _ROUND, dealt.alias(FOLD)
            )
            joined = each.join(of_group, [GROUP, _ROUND]).select(ROW, LABEL, _ROUND, CODE, FOLD)
            folds = stack.enter_context(kept(joined))
            for fold, n in folds.groupBy(FOLD).count().collect():
                counts[divmod(fold, most)] = n
        named = None if self.groups is None else f"groups: column {self.groups!r}"
        for one, of_folds in zip(rounds, counts, strict=True):
            require_held_out(of_folds[: one.n_folds], groups=named, option=self.folds)
        return folds, counts

    def _drawn(
        self,
        folds: DataFrame,
        rounds: Sequence[Round],
        counts: NDArray[np.int64],
        stacklevel: int | None,
    ) -> DataFrame:
        """Return ROW, LABEL, round, FOLD and IS_TRAINED, and warn if not all are."""
        there = [c[: r.n_folds, np.newaxis] for c, r in zip(counts, rounds, strict=True)]
        quotas = [training_quotas(of_folds, self.max_train_rows) for of_folds in there]
        drawn = [n for n, quota in enumerate(quotas) if quota is not there[n]]
        if not drawn:
            return folds.select(ROW, LABEL, _ROUND, FOLD, F.lit(True).alias(IS_TRAINED))
        if stacklevel is not None:
            some, of_all, limit = quotas[drawn[0]], there[drawn[0]], self.max_train_rows
            warn_of_drawn(limit, some, of_all, "", stacklevel=stacklevel + 1)
        of_cells = np.zeros_like(counts)
        for row, of_folds in zip(of_cells, quotas, strict=True):
            row[: len(of_folds)] = of_folds[:, 0]
        cell = F.col(FOLD).cast("bigint")
        return with_drawn(folds, cell, of_cells.reshape(-1).tolist(), [LABEL, _ROUND, FOLD])


def name_of(number: int) -> str:
    """Return the column of what a round predicts."""
    return f"__lq_predicted_{number}"


def with_residual_rank(df: DataFrame, largest: float) -> DataFrame:
    """Return a table with RANK: 1 for the largest residual, of equal ones for the lowest id.

    Parameters
    ----------
    df : DataFrame
        ROW, LABEL and PREDICTION, and any others.
    largest : float
        A bound of the residuals, without their signs.
    """
    away = F.abs(F.col(PREDICTION) - F.col(LABEL))
    share = F.lit(1.0) - away / F.lit(largest or 1.0)
    others = [name for name in df.columns if name not in (ROW, PREDICTION)]
    rows = df.select(F.col(ROW).alias("key"), (-away).alias("value"), share.alias("share"), *others)
    return ranked(rows, share="share").select(
        F.col("key").alias(ROW), *others, F.col("rank").alias(RANK)
    )


def moments_of(numbers: DataFrame) -> list[Moments]:
    """Return the moments of each column of doubles without nulls, of a table that has rows."""

    def partial(batch: pa.RecordBatch) -> list[Moments]:
        return [partial_moments(values_of(column)) for column in batch.columns]

    def merge(a: list[Moments], b: list[Moments]) -> list[Moments]:
        return [merge_moments(*pair) for pair in zip(a, b, strict=True)]

    found = reduce_rows(numbers, partial, merge)
    if found is None:
        raise DataError("the table had rows when they were counted and now has none")
    return found


def _of_round(numbers: Sequence[int]) -> Column:
    """Return the number of a row's round."""
    return F.element_at(F.array(*(F.lit(n) for n in numbers)), F.col(_ROUND) + F.lit(1))


def _joined(found: DataFrame, rounds: Sequence[Round], most: int) -> DataFrame:
    """Return a row of each id: what each round predicts, added up in the order of the folds."""
    aggregates: list[Column] = []
    made: list[Column] = []
    for place, one in enumerate(rounds):
        names = [f"__lq_fold_{place * most + fold}" for fold in range(one.n_folds)]
        for number, name in enumerate(names):
            is_here = F.col(FOLD) == place * most + number
            aggregates.append(F.max(F.when(is_here, F.col(PREDICTION))).alias(name))
        columns = [F.col(name) for name in names]
        total = functools.reduce(operator.add, (F.coalesce(c, F.lit(0.0)) for c in columns))
        n = functools.reduce(operator.add, (c.isNotNull().cast("double") for c in columns))
        made.append((total / n).alias(name_of(place)))
    is_first = F.col(FOLD) < rounds[0].n_folds
    aggregates.append(F.max(F.when(is_first, F.col(FOLD))).alias(FOLD))
    return found.groupBy(ROW).agg(*aggregates).select(ROW, FOLD, *made)

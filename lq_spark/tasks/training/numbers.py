"""Predictions of rows by regressors that were trained without them, and how far they may be off."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StructField, StructType

from lq_spark.core.training.folds import N_FOLDS
from lq_spark.core.training.search import epistemic_uncertainty
from lq_spark.engine.arrow import list_rows
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, column_type, require_new_columns
from lq_spark.engine.kept import kept
from lq_spark.engine.numbers import array_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import DataError, OptionError, require_whole_number
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.columns import Features, resolved_n_features
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.training.batches import FOLD, LABEL, PREDICTION
from lq_spark.tasks.training.columns import NumberTable, number_table
from lq_spark.tasks.training.estimators import MAX_TRAIN_ROWS, checked_regressor, told_failures
from lq_spark.tasks.training.passes import rows_to_train
from lq_spark.tasks.training.rounds import Round, Trainer, moments_of, name_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

N_BOOT: Final = 5
"""How often models of half of the rows are trained, to see how far predictions spread."""

UNCERTAINTY = "uncertainty"
_SPREAD = "__lq_spread"


def cross_val_predict_numbers(
    df: DataFrame,
    estimator: Any = None,
    *,
    id: str = "id",
    label: str = "label",
    features: Features = "features",
    n_folds: int = N_FOLDS,
    groups: str | None = None,
    seed: int = 0,
    max_train_rows: int = MAX_TRAIN_ROWS,
    n_boot: int = N_BOOT,
    include_aleatoric_uncertainty: bool = True,
) -> DataFrame:
    """Return the table with out-of-sample ``prediction``, ``fold`` and ``uncertainty``.

    The rows are dealt out to folds in turn, in the order of a hash of their ids. Those of a fold
    are predicted by a model that was trained with the other folds alone. Computed now, and held as
    long as the result, which is the same to the bit on any partitions, if the estimator is on equal
    data: each model is trained with its rows in the order of their ids.

    Parameters
    ----------
    df : DataFrame
        Label and features of each row.
    estimator : object, optional
        A regressor with ``fit`` and ``predict``, as scikit-learn's have them: each fold's is a copy
        by ``sklearn.base.clone``, trained in one task. A ``random_state`` that is None becomes the
        seed. By default scikit-learn's ``LinearRegression()``, as in cleanlab.
    id : str
        Column that tells the rows apart.
    label : str
        Given labels: whole numbers, float, double or decimal, taken as doubles.
    features : str or sequence of str
        A column of arrays of numbers or of Spark ML vectors, or columns of one number each.
    n_folds : int
        At least 2.
    groups : str, optional
        Column of what rows have in common, such as a patient: rows of one group are held out
        together, and the groups are dealt out in turn.
    seed : int
        Of the hash.
    max_train_rows : int
        With so many rows a model is trained at most, at least ``n_folds``; if there are more, they
        are drawn by the hash, the same share of each fold, and a warning says how many.
    n_boot : int
        How many times the rows are cut in two halves, each predicted by a model of the other one,
        to see how far predictions spread; 0: not at all.
    include_aleatoric_uncertainty : bool
        Whether models are trained to predict the residuals, too, to see how large those are.

    Returns
    -------
    DataFrame
        The table with ``prediction`` (double), ``fold`` (int, from 0) and ``uncertainty`` (double,
        at least 0): how far predictions may be off, all in the label's unit. It is the sum of the
        epistemic one, the population standard deviation of a row's prediction and its ``n_boot``
        others, and the aleatoric one, that of the out-of-sample predictions of all residuals
        (prediction minus label). Without both it is 0.

    Raises
    ------
    ColumnError, OptionError
        If a column, an option or the estimator is wrong: before a Spark job starts.
    EngineError
        If scikit-learn is not installed.
    InvalidRowsError
        If an id is null or occurs twice, or a row has no finite label, usable features or group.
    DataError
        If there are fewer rows or groups than folds. An estimator that fails does so with its
        message and the number of the fold.

    Notes
    -----
    Source: Zhou, Mueller, Kumar, Wang, Lei, "Detecting Errors in Numerical Data via any Regression
    Model", DMLR (2024), arXiv:2305.16583, section 4.

    Examples
    --------
    >>> import pandas as pd
    >>> from lq_spark import local, regression, training
    >>> rows = {"id": range(40), "label": [n * n for n in range(40)], "size": range(40)}
    >>> df = local.session().createDataFrame(pd.DataFrame(rows))
    >>> scored = training.cross_val_predict_numbers(df, features=["size"])
    >>> scored.columns
    ['id', 'label', 'size', 'prediction', 'fold', 'uncertainty']
    >>> regression.score(scored, method="uncertainty", uncertainty="uncertainty").columns[-1]
    'label_quality'
    """
    refuse_stream(df, "training.cross_val_predict_numbers")
    require_rounds(n_folds, n_boot, include_aleatoric_uncertainty, seed, max_train_rows)
    table = number_table(df, id=id, label=label, features=features, groups=groups)
    require_new_columns(df, [PREDICTION, FOLD, UNCERTAINTY])
    trained = checked_regressor(estimator, seed)
    with told_failures(), Held() as held, ExitStack() as stack:
        trainer = trainer_of(df, table, trained, seed, max_train_rows, n_folds, stack)
        first = first_predictions(trainer, n_folds, n_boot, stack)
        made = with_uncertainty(
            trainer, first, n_folds, n_boot, stack, aleatoric=include_aleatoric_uncertainty
        )
        found = held.hold(made.select(ROW, PREDICTION, FOLD, UNCERTAINTY))
        found.count()  # now, while what it is made of is kept
        names = [column(name) for name in (*df.columns, PREDICTION, FOLD, UNCERTAINTY)]
        result = df.join(found, column(id) == column(ROW)).select(*names)
        return held.until_gone(result)


def require_rounds(
    n_folds: object,
    n_boot: object,
    aleatoric: object,
    seed: object,
    max_train_rows: object,
    folds: str = "n_folds",
) -> None:
    """Raise OptionError unless the options are allowed; ``folds`` names the number of folds."""
    require_whole_number(folds, n_folds, 2)
    require_whole_number("n_boot", n_boot, 0)
    require_whole_number("seed", seed, 0)
    require_whole_number("max_train_rows", max_train_rows, n_folds)  # type: ignore[arg-type]
    if not isinstance(aleatoric, bool):
        raise OptionError(f"include_aleatoric_uncertainty must be True or False, got {aleatoric!r}")


def trainer_of(
    df: DataFrame,
    table: NumberTable,
    estimator: Any,
    seed: int,
    max_train_rows: int,
    n_folds: int,
    stack: ExitStack,
    folds: str = "n_folds",
) -> Trainer:
    """Return what trains models of a table, whose rows are checked and kept.

    Raises
    ------
    InvalidRowsError
        If a row cannot be used.
    DataError
        If there are fewer rows than folds; ``folds`` names their number.
    """
    n_features = resolved_n_features(df, table.features, None)
    rows = rows_to_train(df, table, n_features, seed, stack)
    n_rows = rows.count()
    if n_rows < n_folds:
        raise DataError(f"the table has {n_rows} rows, fewer than {folds}, {n_folds}")
    return Trainer(
        rows=rows,
        n_rows=n_rows,
        estimator=estimator,
        n_features=n_features,
        dtype=table.features.dtype,
        kind=column_type(df, table.id),
        groups=table.groups,
        seed=seed,
        max_train_rows=max_train_rows,
        folds=folds,
    )


def first_predictions(
    trainer: Trainer, n_folds: int, n_boot: int, stack: ExitStack, *, stacklevel: int = 3
) -> DataFrame:
    """Return all rows with PREDICTION and what each of ``n_boot`` rounds of halves predicts, kept.

    They have the columns of :meth:`Trainer.labels`, FOLD, PREDICTION, and those of
    :func:`lq_spark.tasks.training.rounds.name_of` from 1 on.
    """
    rounds = [Round(n_folds, 0), *(Round(2, number) for number in range(1, n_boot + 1))]
    found = trainer.predicted(trainer.labels(), rounds, stack, stacklevel=stacklevel)
    found = found.withColumnRenamed(name_of(0), PREDICTION)
    return stack.enter_context(kept(trainer.labels().join(found, ROW)))


def with_uncertainty(
    trainer: Trainer,
    found: DataFrame,
    n_folds: int,
    n_boot: int,
    stack: ExitStack,
    *,
    aleatoric: bool,
) -> DataFrame:
    """Return rows of :func:`first_predictions` with UNCERTAINTY; what it takes is found now."""
    if n_boot:
        schema = StructType([StructField(_SPREAD, DoubleType())])
        names = [*(name_of(number) for number in range(1, n_boot + 1)), PREDICTION]
        found = with_mapped(found, _spread_batch(len(names)), [F.array(*names)], schema)
    else:
        found = found.withColumn(_SPREAD, F.lit(0.0))
    overall = 0.0
    if aleatoric:
        residual = (F.col(PREDICTION) - F.col(LABEL)).alias(LABEL)
        others = [name for name in trainer.labels().columns if name not in (ROW, LABEL)]
        rounds = [Round(n_folds, n_boot + 1)]
        made = trainer.predicted(
            found.select(ROW, residual, *others), rounds, stack, stacklevel=None
        )
        [moments] = moments_of(made.select(name_of(0)))
        overall = moments.std
    return found.withColumn(UNCERTAINTY, F.col(_SPREAD) + F.lit(overall)).drop(_SPREAD)


def _spread_batch(n_predictions: int) -> BatchFunction:
    """Return (predictions of a row) -> how far they spread."""

    def run(lists: pa.Array) -> dict[str, pa.Array]:
        return {_SPREAD: array_of(epistemic_uncertainty(list_rows(lists, n_predictions).matrix))}

    return run

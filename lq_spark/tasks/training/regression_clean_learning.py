"""From labels that are numbers to their issues, and to a model that is trained without those."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from lq_spark.core.regression.rules import require_uncertainty
from lq_spark.core.training.folds import N_FOLDS
from lq_spark.core.training.search import COARSE, FINE, checked_shares
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, require_new_columns, require_number_column
from lq_spark.errors import InvalidRowsError, require_unused, require_whole_number
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.columns import Features
from lq_spark.tasks.regression.columns import UNCERTAINTY_NOT_FINITE, checked_number
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.training.columns import number_table, require_weights, with_given_issues
from lq_spark.tasks.training.estimators import (
    MAX_TRAIN_ROWS,
    checked_regressor,
    require_takes_weights,
    told_failures,
)
from lq_spark.tasks.training.learner import Learner
from lq_spark.tasks.training.number_issues import flagged, without_issues
from lq_spark.tasks.training.number_model import NumberModel, explained_share, train_number_model
from lq_spark.tasks.training.numbers import (
    N_BOOT,
    UNCERTAINTY,
    first_predictions,
    require_rounds,
    trainer_of,
    with_uncertainty,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_ADDED = (IS_LABEL_ISSUE, PREDICTED_LABEL, LABEL_QUALITY)


class RegressionCleanLearning(Learner[NumberModel]):
    """A regressor that finds the label issues of its training rows, and is trained without them.

    Parameters
    ----------
    model : object, optional
        A regressor with ``fit`` and ``predict``, as for
        :func:`lq_spark.training.cross_val_predict_numbers`. By default scikit-learn's
        ``LinearRegression()``.
    id, label, features, groups
        The columns of the tables to come, as for
        :func:`lq_spark.training.cross_val_predict_numbers`.
    cv_n_folds : int
        Folds of the cross-validation; at least 2.
    n_boot, include_aleatoric_uncertainty, seed, max_train_rows
        As for :func:`lq_spark.training.cross_val_predict_numbers`.

    Attributes
    ----------
    model : object
        What was trained by :meth:`fit`; None before.
    k : float
        The share of the rows that the last label issues were; None before.

    Notes
    -----
    The parameters are those of cleanlab's ``regression.learn.CleanLearning``, but for the columns
    and what a table of any size has no use for. Each call begins anew. The folds of all shares that
    are tried are dealt out by the same hash, so that one with equal rows is equally good; cleanlab
    draws others each time. What is predicted is a double, also where labels are whole numbers, of
    which cleanlab cuts the decimals off.

    Source: Zhou, Mueller, Kumar, Wang, Lei, "Detecting Errors in Numerical Data via any Regression
    Model", DMLR (2024), arXiv:2305.16583.

    Examples
    --------
    >>> import pandas as pd
    >>> from lq_spark import local, training
    >>> rows = {"id": range(60), "label": [n / 2 for n in range(60)], "size": range(60)}
    >>> rows["label"][7] = 90.0
    >>> df = local.session().createDataFrame(pd.DataFrame(rows))
    >>> cleaned = training.RegressionCleanLearning(features=["size"])
    >>> found = cleaned.find_label_issues(df, coarse_search_range=[0.01])
    >>> found.where("is_label_issue").select("id").collect()
    [Row(id=7)]
    >>> round(cleaned.fit(df, label_issues=found).score(df.where("id != 7")), 6)
    1.0
    """

    _kind = NumberModel

    def __init__(
        self,
        model: Any = None,
        *,
        id: str = "id",
        label: str = "label",
        features: Features = "features",
        cv_n_folds: int = N_FOLDS,
        n_boot: int = N_BOOT,
        include_aleatoric_uncertainty: bool = True,
        seed: int = 0,
        groups: str | None = None,
        max_train_rows: int = MAX_TRAIN_ROWS,
    ) -> None:
        require_rounds(
            cv_n_folds, n_boot, include_aleatoric_uncertainty, seed, max_train_rows, "cv_n_folds"
        )
        checked_regressor(model, seed, "model")
        self._given = model
        self.id, self.label, self.features, self.groups = id, label, features, groups
        self.cv_n_folds, self.n_boot = cv_n_folds, n_boot
        self.include_aleatoric_uncertainty = include_aleatoric_uncertainty
        self.seed, self.max_train_rows = seed, max_train_rows
        self._share: float | None = None

    def find_label_issues(
        self,
        df: DataFrame,
        *,
        uncertainty: str | float | None = None,
        coarse_search_range: Sequence[float] = COARSE,
        fine_search_size: int = FINE,
    ) -> DataFrame:
        """Return the table with its label issues. Computed now, and held as long as the result.

        The rows are predicted by cross-validation. Then models are trained without the share of the
        rows whose residuals are largest, of several shares, and predict all of them: the issues are
        the share whose models do best (by R²), none if models of all rows do as well. Which rows
        they are, their label quality says: exp(-a / median of a), with a = |residual /
        uncertainty|.

        Parameters
        ----------
        df : DataFrame
        uncertainty : str or float, optional
            How far predictions may be off, in the label's unit: a column, or one number for all
            rows; at least 0. Where not given, it is estimated as by
            :func:`lq_spark.training.cross_val_predict_numbers`.
        coarse_search_range : sequence of float
            The shares of the rows to try, each above 0 and below 1. One that leaves fewer rows than
            folds is not.
        fine_search_size : int
            How many more shares to try on each side of the best one, up to its neighbours. 0: none;
            nor where one share alone is tried.

        Returns
        -------
        DataFrame
            The table with ``is_label_issue`` (boolean), ``predicted_label`` (double) and
            ``label_quality`` (double, 1 clean, 0 suspect).

        Raises
        ------
        ColumnError, OptionError
            If a column or an option is wrong: before a Spark job starts.
        InvalidRowsError, DataError, EngineError
            As :func:`lq_spark.training.cross_val_predict_numbers`; if an uncertainty is none; if
            the one share to try leaves fewer rows than folds.
        """
        return self._found(df, uncertainty, coarse_search_range, fine_search_size, stacklevel=2)

    def fit(
        self,
        df: DataFrame,
        *,
        label_issues: str | DataFrame | None = None,
        sample_weight: str | None = None,
        uncertainty: str | float | None = None,
        coarse_search_range: Sequence[float] | None = None,
        fine_search_size: int | None = None,
    ) -> RegressionCleanLearning:
        """Train the regressor with the rows that are no label issues; return this object.

        Parameters
        ----------
        df, uncertainty, coarse_search_range, fine_search_size
            As for :meth:`find_label_issues`, which is called first.
        label_issues : str or DataFrame, optional
            What is known of the issues already: a column of booleans in ``df``; or a table with the
            id of each row and ``is_label_issue``. Then none are sought.
        sample_weight : str, optional
            Column of the weights of the rows in the last training.

        Raises
        ------
        ColumnError, OptionError
            If a column or an option is wrong.
        InvalidRowsError
            If a row cannot be used, or it is not known whether it is an issue.
        DataError, EngineError
            As :meth:`find_label_issues`; if the regressor fails, with its message.
        """
        refuse_stream(df, "training.RegressionCleanLearning.fit")
        estimator = checked_regressor(self._given, self.seed, "model")
        if sample_weight is not None:
            require_takes_weights(estimator)
            require_weights(df, sample_weight)
        self._last = None
        if label_issues is None:
            coarse = COARSE if coarse_search_range is None else coarse_search_range
            fine = FINE if fine_search_size is None else fine_search_size
            found = self._found(df, uncertainty, coarse, fine, stacklevel=2)
        else:
            require_unused(
                "label_issues",
                uncertainty=uncertainty,
                coarse_search_range=coarse_search_range,
                fine_search_size=fine_search_size,
            )
            found = with_given_issues(df, self.id, label_issues)
            if not self._found_last(df, label_issues):
                self._issues, self._share = None, None
        self._last = train_number_model(
            found.where(~column(IS_LABEL_ISSUE)),
            estimator,
            id=self.id,
            label=self.label,
            features=self.features,
            seed=self.seed,
            max_train_rows=self.max_train_rows,
            sample_weight=sample_weight,
        )
        return self

    def predict(self, df: DataFrame) -> DataFrame:
        """Return the table with ``predicted_label`` (double) of the model. Lazy.

        Raises
        ------
        OptionError
            If there is no model yet.
        ColumnError
            If a column is wrong or there already.
        InvalidRowsError
            If the features of a row cannot be used; when the result is computed.
        """
        return self.trained.predict(df, PREDICTED_LABEL)

    def score(self, df: DataFrame) -> float:
        """Return R², the share of the labels' variance that the model explains: 1 all. Now.

        Where labels are all equal, as in scikit-learn, it is 1 if all are predicted, else 0.

        Raises
        ------
        InvalidRowsError
            If a row has no finite label, or no usable features.
        DataError
            If the table is empty.
        """
        refuse_stream(df, "training.RegressionCleanLearning.score")
        return explained_share(self.trained, df, self.label)

    @property
    def k(self) -> float | None:
        """Return which share of the rows the last label issues were."""
        return self._share

    def _found(
        self,
        df: DataFrame,
        uncertainty: str | float | None,
        coarse_search_range: Sequence[float],
        fine_search_size: int,
        *,
        stacklevel: int,
    ) -> DataFrame:
        self._issues, self._share = None, None
        refuse_stream(df, "training.RegressionCleanLearning.find_label_issues")
        coarse = checked_shares("coarse_search_range", coarse_search_range)
        require_whole_number("fine_search_size", fine_search_size, 0)
        require_uncertainty(uncertainty)
        table = number_table(
            df, id=self.id, label=self.label, features=self.features, groups=self.groups
        )
        require_new_columns(df, _ADDED)
        if isinstance(uncertainty, str):
            require_number_column(df, "uncertainty", uncertainty)
        estimator = checked_regressor(self._given, self.seed, "model")
        if isinstance(uncertainty, str):
            _require_uncertainties(df, uncertainty)
        folds, n_boot = self.cv_n_folds, self.n_boot if uncertainty is None else 0
        with told_failures(), Held() as held, ExitStack() as stack:
            trainer = trainer_of(
                df, table, estimator, self.seed, self.max_train_rows, folds, stack, "cv_n_folds"
            )
            first = first_predictions(trainer, folds, n_boot, stack, stacklevel=stacklevel + 2)
            share, found = without_issues(trainer, first, folds, coarse, fine_search_size, stack)
            scale: str | float = UNCERTAINTY
            if uncertainty is None:
                aleatoric = self.include_aleatoric_uncertainty
                found = with_uncertainty(trainer, found, folds, n_boot, stack, aleatoric=aleatoric)
            elif isinstance(uncertainty, str):
                number = column(uncertainty).cast("double").alias(UNCERTAINTY)
                found = found.join(df.select(column(self.id).alias(ROW), number), ROW)
            else:
                scale = uncertainty
            made = held.hold(flagged(found, share, scale).select(ROW, *_ADDED))
            made.count()  # now, while what it is made of is kept
            result = df.join(made, column(self.id) == column(ROW))
            result = held.until_gone(result.select(*map(column, (*df.columns, *_ADDED))))
        self._issues, self._share = result, share
        return result


def _require_uncertainties(df: DataFrame, name: str) -> None:
    """Raise InvalidRowsError unless each row has an uncertainty of at least 0."""
    number, reason = checked_number(df, "uncertainty", name, "null", UNCERTAINTY_NOT_FINITE)
    if n_bad := df.where(reason.isNotNull() | (number < 0.0)).count():
        raise InvalidRowsError(
            f"{n_bad} rows have a {name} that is no uncertainty: it must be a finite number from 0"
        )

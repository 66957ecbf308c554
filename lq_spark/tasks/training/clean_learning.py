"""From labelled rows to their label issues, and to a model trained without those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.training.folds import N_FOLDS
from lq_spark.core.training.noise import (
    told_matrix,
)
from lq_spark.engine.inputs import column
from lq_spark.errors import (
    OptionError,
    require_unused,
    require_whole_number,
)
from lq_spark.tasks.neighbors.columns import Features
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, PREDICTED_LABEL
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.training.batches import PRED_PROBS
from lq_spark.tasks.training.class_model import ClassModel, accuracy, train_class_model
from lq_spark.tasks.training.columns import require_weights, with_given_issues
from lq_spark.tasks.training.cross_validation import cross_val_predict
from lq_spark.tasks.training.estimators import (
    agreed_max_rows,
    checked_estimator,
    checked_fit_kwargs,
    require_predict,
    require_takes_weights,
    takes_weights,
)
from lq_spark.tasks.training.found_noise import (
    ISSUE_OPTIONS,
    QUALITY_OPTIONS,
    NoiseFigures,
    Told,
    checked_options,
    found_noise,
)
from lq_spark.tasks.training.learner import Learner

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class CleanLearning(Learner[ClassModel], NoiseFigures):
    """A classifier that finds the label issues of its training rows, and is trained without them.

    Parameters
    ----------
    clf : object, optional
        A classifier as for :func:`lq_spark.training.cross_val_predict`, of scikit-learn or like
        them, or of ``pyspark.ml``. By default scikit-learn's ``LogisticRegression()``.
    id, label, features, classes, groups
        The columns of the tables to come, as for :func:`lq_spark.training.cross_val_predict`.
    seed : int
        Of the folds, and of a classifier that has none.
    cv_n_folds : int
        Folds of the cross-validation; at least 2.
    max_train_rows, batch_rows : int, optional
        As for :func:`lq_spark.training.cross_val_predict`; of the last model too.
    converge_latent_estimates : bool
        Whether the estimates of noise are fitted to each other.
    pulearning : {0, 1}, optional
        The class, of two, whose given labels are all right: of labels that are positive or not
        known (1).
    find_label_issues_kwargs : mapping, optional
        Options of :func:`lq_spark.multiclass.find_issues`: ``filter_by``, ``frac_noise``,
        ``num_to_remove_per_class``, ``min_examples_per_class`` (10 where not given, as in
        cleanlab's class), ``collision_rule``.
    label_quality_scores_kwargs : mapping, optional
        Its ``method`` and ``adjust_pred_probs``.

    Attributes
    ----------
    clf : object
        As given. Each training is that of a copy.
    model : object
        What was trained by :meth:`fit`; None before.
    noise_model, py, noise_matrix, inverse_noise_matrix, confident_joint
        The noise that the last label issues were found under; None before.

    Notes
    -----
    The parameters are those of cleanlab's ``classification.CleanLearning``, but for the columns
    and what a table of any size has no use for. Each call begins anew: nothing of an earlier one
    changes it, and the classifier and the options that were given stay as they are.

    Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), sections 3 and 4.

    Examples
    --------
    >>> import pandas as pd
    >>> from lq_spark import local, training
    >>> rows = {"id": range(60), "label": [0, 1] * 30, "size": [5.0 * (n % 2) for n in range(60)]}
    >>> rows["label"][7] = 0
    >>> df = local.session().createDataFrame(pd.DataFrame(rows))
    >>> cleaned = training.CleanLearning(features=["size"])
    >>> cleaned.find_label_issues(df).where("is_label_issue").select("id").collect()
    [Row(id=7)]
    >>> cleaned.fit(df).score(df)
    0.9833333333333333
    """

    _kind = ClassModel

    def __init__(
        self,
        clf: Any = None,
        *,
        id: str = "id",
        label: str = "label",
        features: Features = "features",
        classes: Sequence[str] | None = None,
        groups: str | None = None,
        seed: int = 0,
        cv_n_folds: int = N_FOLDS,
        max_train_rows: int | None = None,
        batch_rows: int | None = None,
        converge_latent_estimates: bool = False,
        pulearning: int | None = None,
        find_label_issues_kwargs: Mapping[str, Any] | None = None,
        label_quality_scores_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        require_whole_number("seed", seed, 0)
        require_whole_number("cv_n_folds", cv_n_folds, 2)
        if pulearning not in (None, 0, 1) or isinstance(pulearning, bool):
            raise OptionError(f"pulearning must be 0, 1 or None, got {pulearning!r}")
        trained = checked_estimator(clf, seed)
        require_predict(trained)
        agreed_max_rows(trained, max_train_rows, batch_rows)
        self._given = self.clf = clf
        self.id, self.label, self.features = id, label, features
        self.classes = None if classes is None else tuple(classes)
        self.groups, self.seed, self.cv_n_folds = groups, seed, cv_n_folds
        self.max_train_rows, self.batch_rows = max_train_rows, batch_rows
        self.converge_latent_estimates = converge_latent_estimates
        self.pulearning = pulearning
        self.find_label_issues_kwargs = checked_options(
            "find_label_issues_kwargs", find_label_issues_kwargs, ISSUE_OPTIONS
        )
        self.label_quality_scores_kwargs = checked_options(
            "label_quality_scores_kwargs", label_quality_scores_kwargs, QUALITY_OPTIONS
        )
        Rule(**{"filter_by": "prune_by_noise_rate", **self.find_label_issues_kwargs})
        require_method(**{"method": "self_confidence", **self.label_quality_scores_kwargs})

    def find_label_issues(
        self,
        df: DataFrame,
        *,
        pred_probs: str | None = None,
        thresholds: Thresholds | ArrayLike | None = None,
        noise_matrix: ArrayLike | None = None,
        inverse_noise_matrix: ArrayLike | None = None,
        clf_kwargs: Mapping[str, Any] | None = None,
    ) -> DataFrame:
        """Return the table with its label issues, by cross-validation.

        Parameters
        ----------
        df : DataFrame
        pred_probs : str, optional
            Column of out-of-sample probabilities, as for :func:`lq_spark.multiclass.find_issues`,
            where there are some already: then nothing is trained.
        thresholds : Thresholds or array-like of float, shape (K,), optional
            Confident thresholds by which the confident joint is counted; else those of the table.
        noise_matrix, inverse_noise_matrix : array-like of float, shape (K, K), optional
            P(given | true) and P(true | given), where they are known: columns sum to 1. They say
            what classes weigh in the last training; which rows are issues they do not say.
        clf_kwargs : mapping, optional
            What else ``fit`` of a classifier like those of scikit-learn is given.

        Returns
        -------
        DataFrame
            The table with ``pred_probs`` and ``fold``, unless they were given, ``is_label_issue``,
            ``predicted_label`` and ``label_quality`` (1 clean, 0 suspect).

        Raises
        ------
        ColumnError, OptionError
            If a column or an option is wrong.
        InvalidRowsError, DataError, EngineError
            As :func:`lq_spark.training.cross_val_predict` and
            :func:`lq_spark.multiclass.find_issues`.
        """
        self._issues = self._found = None
        refuse_stream(df, "training.CleanLearning.find_label_issues")
        noise = told_matrix("noise_matrix", noise_matrix)
        inverse = told_matrix("inverse_noise_matrix", inverse_noise_matrix)
        if pred_probs is not None:
            require_unused("pred_probs", clf_kwargs=clf_kwargs)
        told = Told(thresholds, noise, inverse, self.pulearning)
        if pred_probs is None:
            told.require_of_labels(df, self.label, self.classes)
        fit_kwargs = checked_fit_kwargs("clf_kwargs", clf_kwargs, self.clf)
        scored = df
        if pred_probs is None:
            scored = cross_val_predict(
                df,
                self.clf,
                **self._columns,
                n_folds=self.cv_n_folds,
                groups=self.groups,
                seed=self.seed,
                max_train_rows=self.max_train_rows,
                batch_rows=self.batch_rows,
                fit_kwargs=fit_kwargs or None,
            )
        self._found = found_noise(
            scored,
            id=self.id,
            label=self.label,
            pred_probs=pred_probs or PRED_PROBS,
            classes=self.classes,
            told=told,
            converge=self.converge_latent_estimates,
            options={**self.find_label_issues_kwargs, **self.label_quality_scores_kwargs},
        )
        self._issues = self._found.issues
        return self._issues

    def fit(
        self,
        df: DataFrame,
        *,
        pred_probs: str | None = None,
        thresholds: Thresholds | ArrayLike | None = None,
        noise_matrix: ArrayLike | None = None,
        inverse_noise_matrix: ArrayLike | None = None,
        label_issues: str | DataFrame | None = None,
        sample_weight: str | None = None,
        clf_kwargs: Mapping[str, Any] | None = None,
        clf_final_kwargs: Mapping[str, Any] | None = None,
    ) -> CleanLearning:
        """Train the classifier with the rows that are no label issues; return this object.

        Parameters
        ----------
        df, pred_probs, thresholds, noise_matrix, inverse_noise_matrix
            As for :meth:`find_label_issues`, which is called first.
        label_issues : str or DataFrame, optional
            What is known of the issues already: a column of booleans in ``df``; or a table with the
            id of each row and ``is_label_issue``. Then none are sought.
        sample_weight : str, optional
            Column of the weights of the rows in the last training. Where there is none, rows of
            class k weigh 1 / P(given k | true k), if the classifier takes weights: they stand for
            those of their class that are left out. Not where the issues are given, unless those are
            what this object found last.
        clf_kwargs : mapping, optional
            What else ``fit`` of a classifier like those of scikit-learn is given.
        clf_final_kwargs : mapping, optional
            The same for the last training alone, where it overrides ``clf_kwargs``.

        Raises
        ------
        ColumnError, OptionError
            If a column or an option is wrong.
        InvalidRowsError
            If a row cannot be used, or it is not known whether it is an issue.
        DataError, EngineError
            As :meth:`find_label_issues`; if the rows that are left are of one class; if the
            classifier fails, with its message.
        """
        refuse_stream(df, "training.CleanLearning.fit")
        estimator = checked_estimator(self.clf, self.seed)
        cross_validated = checked_fit_kwargs("clf_kwargs", clf_kwargs, estimator)
        if self.batch_rows is not None:
            require_unused("batch_rows", clf_kwargs=clf_kwargs, clf_final_kwargs=clf_final_kwargs)
        last = checked_fit_kwargs("clf_final_kwargs", clf_final_kwargs, estimator)
        is_weighed = takes_weights(estimator, self.batch_rows)
        if sample_weight is not None:
            require_takes_weights(estimator, self.batch_rows)
            require_weights(df, sample_weight)
        self._last = None
        found = {
            "pred_probs": pred_probs,
            "thresholds": thresholds,
            "noise_matrix": noise_matrix,
            "inverse_noise_matrix": inverse_noise_matrix,
        }
        if label_issues is None:
            flagged = self.find_label_issues(df, **found, clf_kwargs=clf_kwargs)  # type: ignore[arg-type]
        else:
            require_unused("label_issues", **found)
            flagged = with_given_issues(df, self.id, label_issues)
            if not self._found_last(df, label_issues):
                self._issues = self._found = None
        noise = None if self._found is None else self._found.noise
        weighs = noise is not None and is_weighed and sample_weight is None
        self._last = train_class_model(
            flagged.where(~column(IS_LABEL_ISSUE)),
            estimator,
            **self._columns,
            n_classes=None if self._found is None else self._found.model.n_classes,
            seed=self.seed,
            max_train_rows=self.max_train_rows,
            batch_rows=self.batch_rows,
            class_weights=noise.class_weights if weighs else None,  # type: ignore[union-attr]
            sample_weight=sample_weight,
            fit_kwargs={**cross_validated, **last},
            rows="the rows that are no label issues",
            stacklevel=3,
        )
        return self

    def transform(self, df: DataFrame) -> DataFrame:
        """Return the table with ``predicted_label`` and ``pred_probs`` of the model. Lazy.

        Raises
        ------
        OptionError, ColumnError
            If there is no model yet; if a column is wrong or there already.
        InvalidRowsError
            If the features of a row cannot be used; when the result is computed.
        """
        return self.trained.predict(df, predicted_label=PREDICTED_LABEL, pred_probs=PRED_PROBS)

    def predict(self, df: DataFrame) -> DataFrame:
        """Return the table with ``predicted_label``, in the type of the labels; as above."""
        return self.trained.predict(df, predicted_label=PREDICTED_LABEL)

    def predict_proba(self, df: DataFrame) -> DataFrame:
        """Return the table with ``pred_probs``; as above."""
        return self.trained.predict(df, pred_probs=PRED_PROBS)

    def score(self, df: DataFrame) -> float:
        """Return the share of the rows whose label the model predicts: 1 all. One pass, now.

        Raises
        ------
        InvalidRowsError, DataError
            If a row has no class or features, or there is none.
        """
        refuse_stream(df, "training.CleanLearning.score")
        return accuracy(self.trained, df, self.label, self.classes)

    @property
    def _columns(self) -> dict[str, Any]:
        names = ("id", "label", "features", "classes")
        return {name: getattr(self, name) for name in names}

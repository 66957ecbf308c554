"""Predicted probabilities of rows by models that were trained without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.training.folds import N_FOLDS, require_trainable, require_two_classes
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, column_type, require_new_columns
from lq_spark.engine.kept import kept
from lq_spark.engine.verbs import select
from lq_spark.errors import OptionError, require_unused, require_whole_number
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.columns import Features, resolved_n_features
from lq_spark.tasks.shared.class_counts import class_counts
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.training.batches import FOLD, PRED_PROBS
from lq_spark.tasks.training.columns import training_table
from lq_spark.tasks.training.estimators import (
    agreed_max_rows,
    checked_estimator,
    checked_fit_kwargs,
    is_of_spark,
    told_failures,
)
from lq_spark.tasks.training.fold_task import FoldTask
from lq_spark.tasks.training.passes import (
    counts_of,
    n_parts_of,
    predictions,
    rows_to_train,
    with_folds,
    with_trained,
)
from lq_spark.tasks.training.spark_ml import require_spark, spark_predictions
from lq_spark.tasks.training.streamed import StreamedTask, streamed_predictions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def cross_val_predict(
    df: DataFrame,
    estimator: Any = None,
    *,
    id: str = "id",
    label: str = "label",
    features: Features = "features",
    classes: Sequence[str] | None = None,
    n_folds: int = N_FOLDS,
    stratified: bool = True,
    groups: str | None = None,
    seed: int = 0,
    max_train_rows: int | None = None,
    fit_kwargs: Mapping[str, Any] | None = None,
    batch_rows: int | None = None,
) -> DataFrame:
    """Return the table with out-of-sample ``pred_probs`` (array<double>) and ``fold`` (int).

    The rows are cut into folds. The probabilities of those of a fold are by a model that was
    trained with rows of the other folds alone, as label-quality scores need them. Computed now, and
    held as long as the result.

    The folds depend on the ids, the labels and the seed alone, and each model is trained with its
    rows in the order of the ids, or by ``batch_rows`` in the order of their hash: results are the
    same to the bit on any partitions, if those of the estimator are on equal data. One of Spark ML
    adds up as Spark's partitions are.

    Parameters
    ----------
    df : DataFrame
        Label and features of each row.
    estimator : object, optional
        A classifier with ``fit`` and ``predict_proba``, as scikit-learn's have them: each fold's is
        a copy by ``sklearn.base.clone``, trained in one task with class indices, 0 to K - 1, as
        labels. A ``random_state`` that is None becomes the seed. Or a classifier or ``Pipeline`` of
        ``pyspark.ml``, on Apache Spark: see Notes. By default scikit-learn's
        ``LogisticRegression()``, as in cleanlab.
    id : str
        Column that tells the rows apart.
    label : str
        Given labels: whole numbers from 0, booleans, or strings with ``classes``.
    features : str or sequence of str
        A column of arrays of numbers or of Spark ML vectors, or columns of one number each.
    classes : sequence of str, optional
        The names of the classes, in the order in which ``pred_probs`` has them.
    n_folds : int
        At least 2.
    stratified : bool
        Whether the rows of each class are dealt out to the folds in turn, in the order of a hash of
        their ids: folds differ by at most one row, in each class and altogether. If not, the hash
        alone says the fold.
    groups : str, optional
        Column of what rows have in common, such as a patient: rows of one group are held out
        together. The groups are dealt out to the folds in turn, in the order of a hash; classes are
        not looked at.
    seed : int
        Of the hash.
    max_train_rows : int, optional
        With so many rows a model is trained at most, 200,000 by default; if there are more, they
        are drawn by the hash, the same share of each class, and a warning says how many.
    fit_kwargs : mapping, optional
        What else ``fit`` is given, of an estimator that is not of Spark ML. Not with
        ``batch_rows``.
    batch_rows : int, optional
        Trains each model with all rows of the other folds, however many they are, in one pass:
        ``partial_fit`` of the estimator is given so many at a time, in the order of the hash, and
        ``predict_proba`` too. On Apache Spark a worker holds no more than a few such batches.
        Features are best standardised before, as most estimators that have ``partial_fit`` do not.

    Returns
    -------
    DataFrame
        The table, with K probabilities in each row.

    Raises
    ------
    ColumnError, OptionError
        If a column, an option or the estimator is wrong: before a Spark job starts.
    EngineError
        If scikit-learn is needed and not installed, or an estimator of Spark ML is given on the
        embedded engine.
    InvalidRowsError
        If an id is null or occurs twice, or a row has no class, usable features or group.
    DataError
        If the rows are of one class, or a class or group has too few of them for the folds. An
        estimator that fails does so with its message and the number of the fold.

    Notes
    -----
    A classifier that draws random numbers without a ``random_state`` to set gives other
    probabilities in each run. A class that occurs in no row has probability 0.

    One of Spark ML is trained with a column of class indices and one of vectors, under the names
    that its ``labelCol`` and ``featuresCol`` say. A ``Pipeline`` gets all columns of the table, of
    which ``label`` holds the class index, as a double, and ``features``, if it is one column, a
    vector: its classifier is to have ``label`` as ``labelCol``.

    Source: the estimate of Northcutt, Jiang, Chuang, "Confident Learning" (2021), section 3; the
    folds of cleanlab are those of scikit-learn's StratifiedKFold, which shuffles rows in memory.

    Examples
    --------
    >>> import pandas as pd
    >>> from lq_spark import local, multiclass, training
    >>> rows = {"id": range(40), "label": [0, 1] * 20, "size": [n % 2 + n / 90 for n in range(40)]}
    >>> df = local.session().createDataFrame(pd.DataFrame(rows))
    >>> scored = training.cross_val_predict(df, features=["size"])
    >>> scored.columns
    ['id', 'label', 'size', 'pred_probs', 'fold']
    >>> multiclass.find_issues(scored).where("is_label_issue").count()
    0
    """
    refuse_stream(df, "training.cross_val_predict")
    require_whole_number("n_folds", n_folds, 2)
    require_whole_number("seed", seed, 0)
    if not isinstance(stratified, bool):
        raise OptionError(f"stratified must be True or False, got {stratified!r}")
    table = training_table(
        df, id=id, label=label, features=features, classes=classes, groups=groups
    )
    require_new_columns(df, [PRED_PROBS, FOLD])
    trained = checked_estimator(estimator, seed)
    options = checked_fit_kwargs("fit_kwargs", fit_kwargs, trained)
    if batch_rows is not None:
        require_unused("batch_rows", fit_kwargs=fit_kwargs)
    max_rows = agreed_max_rows(trained, max_train_rows, batch_rows)
    if is_of_spark(trained):
        require_spark(df.sparkSession)
    n_features = resolved_n_features(df, table.features, None)
    with told_failures(), Held() as held, ExitStack() as stack:
        rows = rows_to_train(df, table, n_features, seed, stack)
        of_classes = class_counts(
            select(df, label), table.labels, fail=True, validate="training.validate"
        )
        require_two_classes(of_classes)
        by_class, by_group = stratified and groups is None, groups is not None
        folds = with_folds(
            rows, of_classes, n_folds, stratified=by_class, by_group=by_group, seed=seed
        )
        folds = stack.enter_context(kept(folds))
        counts = counts_of(folds, n_folds, len(of_classes))
        named = None if groups is None else f"groups: column {groups!r}"
        require_trainable(counts, table.labels.classes, stratified=by_class, groups=named)
        kind, dtype = column_type(df, id), table.features.dtype
        if batch_rows is not None:
            streamed = StreamedTask(trained, len(of_classes), batch_rows, n_features, dtype)
            found = streamed_predictions(rows, folds, n_folds, streamed, kind)
        else:
            folds = stack.enter_context(kept(with_trained(folds, counts, max_rows)))
            if is_of_spark(trained):
                found = spark_predictions(
                    df, table, features, label, folds, counts, trained, seed, stack
                )
            else:
                task = FoldTask(trained, counts.shape[1], n_folds, n_features, dtype, options)
                found = predictions(
                    rows,
                    folds,
                    task,
                    kind,
                    first=F.lit(0),
                    last=F.lit(n_folds - 1),
                    n_models=n_folds,
                    n_parts=n_parts_of(int(counts.sum(axis=1).max()), n_features),
                    stack=stack,
                )
        found = held.hold(found)
        found.count()  # now, while what it is made of is kept, and to see whether models fail
        names = [column(name) for name in (*df.columns, PRED_PROBS, FOLD)]
        result = df.join(found, column(id) == column(ROW)).select(*names)
        return held.until_gone(result)

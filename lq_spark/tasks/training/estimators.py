"""The models that are trained: those of scikit-learn, or like them, and those of Spark ML.

Which one it is, is seen by what it has; scikit-learn is imported only where one of its kind is
given, or none.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from lq_spark.errors import (
    DataError,
    EngineError,
    OptionError,
    require_unused,
    require_whole_number,
)

MAX_TRAIN_ROWS: Final = 200_000
"""Of 100 features they are 160 MB in a worker, as doubles, which it holds some three times."""

_FAILED = re.compile(r"estimator \w+ failed in [^\n]*")

_ALLOWED = (
    "allowed are an object with fit and predict_proba, as scikit-learn's classifiers have them, "
    "and a classifier or Pipeline of pyspark.ml with a probability column"
)


def is_of_spark(estimator: object) -> bool:
    """Return whether it is of Spark ML, trained or not: what it takes is a DataFrame."""
    return hasattr(estimator, "extractParamMap")


def checked_estimator(estimator: object, seed: int) -> Any:
    """Return the classifier to train: one of Spark ML as it is, or else a copy, not trained yet.

    By default logistic regression. Each ``random_state`` that is None becomes the seed.

    Raises
    ------
    OptionError
        If it cannot be trained, gives no probabilities, or cannot be copied.
    EngineError
        If scikit-learn is needed and not installed.
    """
    require_object(estimator)
    if is_of_spark(estimator):
        classifier = classifier_of(estimator)
        if not hasattr(estimator, "fit") or not hasattr(classifier, "getProbabilityCol"):
            raise _refused(classifier)
        return estimator
    require_scikit_learn()
    if estimator is None:
        from sklearn.linear_model import LogisticRegression

        estimator = LogisticRegression()
    if not hasattr(estimator, "fit") or not hasattr(estimator, "predict_proba"):
        raise _refused(estimator)
    return _seeded_copy(estimator, seed, "estimator")


def checked_regressor(model: object, seed: int, option: str = "estimator") -> Any:
    """Return a copy of the regressor to train, by default of linear regression.

    ``option`` is the one that gives it. Raises as :func:`checked_estimator`.
    """
    require_object(model, option)
    if not is_of_spark(model):
        require_scikit_learn()
    if model is None:
        from sklearn.linear_model import LinearRegression

        model = LinearRegression()
    if is_of_spark(model) or not hasattr(model, "fit") or not hasattr(model, "predict"):
        raise OptionError(
            f"{option} {type(model).__name__} is not taken; allowed is an object with fit and "
            "predict, as scikit-learn's regressors have them"
        )
    return _seeded_copy(model, seed, option)


def require_object(estimator: object, option: str = "estimator") -> None:
    """Raise OptionError if a class is given instead of an object of it."""
    if isinstance(estimator, type):
        raise OptionError(
            f"{option} is the class {estimator.__name__}, not an object of it: "
            f"{estimator.__name__}(…)"
        )


def require_scikit_learn() -> None:
    """Raise EngineError if scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise EngineError(
            f"scikit-learn is not installed ({error}): pip install scikit-learn"
        ) from error


def _seeded_copy(estimator: Any, seed: int, option: str) -> Any:
    """Return a copy that is not trained; each ``random_state`` that is None becomes the seed."""
    from sklearn.base import clone

    try:
        copy = clone(estimator)
    except (TypeError, RuntimeError) as error:
        raise OptionError(
            f"{option} {type(estimator).__name__} cannot be copied for each fold by "
            f"sklearn.base.clone: {error}"
        ) from error
    states = {
        name: int(seed) % (1 << 32)
        for name, value in copy.get_params().items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return copy.set_params(**states) if states else copy


def checked_fit_kwargs(
    option: str, kwargs: Mapping[str, Any] | None, estimator: object
) -> dict[str, Any]:
    """Return what else ``fit`` is given; raise OptionError if it cannot be."""
    if kwargs is None or len(kwargs) == 0:
        return {}
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise OptionError(f"{option} must be a mapping of names to values, got {kwargs!r}")
    if "sample_weight" in kwargs:
        raise OptionError(
            f"{option} has 'sample_weight', but rows are weighed by a column: sample_weight of "
            "CleanLearning.fit"
        )
    if is_of_spark(estimator):
        raise OptionError(
            f"{option} is given, which does not go with an estimator of pyspark.ml: set its params"
        )
    return dict(kwargs)


def agreed_max_rows(estimator: Any, max_train_rows: int | None, batch_rows: int | None) -> int:
    """Return with how many rows a model is trained at most, where not by batches.

    Raises
    ------
    OptionError
        If one of the two is not allowed, or they do not go together, or with the estimator.
    """
    if batch_rows is not None:
        require_whole_number("batch_rows", batch_rows, 1)
        require_unused("batch_rows", max_train_rows=max_train_rows)
        require_partial_fit(estimator)
    max_rows = MAX_TRAIN_ROWS if max_train_rows is None else max_train_rows
    require_whole_number("max_train_rows", max_rows, 2)
    return max_rows


def takes_weights(estimator: Any, batch_rows: int | None = None) -> bool:
    """Return whether rows can be weighed in training, and have no weights by the estimator yet."""
    if is_of_spark(estimator):
        classifier = classifier_of(estimator)
        return classifier.hasParam("weightCol") and not classifier.isSet("weightCol")
    trains = estimator.fit if batch_rows is None else estimator.partial_fit
    return "sample_weight" in inspect.signature(trains).parameters


def require_predict(estimator: Any) -> None:
    """Raise OptionError if what it has trained says no class."""
    if not is_of_spark(estimator) and not hasattr(estimator, "predict"):
        raise OptionError(
            f"estimator {type(estimator).__name__} has no predict, by which it says the class of a "
            "row"
        )


def require_takes_weights(estimator: Any, batch_rows: int | None = None) -> None:
    """Raise OptionError if rows cannot be weighed in training, or have weights already."""
    if not takes_weights(estimator, batch_rows):
        raise OptionError(
            f"sample_weight is given, and {type(estimator).__name__} takes no weights, or has set "
            "its own"
        )


def require_partial_fit(estimator: object) -> None:
    """Raise OptionError unless it can be trained by batches of rows, one after the other."""
    name = type(estimator).__name__
    if is_of_spark(estimator):
        raise OptionError(
            f"batch_rows is given, and Spark itself trains estimator {name} of pyspark.ml, with "
            "all rows at once; leave batch_rows out"
        )
    if not hasattr(estimator, "partial_fit"):
        raise OptionError(
            f"batch_rows is given, and estimator {name} has no partial_fit; allowed are those that "
            "have it, such as scikit-learn's SGDClassifier(loss='log_loss'), GaussianNB and "
            "MLPClassifier"
        )


@contextmanager
def failing_in(where: str, estimator: object) -> Iterator[None]:
    """Raise DataError that names the estimator and where it is trained, if it raises anything."""
    try:
        yield
    except Exception as error:
        kind = "" if isinstance(error, DataError) else f"{type(error).__name__}: "
        name = type(estimator).__name__
        raise DataError(f"estimator {name} failed in {where}: {kind}{error}") from error


@contextmanager
def told_failures() -> Iterator[None]:
    """Raise DataError, of one line, in place of what says that an estimator failed in training."""
    try:
        yield
    except Exception as error:
        if (said := _FAILED.search(str(error))) is None:
            raise
        raise DataError(said[0]) from error


def classifier_of(estimator: Any) -> Any:
    """Return the classifier of Spark ML within a pipeline, or within a search of parameters."""
    while True:
        if hasattr(estimator, "getStages") and estimator.getStages():
            estimator = estimator.getStages()[-1]
        elif hasattr(estimator, "getEstimator"):
            estimator = estimator.getEstimator()
        else:
            return estimator


def _refused(estimator: object) -> OptionError:
    return OptionError(
        f"estimator {type(estimator).__name__} gives no probabilities of classes; {_ALLOWED}"
    )

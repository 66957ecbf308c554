"""The classifier that a configuration names by its import path: nothing else of it is run."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from lq_spark.errors import OptionError, closest, listed
from lq_spark.job.config import JobConfig, Name

if TYPE_CHECKING:
    from types import ModuleType

    from pyspark.sql import SparkSession

DEFAULT_ESTIMATOR = "sklearn.linear_model.LogisticRegression"

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class EstimatorConfig(JobConfig):
    """A job that trains a classifier of a class that it names."""

    estimator: Name | None = Field(
        None, description=f"import path of a classifier's class (default: {DEFAULT_ESTIMATOR})"
    )
    estimator_params: dict[Name, Any] = Field(
        {}, description="what the class is called with, as a flag in JSON"
    )
    allowed_estimators: list[Name] = Field(
        [], description="what that path may begin with: packages, modules (sklearn.)"
    )

    @model_validator(mode="after")
    def _may_be_imported(self) -> EstimatorConfig:
        if self.estimator is not None:
            require_allowed(self.estimator, self.allowed_estimators)
        return self


def require_allowed(estimator: str, allowed: Iterable[str]) -> None:
    """Raise OptionError unless a path begins with one of the prefixes, at a dot or its end.

    Nothing is imported.
    """
    prefixes = [prefix.removesuffix(".") for prefix in allowed]
    for prefix in prefixes:
        if not _PATH.fullmatch(prefix):
            raise OptionError(
                f"allowed_estimators: {prefix!r} must be the name of a package or module, as "
                "'sklearn.' is"
            )
    if not _PATH.fullmatch(estimator) or "." not in estimator:
        raise OptionError(
            f"estimator must be the path of a class, as {DEFAULT_ESTIMATOR!r} is, got {estimator!r}"
        )
    if not any(f"{estimator}.".startswith(f"{prefix}.") for prefix in prefixes):
        raise OptionError(
            f"estimator: {estimator!r} is none that may be imported; allowed_estimators "
            f"{'are ' + listed(allowed) if prefixes else 'is empty: name its package there'}"
        )


def estimator_of(spark: SparkSession, config: EstimatorConfig) -> Any:
    """Return the classifier, not trained, of a configuration.

    Raises
    ------
    OptionError
        If there is no such class, it gives no probabilities, or does not take the parameters.
    EngineError
        If it is of Spark ML, and the session is of another engine.
    """
    from lq_spark.tasks.training.estimators import is_of_spark
    from lq_spark.tasks.training.spark_ml import require_spark

    path = config.estimator or DEFAULT_ESTIMATOR
    kind = _found(path)
    if not _is_classifier(kind):
        raise OptionError(
            f"estimator: {path!r} is no class with fit and predict_proba, and no classifier of "
            "pyspark.ml"
        )
    if is_of_spark(kind):
        require_spark(spark)
    try:
        made = kind(**config.estimator_params)
        if hasattr(made, "_validate_params"):  # of scikit-learn, which else looks as it is trained
            made._validate_params()
    except Exception as error:
        raise OptionError(f"estimator_params: {path} does not take them: {_line(error)}") from error
    return made


def _found(path: str) -> Any:
    place, _, name = path.rpartition(".")
    module = _module(place)
    if hasattr(module, name):
        return getattr(module, name)
    there = [name for name in dir(module) if _is_classifier(getattr(module, name, None))]
    has = f"; classifiers in it are {listed(there)}" if there else "; it has no classifiers"
    raise OptionError(f"estimator: {place} has no {name!r}{closest(name, there)}{has}")


def _module(place: str) -> ModuleType:
    """Return a module; a package is asked for what it holds before a part of it is imported."""
    name, *parts = place.split(".")
    module = _imported(name)
    for part in parts:
        there = [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", ()))]
        if part not in there:
            shown = [name for name in there if not name.startswith("_")]
            has = f"; it has {listed(shown)}" if shown else "; it holds no modules"
            raise OptionError(
                f"estimator: there is no module {part!r} in {name}{closest(part, shown)}{has}"
            )
        name = f"{name}.{part}"
        module = _imported(name)
    return module


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise OptionError(f"estimator: {name} cannot be imported: {_line(error)}") from error


def _is_classifier(kind: object) -> bool:
    is_of_spark = hasattr(kind, "extractParamMap") and hasattr(kind, "getProbabilityCol")
    is_one = hasattr(kind, "fit") and (hasattr(kind, "predict_proba") or is_of_spark)
    return isinstance(kind, type) and is_one


def _line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

"""A run in MLflow, where the configuration asks for it: what it was given, measured and wrote.

MLflow is imported only then. The environment says where it keeps runs (``MLFLOW_TRACKING_URI``) and
in which experiment (``MLFLOW_EXPERIMENT_NAME``).
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from lq_spark.errors import OptionError, TableError
from lq_spark.tables.spec import one_line

if TYPE_CHECKING:
    from lq_spark.job.config import JobConfig
    from lq_spark.job.record.record import Outcome

MAX_TEXT, MAX_NAME, MAX_METRICS = 500, 250, 1000
"""How long a parameter and a metric's name may be, and how many metrics a request may hold."""

_NOT_IN_NAMES = re.compile(r"[^\w -]")

Log = Callable[["Outcome"], None]
"""Logs how a run ended."""


def require_mlflow() -> Any:
    """Return MLflow; raise OptionError if it is not installed."""
    try:
        return importlib.import_module("mlflow")
    except ImportError as error:
        raise OptionError(
            f"mlflow: MLflow is not installed ({error}): pip install mlflow-skinny"
        ) from error


@contextmanager
def logged_run(config: JobConfig, properties: Mapping[str, str]) -> Iterator[Log]:
    """Give what logs how a run has ended; a run that fails is logged as failed.

    Parameters
    ----------
    config : JobConfig
        Says whether anything is logged at all.
    properties : mapping
        What is said of the run, as tags.

    Raises
    ------
    OptionError
        If MLflow is not installed.
    TableError
        If it cannot be reached: before the run does anything, or when it has ended.
    """
    if not config.mlflow:
        yield lambda outcome: None
        return
    mlflow = require_mlflow()
    name, tags = f"lq_spark {config.task}", {**properties, "lq_spark.task": config.task}
    with _reached("nothing has been run yet"):
        mlflow.start_run(run_name=name, nested=mlflow.active_run() is not None, tags=tags)
    try:
        with _reached("nothing has been run yet"):
            mlflow.log_params(params_of(config))
        yield lambda outcome: _log(mlflow, config, outcome)
    except BaseException as error:
        with suppress(Exception):  # the first error is the one to be seen
            mlflow.set_tags({"lq_spark.status": "failed", "lq_spark.error": type(error).__name__})
        with suppress(Exception):
            mlflow.end_run("FAILED")
        raise
    with _reached("the tables are written"):
        mlflow.end_run("FINISHED")


def params_of(config: JobConfig) -> dict[str, str]:
    """Return the keys of a configuration that have a value, and these as texts."""
    given = config.model_dump(mode="json", exclude_none=True)
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in given.items()
        if value != []
    }
    return {
        name: text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
        for name, text in texts.items()
    }


def metric_name(metric: str, of: str | None) -> str:
    """Return what MLflow calls a metric, or that of a class: of different ones different names.

    >>> metric_name("label_issues", None), metric_name("class_rows", "a/b")
    ('label_issues', 'class_rows/a_2f_b')
    """
    if of is None:
        return metric
    escaped = _NOT_IN_NAMES.sub(lambda found: f"_{ord(found[0]):x}_", of)
    return f"{metric}/{escaped or '_'}"[:MAX_NAME]


def _log(mlflow: Any, config: JobConfig, outcome: Outcome) -> None:
    status = "gate_failed" if outcome.gate_failed else "succeeded"
    values = {
        metric_name(metric, of): value
        for (metric, of), value in outcome.metrics.items()
        if value is not None
    }
    names = list(values)
    files = [*config.files.values(), *([] if config.report is None else [config.report])]
    with _reached("the tables are written"):
        mlflow.set_tag("lq_spark.status", status)
        for start in range(0, len(names), MAX_METRICS):
            some = names[start : start + MAX_METRICS]
            mlflow.log_metrics({name: values[name] for name in some})
        for path in files:
            mlflow.log_artifact(path)


@contextmanager
def _reached(what: str) -> Iterator[None]:
    """Raise TableError in place of what MLflow raises; it says how far the run is."""
    try:
        yield
    except Exception as error:
        raise TableError(f"mlflow: MLflow failed, {what}: {one_line(error)}") from error

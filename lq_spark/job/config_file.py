"""A YAML file of config keys, with flags over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from lq_spark.engine.files import expanded
from lq_spark.errors import OptionError, closest, listed, require_one_of
from lq_spark.job.config import JobConfig
from lq_spark.job.tasks.registry import TASKS

DEFAULT_TASK = "multiclass"


def read_config(path: str) -> dict[str, Any]:
    """Return the keys and values of a YAML file; raise OptionError if it cannot be read."""
    try:
        loaded = yaml.safe_load(Path(expanded(path)).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:  # also bytes, and dates, that are none
        why = " ".join(str(error).split())  # what is wrong with YAML is said in several lines
        raise OptionError(f"config: cannot read {path!r} ({why})") from error
    if not isinstance(loaded, dict):
        raise OptionError(f"config: {path!r} must hold keys and values, got {loaded!r}")
    return loaded


def chosen_task(task: str | None, path: str | None) -> str:
    """Return a task that is given, or else that of a YAML file, or else multi-class.

    Raises OptionError if there is no such task, or the file cannot be read.
    """
    in_file = None if path is None else read_config(path).get("task")
    chosen = task or in_file or DEFAULT_TASK
    require_one_of("task", chosen, TASKS)
    return str(chosen)


def load_config(path: str | None, flags: Mapping[str, Any], task: str = DEFAULT_TASK) -> JobConfig:
    """Return the configuration of a task: of a YAML file with flags put over it.

    Raises
    ------
    OptionError
        If the file cannot be read, a key is unknown (the closest known one is named), or a value
        is missing or not allowed.
    """
    values, kind = {} if path is None else read_config(path), TASKS[task].config
    try:
        return kind.model_validate({**values, **flags})
    except ValidationError as error:
        raise OptionError("; ".join(_sentence(item, kind) for item in error.errors())) from error


def _sentence(item: Any, kind: type[JobConfig]) -> str:
    key = ".".join(str(part) for part in item["loc"])
    known = list(kind.model_fields)
    if item["type"] == "extra_forbidden":
        hint = closest(key, known) or f"; known are {listed(known, limit=len(known))}"
        return f"unknown config key {key!r}{hint}"
    if item["type"] == "missing":
        return f"{key} is missing: give it in the config or as --{key.replace('_', '-')}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{key}: {message}, got {item['input']!r}" if key else message
